"""How requests end: which pictures came out, what failed and in which words, and what is billed for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from sandbox.book import Book, Entry, Failure, Outcome, Picture
from sandbox.catalog import Ask
from sandbox.faults import Fault
from sandbox.fields import Problem
from sandbox.tariffs import Made

DOCS_URL = "https://docs.fal.ai/errors"
TIME_UNIT = "seconds"

NSFW_ALL = "All generated images contained NSFW content. Try running it again with a different prompt."
NSFW_SDXL = "NSFW content detected. Try running it again, or try a different prompt."
NSFW_PROXIED = "The input or output was flagged as sensitive. Please try again with different inputs. (E005)"
UNKNOWN_ERROR = "Prediction failed for an unknown reason. It might have run out of memory? (E1000)"
FLUX_OPEN = ("black-forest-labs/flux-schnell", "black-forest-labs/flux-dev")


def detail(problem: Problem) -> dict[str, Any]:
    """A problem in the shape of fal's model errors."""
    return {
        "loc": list(problem.where),
        "msg": problem.message,
        "type": problem.kind,
        "url": f"{DOCS_URL}#{problem.kind}",
        "ctx": dict(problem.context),
        "input": problem.value,
    }


def model_failure(code: int, problems: Sequence[Problem], *, retryable: bool = False) -> Failure:
    """A failure in fal's model error shape; for Replicate its first message is the error."""
    return Failure(
        code=code,
        body={"detail": [detail(problem) for problem in problems]},
        error=problems[0].message,
        error_type=problems[0].kind,
        headers={"X-Fal-Retryable": "true" if retryable else "false"},
    )


def infrastructure_failure(
    code: int, error_type: str, message: str, headers: Mapping[str, str] | None = None
) -> Failure:
    """A failure in fal's flat request error shape."""
    return Failure(
        code=code,
        body={"detail": message, "error_type": error_type},
        error=message,
        error_type=error_type,
        headers={"X-Fal-Error-Type": error_type, **(headers or {})},
    )


def start_timeout() -> Failure:
    """The request did not start within X-Fal-Request-Timeout."""
    headers = {"X-Fal-Request-Timeout-Type": "user"}
    return infrastructure_failure(504, "request_timeout", "Request timed out before it started", headers)


def cancelled_by_client() -> Failure:
    """The request was cancelled before it ran."""
    return infrastructure_failure(499, "client_cancelled", "Request was cancelled by the client")


def run_failure(fault: Fault) -> Failure:
    """The failure that a fail_run fault describes."""
    code, kind = int(fault.args["code"]), str(fault.args["type"])
    text = str(fault.args["error"])
    if fault.flag("infrastructure"):
        failure = infrastructure_failure(code, kind, text or "The runner failed")
    elif fault.flag("bare"):
        failure = Failure(
            code, {"detail": text or "Something went wrong"}, text or "Something went wrong", kind
        )
    else:
        problem = Problem(("body",), kind, text or "The request could not be completed", {}, None)
        failure = model_failure(code, [problem], retryable=code >= 500)
    return Failure(failure.code, failure.body, text or UNKNOWN_ERROR, failure.error_type, failure.headers)


def moderation_failure(entry: Entry) -> Failure:
    """Everything that was drawn was refused by the provider's filter."""
    problem = Problem(
        ("body", "prompt"),
        "content_policy_violation",
        "The content could not be processed because it was flagged by a content checker.",
        {"extra_info": {"reason": "partner_validation_failed"}},
        entry.input.get("prompt"),
    )
    failure = model_failure(422, [problem])
    if entry.model.endpoint in FLUX_OPEN:
        text = NSFW_ALL
    elif entry.model.endpoint == "stability-ai/sdxl":
        text = NSFW_SDXL
    else:
        text = NSFW_PROXIED
    return Failure(failure.code, failure.body, text, failure.error_type, failure.headers)


