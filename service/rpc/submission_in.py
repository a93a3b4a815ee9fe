"""From GenerateRequest and EditRequest to a Submission. Everything that can be said of the fields alone is said here."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from hashlib import sha256
from typing import Final

from lightmeter.v1 import drawing_pb2, image_service_pb2

from service.core.requests import InputSource, Submission
from service.domain.commands import CacheMode
from service.domain.drawing import Drawing, Operation
from service.domain.errors import InputImageTooLarge, RequestIdRequired, Violation
from service.domain.limits import (
    inline_input_bytes_max,
    input_images_count_max,
    job_timeout_seconds_max,
    request_id_characters_max,
    wait_seconds_max,
)
from service.domain.value import value
from service.rpc import enums, syntax
from service.rpc.drawing_in import read_drawing, read_expansion, read_strength
from service.rpc.syntax import Faults

_CACHE_MODES: Final = enums.members(enums.CACHE_MODES)
_URL_CHARACTERS_MAX: Final = 2_048
_NAME_CHARACTERS_MAX: Final = 100
_KEPT_COUNT: Final = 4_096
_KEPT_BYTES_MAX: Final = 4_096
_NO_OPTIONS: Final = image_service_pb2.SubmitOptions()


@value(frozen=True, slots=True)
class Asked:
    """A submission, and how long its caller wants the answer held back."""

    submission: Submission
    wait_seconds: float


def read_generate(project: str, message: image_service_pb2.GenerateRequest) -> Asked:
    """Raises FieldInvalid with every fault, ParameterUnsupported or RequestIdRequired."""
    faults = Faults()
    drawn = message.drawing.SerializeToString(deterministic=True)
    drawing = _drawing(faults, drawn, message.drawing, Operation.GENERATE)
    options = _options(message)
    submission = Submission(
        project=project,
        request_id=options.request_id or None,
        drawing=drawing,
        request_bytes=_request_bytes(drawn, options, b""),
        **_read_options(faults, options),  # type: ignore[arg-type] # fields of Submission by name
    )
    wait_seconds = _wait(faults, options)
    return _accepted(faults, submission, wait_seconds)


def read_edit(project: str, message: image_service_pb2.EditRequest) -> Asked:
    """As `read_generate`; may raise InputImageTooLarge too."""
    faults = Faults()
    drawn = message.drawing.SerializeToString(deterministic=True)
    drawing = _drawing(faults, drawn, message.drawing, Operation.EDIT)
    options = _options(message)
    images, mask = _read_sources(faults, message.inputs)
    inputs_digest = sha256(message.inputs.SerializeToString(deterministic=True)).digest()
    submission = Submission(
        project=project,
        request_id=options.request_id or None,
        drawing=drawing,
        images=images,
        mask=mask,
        strength=read_strength(faults, message.inputs),
        expansion=read_expansion(faults, message.inputs),
        request_bytes=_request_bytes(drawn, options, inputs_digest),
        **_read_options(faults, options),  # type: ignore[arg-type] # fields of Submission by name
    )
    wait_seconds = _wait(faults, options)
    asked = _accepted(faults, submission, wait_seconds)
    _check_inline(asked.submission)
    return asked


def _drawing(faults: Faults, drawn: bytes, message: drawing_pb2.Drawing, operation: Operation) -> Drawing:
    """The drawing of a message; equal ones that are in order are read once, because most were sent before."""
    known = _good_drawing(drawn, operation) if len(drawn) <= _KEPT_BYTES_MAX else None
    return read_drawing(faults, message, operation) if known is None else known


@lru_cache(maxsize=_KEPT_COUNT)
def _good_drawing(drawn: bytes, operation: Operation) -> Drawing | None:
    faults = Faults()
    drawing = read_drawing(faults, drawing_pb2.Drawing.FromString(drawn), operation)
    return None if faults.found else drawing


def _options(
    message: image_service_pb2.GenerateRequest | image_service_pb2.EditRequest,
) -> image_service_pb2.SubmitOptions:
    return message.options if message.HasField("options") else _NO_OPTIONS


def _accepted(faults: Faults, submission: Submission, wait_seconds: float) -> Asked:
    faults.refuse()
    if submission.cache_mode is not CacheMode.USE and submission.request_id is None:
        field = "options.request_id"
        raise RequestIdRequired(
            f"{field}: cache_mode {submission.cache_mode.value} needs one, or a repeated call would be paid again",
            metadata={"field": field},
            violations=[Violation(field, f"required with cache_mode {submission.cache_mode.value}")],
        )
    return Asked(submission, wait_seconds)


def _request_bytes(drawn: bytes, options: image_service_pb2.SubmitOptions, inputs_digest: bytes) -> bytes:
    """Equal for equal drawings and equal choices of routes and price, and for nothing else."""
    routing = image_service_pb2.SubmitOptions()
    chosen = options.WhichOneof("routing")
    if chosen == "policy":
        routing.policy = options.policy
    elif chosen == "pin":
        routing.pin.CopyFrom(options.pin)
    if options.HasField("max_cost"):
        routing.max_cost.CopyFrom(options.max_cost)
    return b"".join(
        (
            len(drawn).to_bytes(4, "big"),
            drawn,
            inputs_digest,
            b"|",
            routing.SerializeToString(deterministic=True),
        )
    )


def _read_options(faults: Faults, options: image_service_pb2.SubmitOptions) -> dict[str, object]:
    """The fields of Submission that come from the options, by name."""
    request_id = options.request_id
    if request_id and not syntax.printable(request_id, request_id_characters_max):
        limit = request_id_characters_max
        faults.add(
            "options.request_id",
            f"1 to {limit} printable ASCII characters",
            limit=limit,
            actual=len(request_id),
        )
    read: dict[str, object] = {
        "cache_mode": faults.choice("options.cache_mode", options.cache_mode, _CACHE_MODES) or CacheMode.USE,
        "labels": syntax.labels(faults, "options.labels", options.labels),
    }
    if options.HasField("cache_max_age"):
        age = syntax.seconds(faults, "options.cache_max_age", options.cache_max_age)
        if age is not None and age <= 0:
            faults.add("options.cache_max_age", "must be positive", limit=0, actual=age)
        read["cache_max_age_seconds"] = age
    if options.HasField("job_timeout"):
        timeout = syntax.seconds(faults, "options.job_timeout", options.job_timeout)
        if timeout is not None and not 0 < timeout <= job_timeout_seconds_max:
            limit = job_timeout_seconds_max
            faults.add("options.job_timeout", f"above 0 and at most {limit} s", limit=limit, actual=timeout)
        read["job_timeout_seconds"] = timeout
    if options.HasField("max_cost"):
        read["max_cost_nanos"] = syntax.dollars(faults, "options.max_cost", options.max_cost)
    chosen = options.WhichOneof("routing")
    if chosen == "policy":
        read["policy"] = _name(faults, "options.policy", options.policy)
    elif chosen == "pin":
        read["pin_provider"] = _name(faults, "options.pin.provider", options.pin.provider)
        if options.pin.route:
            read["pin_route"] = _name(faults, "options.pin.route", options.pin.route)
    return read


def _name(faults: Faults, field: str, value: str) -> str:
    if not syntax.printable(value, _NAME_CHARACTERS_MAX):
        limit = _NAME_CHARACTERS_MAX
        faults.add(field, f"must be 1 to {limit} printable ASCII characters", limit=limit, actual=len(value))
    return value


def _wait(faults: Faults, options: image_service_pb2.SubmitOptions) -> float:
    if not options.HasField("wait"):
        return 0.0
    wait_seconds = syntax.seconds(faults, "options.wait", options.wait)
    if wait_seconds is None:
        return 0.0
    if not 0 <= wait_seconds <= wait_seconds_max:
        faults.add(
            "options.wait",
            f"must be 0 to {wait_seconds_max:.0f} s",
            limit=wait_seconds_max,
            actual=wait_seconds,
        )
    return wait_seconds


# ---------------------------------------------------------------- inputs of an edit


def _read_sources(
    faults: Faults, message: drawing_pb2.EditInputs
) -> tuple[tuple[InputSource, ...], InputSource | None]:
    count = len(message.images)
    if count == 0:
        mask = ", and a mask is none" if message.HasField("mask") else ""
        faults.add("inputs.images", f"an edit needs at least one picture{mask}", limit=1, actual=0)
    if count > input_images_count_max:
        limit = input_images_count_max
        faults.add("inputs.images", f"at most {limit} pictures", limit=limit, actual=count)
    images = tuple(
        _source(faults, f"inputs.images[{index}]", image)
        for index, image in enumerate(message.images[:input_images_count_max])
    )
    return images, _source(faults, "inputs.mask", message.mask) if message.HasField("mask") else None


def _source(faults: Faults, field: str, message: drawing_pb2.InputImage) -> InputSource:
    source = message.WhichOneof("source")
    if source == "asset_sha256":
        return InputSource(field, sha256=syntax.sha256(faults, f"{field}.asset_sha256", message.asset_sha256))
    if source == "url":
        if not message.url or len(message.url) > _URL_CHARACTERS_MAX:
            limit = _URL_CHARACTERS_MAX
            faults.add(f"{field}.url", f"1 to {limit} characters", limit=limit, actual=len(message.url))
        elif syntax.has_control(message.url) or any(one.isspace() for one in message.url):
            faults.add(f"{field}.url", "must not contain spaces or control characters")
        return InputSource(field, url=message.url)
    if source == "content":
        if not message.content:
            faults.add(f"{field}.content", "must not be empty", limit=1, actual=0)
        return InputSource(field, content=message.content)
    faults.add(field, "needs one of asset_sha256, url and content")
    return InputSource(field)


def _check_inline(submission: Submission) -> None:
    """All inline pictures together; the one that passes the limit is named."""
    total_bytes = 0
    for index, source in _numbered(submission):
        total_bytes += len(source.content or b"")
        if total_bytes > inline_input_bytes_max:
            limit = inline_input_bytes_max
            text = f"inline pictures together have at most {limit} bytes; send larger ones by UploadImage"
            raise InputImageTooLarge(
                f"{source.field}: {text}",
                metadata={
                    "field": source.field,
                    "index": str(index),
                    "limit": str(limit),
                    "actual": str(total_bytes),
                },
                violations=[Violation(source.field, text)],
            )


def _numbered(submission: Submission) -> Iterator[tuple[int, InputSource]]:
    yield from enumerate(submission.images)
    if submission.mask is not None:
        yield len(submission.images), submission.mask
