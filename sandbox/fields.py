"""Input schemas of models: fields, ranges, defaults, and what is wrong with an input."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Kind = Literal["text", "integer", "number", "flag", "choice", "url", "urls", "size"]

PRESETS: Mapping[str, tuple[int, int]] = {
    "square_hd": (1024, 1024),
    "square": (512, 512),
    "portrait_4_3": (768, 1024),
    "portrait_16_9": (576, 1024),
    "landscape_4_3": (1024, 768),
    "landscape_16_9": (1024, 576),
}
"""fal's named picture sizes, width and height in pixels."""

EDGE_MAX_PX = 14142


@dataclass(frozen=True, slots=True)
class Field:
    """One input field. `low` and `high` are inclusive; for text and urls they bound the length."""

    name: str
    kind: Kind
    default: Any = None
    required: bool = False
    low: float | None = None
    high: float | None = None
    choices: tuple[Any, ...] = ()
    multiple_of: int | None = None
    secret: bool = False


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with an input, in fal's vocabulary of error types."""

    where: tuple[str | int, ...]
    kind: str
    message: str
    context: Mapping[str, Any] = field(default_factory=dict)
    value: Any = None


def check(fields: tuple[Field, ...], given: Mapping[str, Any]) -> tuple[dict[str, Any], list[Problem]]:
    """The input with its defaults, and its problems. Unknown fields are ignored, as at both providers."""
    filled: dict[str, Any] = {}
    problems: list[Problem] = []
    for one in fields:
        value = given.get(one.name)
        if value is None:
            if one.required:
                problems.append(Problem(("body", one.name), "missing", "Field required", {}, dict(given)))
            filled[one.name] = one.default
            continue
        problem = _problem(one, value)
        if problem is not None:
            problems.append(problem)
        filled[one.name] = value
    return filled, problems


def _problem(one: Field, value: Any) -> Problem | None:
    where = ("body", one.name)
    match one.kind:
        case "text" | "url":
            if not isinstance(value, str):
                return Problem(where, "string_type", "Input should be a valid string", {}, value)
            return _length_problem(one, value, "characters")
        case "urls":
            if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
                return Problem(where, "list_type", "Input should be a valid list", {}, value)
            return _length_problem(one, value, "items")
        case "flag":
            if not isinstance(value, bool):
                return Problem(where, "bool_type", "Input should be a valid boolean", {}, value)
            return None
        case "choice":
            return _choice_problem(one, value)
        case "size":
            return _size_problem(one, value)
        case "integer" | "number":
            return _number_problem(one, value, where)


def _length_problem(one: Field, value: str | list[str], noun: str) -> Problem | None:
    where = ("body", one.name)
    if one.low is not None and len(value) < one.low:
        return Problem(
            where,
            "sequence_too_short",
            f"Should have at least {one.low:g} {noun}",
            {"min_length": int(one.low)},
            value,
        )
    if one.high is not None and len(value) > one.high:
        return Problem(
            where,
            "sequence_too_long",
            f"Should have at most {one.high:g} {noun}",
            {"max_length": int(one.high)},
            value,
        )
    return None


def _choice_problem(one: Field, value: Any) -> Problem | None:
    if any(value == choice and isinstance(value, type(choice)) for choice in one.choices):
        return None
    listed = ", ".join(repr(choice) for choice in one.choices)
    return Problem(
        ("body", one.name),
        "one_of",
        f"Input should be one of: {listed}",
        {"expected": list(one.choices)},
        value,
    )


def _number_problem(one: Field, value: Any, where: tuple[str | int, ...]) -> Problem | None:
    integral = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
    if (
        isinstance(value, bool)
        or not isinstance(value, int | float)
        or (one.kind == "integer" and not integral)
    ):
        noun = "integer" if one.kind == "integer" else "number"
        return Problem(
            where,
            "int_parsing" if noun == "integer" else "float_parsing",
            f"Input should be a valid {noun}",
            {},
            value,
        )
    if one.low is not None and value < one.low:
        return Problem(
            where,
            "greater_than_equal",
            f"Input should be greater than or equal to {one.low:g}",
            {"ge": one.low},
            value,
        )
    if one.high is not None and value > one.high:
        return Problem(
            where,
            "less_than_equal",
            f"Input should be less than or equal to {one.high:g}",
            {"le": one.high},
            value,
        )
    if one.multiple_of is not None and value % one.multiple_of:
        return Problem(
            where,
            "multiple_of",
            f"Input should be a multiple of {one.multiple_of}",
            {"multiple_of": one.multiple_of},
            value,
        )
    return None


def _size_problem(one: Field, value: Any) -> Problem | None:
    where = ("body", one.name)
    if isinstance(value, str):
        if value in PRESETS or value in one.choices:
            return None
        return _choice_problem(Field(one.name, "choice", choices=(*PRESETS, *one.choices)), value)
    if not isinstance(value, dict):
        return Problem(where, "one_of", "Input should be a preset or {width, height}", {}, value)
    for edge in ("width", "height"):
        high = one.high if one.high is not None else EDGE_MAX_PX
        edge_field = Field(edge, "integer", low=one.low or 1, high=high, multiple_of=one.multiple_of)
        problem = _number_problem(edge_field, value.get(edge, 512), (*where, edge))
        if problem is not None:
            return problem
    return None


def size_of(value: Any, otherwise: tuple[int, int]) -> tuple[int, int]:
    """Width and height in pixels of a valid `image_size`; `otherwise` for the automatic ones."""
    if isinstance(value, dict):
        return int(value.get("width", 512)), int(value.get("height", 512))
    if isinstance(value, str) and value in PRESETS:
        return PRESETS[value]
    return otherwise
