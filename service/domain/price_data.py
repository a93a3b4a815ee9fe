"""Price rules as plain JSON data and back, without loss: decimals are strings, absent things are absent."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from decimal import Decimal
from enum import Enum
from types import UnionType
from typing import Any, Final, get_args, get_origin, get_type_hints

from service.domain.money import decimal_text
from service.domain.price_rules import (
    Free,
    GpuSeconds,
    PerImage,
    PerImageByResolution,
    PerMegapixel,
    Rule,
    RunPlusMegapixels,
    Unpriced,
)
from service.domain.price_tables import SizeQualityTable, Tokens

_KINDS: Final[tuple[Callable[..., Rule], ...]] = (
    Free,
    PerImage,
    PerMegapixel,
    RunPlusMegapixels,
    PerImageByResolution,
    GpuSeconds,
    SizeQualityTable,
    Tokens,
    Unpriced,
)
RULE_KINDS: Final[Mapping[str, Callable[..., Rule]]] = {rule.kind: rule for rule in _KINDS}  # type: ignore[attr-defined]  # classes, called as constructors
"""Every way to charge, by its name in the catalog and on the wire. `unpriced` is no way to charge, and no catalog has it."""


def rule_to_data(rule: Rule) -> dict[str, Any]:
    """The rule's fields; what is absent or has its default as None is left out."""
    data = _plain(rule)
    assert isinstance(data, dict)
    return data


def rule_from_data(kind: str, data: Mapping[str, Any]) -> Rule:
    """The inverse of `rule_to_data`. Raises KeyError, TypeError or ValueError on data of another make."""
    rule = _built(RULE_KINDS[kind], data)
    assert hasattr(rule, "metric_prices")
    built: Rule = rule
    return built


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        plain = {one.name: _plain(getattr(value, one.name)) for one in fields(value)}
        return {name: item for name, item in plain.items() if item is not None}
    match value:
        case Enum():
            return value.value
        case Decimal():
            return decimal_text(value)
        case tuple():
            return [_plain(item) for item in value]
        case Mapping():
            return {str(key): _plain(item) for key, item in value.items()}
        case _:
            return value


def _built(kind: Any, data: Any) -> Any:
    if is_dataclass(kind) and isinstance(kind, type):
        hints = get_type_hints(kind)
        unknown = set(data) - {one.name for one in fields(kind)}
        if unknown:
            raise ValueError(f"unknown: {', '.join(sorted(unknown))}")
        return kind(**{name: _built(hints[name], value) for name, value in data.items()})
    origin = get_origin(kind)
    if origin is UnionType:
        return (
            None
            if data is None
            else _built(next(one for one in get_args(kind) if one is not type(None)), data)
        )
    if origin is tuple:
        return tuple(_built(get_args(kind)[0], item) for item in data)
    if isinstance(kind, type) and issubclass(kind, Enum | Decimal):
        return kind(data)
    return dict(data) if origin is not None else data