def made_of(ask: Ask, outputs: int, inputs_px: tuple[tuple[int, int], ...], seconds: float) -> Made:
    """The facts of a request's bill."""
    width_px, height_px = output_size(ask, inputs_px)
    return Made(
        prompt=ask.prompt,
        quality=ask.quality,
        outputs=outputs,
        width_px=width_px,
        height_px=height_px,
        inputs_px=inputs_px,
        run_seconds=Decimal(str(round(seconds, 6))),
        resolution=ask.resolution,
    )


def output_size(ask: Ask, inputs_px: tuple[tuple[int, int], ...]) -> tuple[int, int]:
    """Width and height of the pictures that come out, in pixels."""
    if ask.follows_picture and inputs_px:
        width_px, height_px = inputs_px[0]
        return max(16, width_px // 16 * 16), max(16, height_px // 16 * 16)
    return ask.width_px, ask.height_px


def bill(book: Book, entry: Entry, made: Made) -> None:
    """Charge the request, as faults on its bill have it."""
    charge = entry.model.tariff(made)
    factor = entry.fault("bill_factor")
    if factor is not None:
        charge = charge.times(Decimal(str(factor.args["factor"])))
    book.bill(entry, charge)


def succeed(book: Book, entry: Entry, ask: Ask, inputs_px: tuple[tuple[int, int], ...]) -> None:
    """Decide what a request that ran to its end gives: pictures, or a moderation failure; and bill it."""
    size = output_size(ask, inputs_px)
    wrong_size = entry.fault("wrong_size")
    if wrong_size is not None:
        size = int(wrong_size.number("width")), int(wrong_size.number("height"))
    count = _count(entry, ask)
    flagged = _flagged(entry, count)
    delivers_flagged = entry.model.provider == "fal" and entry.model.flags
    drops_flagged = entry.model.endpoint in FLUX_OPEN
    if flagged and not delivers_flagged and (len(flagged) == count or not drops_flagged):
        entry.outcome, entry.failure = Outcome.FAILED, moderation_failure(entry)
        return
    entry.outcome = Outcome.SUCCEEDED
    entry.pictures = [
        Picture(*size, flagged=position in flagged)
        for position in range(count)
        if delivers_flagged or position not in flagged
    ]
    bill(book, entry, made_of(ask, len(entry.pictures), inputs_px, entry.run_seconds))


def _count(entry: Entry, ask: Ask) -> int:
    count = ask.count
    for fault in entry.faults:
        match fault.kind:
            case "fewer_images":
                count = min(count, int(fault.number("n")))
            case "more_images":
                count += int(fault.number("n"))
            case "partial_moderation":
                count = max(0, count - int(fault.number("dropped")))
    return count


def _flagged(entry: Entry, count: int) -> set[int]:
    fault = entry.fault("flag_content")
    if fault is None or entry.input.get("disable_safety_checker") is True:
        return set()
    positions = fault.args["at"]
    return (
        set(range(count))
        if not positions
        else {int(position) for position in positions if int(position) < count}
    )


def fail(book: Book, entry: Entry, failure: Failure, elapsed_seconds: float) -> None:
    """End a request as failed. Billed are busy seconds, where those are the price, or what a fault says."""
    entry.outcome, entry.failure = Outcome.FAILED, failure
    fault = entry.fault("fail_run")
    billed = fault is not None and fault.flag("billed")
    if entry.ask is not None and (billed or (entry.model.unit == TIME_UNIT and entry.started_at is not None)):
        bill(book, entry, made_of(entry.ask, entry.ask.count, (), elapsed_seconds))


def cancel(book: Book, entry: Entry, elapsed_seconds: float) -> None:
    """End a request as cancelled: free before it started, and at Replicate charged once it ran."""
    if entry.provider == "fal":
        entry.outcome, entry.failure = Outcome.CANCELED, cancelled_by_client()
        return
    if entry.started_at is None:
        entry.outcome = Outcome.ABORTED
        return
    entry.outcome = Outcome.CANCELED
    if entry.ask is not None:
        bill(book, entry, made_of(entry.ask, entry.ask.count, (), elapsed_seconds))
