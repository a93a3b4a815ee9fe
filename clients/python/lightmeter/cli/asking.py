"""The arguments that `generate`, `edit` and `quote` share, written once and put into each command's
signature.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer

from lightmeter.cli.words import parse_labels, parse_span
from lightmeter.drawing import Drawing, parse_size
from lightmeter.options import SubmitOptions


def drawing_of(
    prompt: Annotated[str, typer.Argument(help="What to draw.", show_default=False)],
    model: Annotated[str, typer.Option("--model", "-m", help="A model of `lightmeter models`.")],
    size: Annotated[str, typer.Option(help="1024x1536, 16:9, 16:9@two_k, square_hd or auto.")] = "",
    quality: Annotated[str, typer.Option(help="auto, low, medium, high, xhigh or max.")] = "",
    count: Annotated[int, typer.Option("--count", "-n", help="How many pictures.")] = 1,
    seed: Annotated[int | None, typer.Option(help="For a repeatable drawing.")] = None,
    variation: Annotated[int, typer.Option(help="Another picture of the same request.")] = 0,
    negative_prompt: Annotated[str, typer.Option("--negative", help="What to avoid.")] = "",
    image_format: Annotated[str, typer.Option("--format", help="png, jpeg, webp or svg.")] = "",
    background: Annotated[str, typer.Option(help="auto, opaque or transparent.")] = "",
    guidance: Annotated[float | None, typer.Option(help="How closely to follow the prompt.")] = None,
    steps: Annotated[int | None, typer.Option(help="Inference steps.")] = None,
) -> Drawing:
    """The drawing that the arguments describe."""
    return Drawing(
        model=model,
        prompt=prompt,
        size=parse_size(size) if size else None,
        quality=quality,
        image_count=count,
        seed=seed,
        variation=variation,
        negative_prompt=negative_prompt,
        format=image_format,
        background=background,
        guidance=guidance,
        steps=steps,
    )


def options_of(
    max_cost: Annotated[str, typer.Option(help="The most it may cost, in dollars: 0.20.")] = "",
    pin: Annotated[str, typer.Option(help="Only this provider or route: fal, fal/flux-dev.")] = "",
    policy: Annotated[str, typer.Option(help="How to choose among the routes.")] = "",
    cache: Annotated[str, typer.Option(help="use, refresh (draw anew, keep) or bypass.")] = "",
    cache_max_age: Annotated[str, typer.Option(help="Take nothing older: 30m, 7d.")] = "",
    label: Annotated[list[str] | None, typer.Option(help="KEY=VALUE for reports; repeatable.")] = None,
    request_id: Annotated[str, typer.Option(help="Repeating it never pays twice.")] = "",
    job_timeout: Annotated[str, typer.Option(help="Ends the job when it takes longer: 90s.")] = "",
) -> SubmitOptions:
    """The options of a submission that the arguments describe."""
    options = SubmitOptions()
    if max_cost:
        options["max_cost"] = max_cost
    if pin:
        options["pin"] = pin
    if policy:
        options["policy"] = policy
    if cache:
        options["cache"] = cache
    if cache_max_age:
        options["cache_max_age"] = parse_span(cache_max_age)
    if label:
        options["labels"] = parse_labels(label)
    if request_id:
        options["request_id"] = request_id
    if job_timeout:
        options["job_timeout"] = parse_span(job_timeout)
    return options


def asks(command: Callable[..., None]) -> Callable[..., None]:
    """Gives a command with parameters `drawing` and `options` the arguments of both in its own signature.

    Typer reads signatures; this puts them together, so that the same argument is not written three times. A
    value that can't be meant ends as wrong usage.
    """
    parts: dict[str, Callable[..., Any]] = {"drawing": drawing_of, "options": options_of}
    own = [p for p in inspect.signature(command).parameters.values() if p.name not in parts]
    borrowed = {name: list(inspect.signature(part).parameters.values()) for name, part in parts.items()}
    hints = get_type_hints(command, include_extras=True)
    for part in parts.values():
        hints |= get_type_hints(part, include_extras=True)
    everything = [*own, *(parameter for found in borrowed.values() for parameter in found)]

    @functools.wraps(command)
    def run(**given: Any) -> None:
        try:
            made = {
                name: parts[name](**{parameter.name: given.pop(parameter.name) for parameter in found})
                for name, found in borrowed.items()
            }
        except (ValueError, TypeError) as error:
            raise typer.BadParameter(str(error)) from None
        command(**given, **made)

    run.__signature__ = inspect.Signature(  # type: ignore[attr-defined] # functools' own way to say it
        [
            parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY, annotation=hints[parameter.name])
            for parameter in sorted(everything, key=lambda p: p.default is not inspect.Parameter.empty)
        ]
    )
    run.__annotations__ = {parameter.name: hints[parameter.name] for parameter in everything}
    return run


JsonFlag = Annotated[bool, typer.Option("--json", help="Protobuf's JSON instead of words.")]
OutPath = Annotated[
    str, typer.Option("--out", "-o", help="Save the pictures here; {index} is the picture's number.")
]
JobId = Annotated[str, typer.Argument(help="A job's id.", show_default=False)]
Images = Annotated[
    list[str], typer.Option("--image", "-i", help="A path, an https URL or a SHA-256; repeatable.")
]


def out_path(out: str, index: int, count: int, suffix: str, job_id: str) -> Path:
    """Where a picture goes: `{index}` filled in, put before the ending where it is needed and missing."""
    if out.endswith("/") or Path(out).is_dir():
        return Path(out) / f"{job_id}-{index}{suffix}"
    path = Path(out.replace("{index}", str(index)))
    if not path.suffix:
        path = path.with_name(path.name + suffix)
    if count > 1 and "{index}" not in out:
        path = path.with_name(f"{path.stem}-{index}{path.suffix}")
    return path
