"""Bad input: code, reason and field, and that nothing reached the core, so that nothing was written or charged."""

from collections.abc import Callable
from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration
from lightmeter.v1 import drawing_pb2, job_pb2, money_pb2
from lightmeter.v1 import image_service_pb2 as pb

from service.rpc.drawing_in import read_drawing
from service.rpc.syntax import Faults
from tests.rpc import samples
from tests.rpc.rig import Rig, refused

FIELD_INVALID = "ERROR_REASON_FIELD_INVALID"


def request(**drawing: Any) -> pb.GenerateRequest:
    """A good request, changed."""
    return pb.GenerateRequest(
        drawing=drawing_pb2.Drawing(**{"model": "flux-schnell", "prompt": "a fox"} | drawing)
    )


def optioned(**options: Any) -> pb.GenerateRequest:
    """A good drawing with options."""
    return pb.GenerateRequest(drawing=request().drawing, options=pb.SubmitOptions(**options))


def sized(**size: Any) -> pb.GenerateRequest:
    """A good drawing with a size."""
    return request(size=drawing_pb2.ImageSize(**size))


def dimensions(width_px: int, height_px: int) -> drawing_pb2.Dimensions:
    """An exact size."""
    return drawing_pb2.Dimensions(width_px=width_px, height_px=height_px)


def extra(values: dict[str, Any]) -> pb.GenerateRequest:
    """A drawing with further parameters."""
    message = request()
    message.drawing.extra.update(values)
    return message


GENERATE = {
    "no drawing": (pb.GenerateRequest(), ["drawing.model", "drawing.prompt"]),
    "no model": (request(model=""), ["drawing.model"]),
    "control in the model": (request(model="flux\x07"), ["drawing.model"]),
    "empty prompt": (request(prompt=""), ["drawing.prompt"]),
    "prompt of spaces": (request(prompt=" \n\t "), ["drawing.prompt"]),
    "prompt too long": (request(prompt="x" * 32_001), ["drawing.prompt"]),
    "NUL in the prompt": (request(prompt="a\0b"), ["drawing.prompt"]),
    "escape in the prompt": (request(prompt="a\x1b[2Jb"), ["drawing.prompt"]),
    "C1 control in the prompt": (request(prompt="a\x85b"), ["drawing.prompt"]),
    "negative prompt too long": (request(negative_prompt="x" * 8_001), ["drawing.negative_prompt"]),
    "control in the negative prompt": (request(negative_prompt="\x7f"), ["drawing.negative_prompt"]),
    "count above": (request(image_count=11), ["drawing.image_count"]),
    "count below": (request(image_count=-1), ["drawing.image_count"]),
    "seed below": (request(seed=-1), ["drawing.seed"]),
    "variation above": (request(variation=1_000_001), ["drawing.variation"]),
    "variation below": (request(variation=-1), ["drawing.variation"]),
    "steps zero": (request(steps=0), ["drawing.steps"]),
    "guidance NaN": (request(guidance=float("nan")), ["drawing.guidance"]),
    "guidance infinite": (request(guidance=float("inf")), ["drawing.guidance"]),
    "unknown quality": (request(quality=99), ["drawing.quality"]),
    "unknown format": (request(format=99), ["drawing.format"]),
    "unknown background": (request(background=-3), ["drawing.background"]),
    "width zero": (sized(dimensions=dimensions(0, 64)), ["drawing.size.dimensions.width_px"]),
    "height above": (sized(dimensions=dimensions(64, 14_143)), ["drawing.size.dimensions.height_px"]),
    "preset and pixels": (
        sized(dimensions=dimensions(64, 64), resolution=drawing_pb2.RESOLUTION_ONE_K),
        ["drawing.size.resolution"],
    ),
    "preset and resolution": (
        sized(preset=drawing_pb2.SIZE_PRESET_SQUARE, resolution=drawing_pb2.RESOLUTION_ONE_K),
        ["drawing.size.resolution"],
    ),
    "unknown preset": (sized(preset=99), ["drawing.size.preset"]),
    "unspecified preset": (sized(preset=0), ["drawing.size.preset"]),
    "unknown resolution": (sized(resolution=99), ["drawing.size.resolution"]),
    "ratio zero": (
        sized(aspect_ratio=drawing_pb2.AspectRatio(width=0, height=9)),
        ["drawing.size.aspect_ratio.width"],
    ),
    "too many extra keys": (extra({f"k{n}": n for n in range(33)}), ["drawing.extra"]),
    "extra too long": (extra({"k": "x" * 8_200}), ["drawing.extra"]),
    "NUL in extra": (extra({"k": ["a\0"]}), ["drawing.extra.k[0]"]),
    "request_id too long": (optioned(request_id="x" * 65), ["options.request_id"]),
    "request_id not printable": (optioned(request_id="a\nb"), ["options.request_id"]),
    "request_id not ASCII": (optioned(request_id="é"), ["options.request_id"]),
    "unknown cache mode": (optioned(cache_mode=99), ["options.cache_mode"]),
    "age zero": (optioned(cache_max_age=Duration()), ["options.cache_max_age"]),
    "duration of two signs": (optioned(cache_max_age=Duration(seconds=1, nanos=-1)), ["options.cache_max_age"]),
    "timeout zero": (optioned(job_timeout=Duration()), ["options.job_timeout"]),
    "timeout above a day": (optioned(job_timeout=Duration(seconds=86_401)), ["options.job_timeout"]),
    "wait above 25 s": (optioned(wait=Duration(seconds=26)), ["options.wait"]),
    "wait below zero": (optioned(wait=Duration(seconds=-1)), ["options.wait"]),
    "no policy's name": (optioned(policy=""), ["options.policy"]),
    "pin without a provider": (optioned(pin=job_pb2.RouteSelector(route="r")), ["options.pin.provider"]),
    "negative max_cost": (
        optioned(max_cost=money_pb2.Money(currency_code="USD", amount_nanos=-1)),
        ["options.max_cost.amount_nanos"],
    ),
    "foreign currency": (
        optioned(max_cost=money_pb2.Money(currency_code="EUR", amount_nanos=1)),
        ["options.max_cost.currency_code"],
    ),
    "too many labels": (optioned(labels={f"k{n}": "v" for n in range(17)}), ["options.labels"]),
    "bad label key": (optioned(labels={"Team": "x"}), ["options.labels[Team]"]),
    "label key too long": (optioned(labels={"k" * 64: "x"}), [f"options.labels[{'k' * 64}]"]),
    "label value too long": (optioned(labels={"team": "é" * 65}), ["options.labels[team]"]),
    "control in a label": (optioned(labels={"team": "a\0"}), ["options.labels[team]"]),
    "three at once": (
        request(prompt="", image_count=11, seed=-1),
        ["drawing.prompt", "drawing.image_count", "drawing.seed"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", GENERATE.values(), ids=GENERATE.keys())
async def test_a_wrong_field_is_named_and_nothing_happens(rig: Rig, case: tuple) -> None:
    """Every fault of a Generate is listed with its path."""
    message, fields = case
    answer = await refused(rig.images.Generate(message, timeout=5))
    assert ("INVALID_ARGUMENT", FIELD_INVALID) == (answer.code, answer.reason)
    assert sorted(fields) == sorted(answer.fields)
    assert answer.fields[0] == answer.metadata["field"]
    assert [] == rig.submissions.asked


async def test_limit_and_actual_value_are_told(rig: Rig) -> None:
    """A program can tell what would have been right."""
    answer = await refused(rig.images.Generate(request(image_count=11), timeout=5))
    assert ("10", "11") == (answer.metadata["limit"], answer.metadata["actual"])


@pytest.mark.parametrize(
    "good",
    [
        request(prompt="x" * 32_000),
        request(prompt="two\nlines\twith a tab\r\nand 🦊"),
        request(image_count=10, seed=2**63 - 1, variation=1_000_000),
        sized(dimensions=dimensions(14_142, 1)),
        sized(resolution=drawing_pb2.RESOLUTION_FOUR_K),
        optioned(
            request_id="a b~" + "x" * 60, wait=Duration(seconds=25), job_timeout=Duration(seconds=86_400)
        ),
        optioned(labels={"k" * 63: "é" * 64}),
        extra({"exact": float(2**53), "negative": -float(2**53)}),
    ],
    ids=range(8),
)
async def test_what_lies_on_a_limit_is_taken(rig: Rig, good: pb.GenerateRequest) -> None:
    """Limits are included."""
    await rig.images.Generate(good, timeout=5)
    assert 1 == len(rig.submissions.asked)


@pytest.mark.parametrize("value", [2.0**53 + 2, -(2.0**53) - 2, 1e300, float("nan"), float("inf")])
async def test_numbers_that_json_would_change_are_refused(rig: Rig, value: float) -> None:
    """A double can't hold them exactly, and the provider would get another number."""
    message = request()
    message.drawing.extra.fields["inner"].struct_value.fields["n"].number_value = value
    answer = await refused(rig.images.Generate(message, timeout=5))
    assert ("INVALID_ARGUMENT", "ERROR_REASON_PARAMETER_UNSUPPORTED") == (answer.code, answer.reason)
    assert ["drawing.extra.inner.n"] == answer.fields
    assert [] == rig.submissions.asked


@pytest.mark.parametrize("mode", [job_pb2.CACHE_MODE_REFRESH, job_pb2.CACHE_MODE_BYPASS])
async def test_drawing_anew_needs_a_request_id(rig: Rig, mode: int) -> None:
    """A repeated call would be paid twice."""
    answer = await refused(rig.images.Generate(optioned(cache_mode=mode), timeout=5))
    assert ("INVALID_ARGUMENT", "ERROR_REASON_REQUEST_ID_REQUIRED") == (answer.code, answer.reason)
    assert ["options.request_id"] == answer.fields
    assert [] == rig.submissions.asked


def edit(*images: drawing_pb2.InputImage, **inputs: Any) -> pb.EditRequest:
    """An edit of some pictures."""
    drawn = drawing_pb2.EditInputs(images=images, **inputs)
    return pb.EditRequest(drawing=request().drawing, inputs=drawn)


def inline(content: bytes = b"x") -> drawing_pb2.InputImage:
    """A picture in the request itself."""
    return drawing_pb2.InputImage(content=content)


EDITS = {
    "no picture": (edit(), ["inputs.images"]),
    "a mask without a picture": (edit(mask=inline()), ["inputs.images"]),
    "too many pictures": (edit(*[inline()] * 17), ["inputs.images"]),
    "a picture without a source": (edit(inline(), drawing_pb2.InputImage()), ["inputs.images[1]"]),
    "an empty picture": (edit(inline(b"")), ["inputs.images[0].content"]),
    "no digest": (
        edit(drawing_pb2.InputImage(asset_sha256="AB" * 32)), ["inputs.images[0].asset_sha256"],
    ),
    "a long address": (
        edit(drawing_pb2.InputImage(url="https://example.com/" + "x" * 2_048)), ["inputs.images[0].url"],
    ),
    "a line break in an address": (
        edit(drawing_pb2.InputImage(url="https://example.com/\nHost: x")), ["inputs.images[0].url"],
    ),
    "strength above one": (edit(inline(), strength=1.5), ["inputs.strength"]),
    "strength NaN": (edit(inline(), strength=float("nan")), ["inputs.strength"]),
    "nothing to expand": (edit(inline(), expansion=drawing_pb2.Expansion()), ["inputs.expansion"]),
    "a negative edge": (
        edit(inline(), expansion=drawing_pb2.Expansion(left_px=-1)), ["inputs.expansion.left_px"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", EDITS.values(), ids=EDITS.keys())
async def test_a_wrong_input_is_named_and_nothing_happens(rig: Rig, case: tuple) -> None:
    """Every fault of an Edit is listed with its path."""
    message, fields = case
    answer = await refused(rig.images.Edit(message, timeout=5))
    assert ("INVALID_ARGUMENT", FIELD_INVALID) == (answer.code, answer.reason)
    assert fields == answer.fields
    assert [] == rig.submissions.asked


async def test_inline_pictures_together_have_a_limit(rig: Rig) -> None:
    """The picture that passes 3 MiB is named, with limit and sum; exactly 3 MiB are taken."""
    half = 3 * 1024 * 1024 // 2
    await rig.images.Edit(edit(inline(b"x" * half), mask=inline(b"x" * half)), timeout=5)
    rig.submissions.asked.clear()
    answer = await refused(rig.images.Edit(edit(inline(b"x" * half), inline(b"x" * (half + 1))), timeout=5))
    assert ("INVALID_ARGUMENT", "ERROR_REASON_INPUT_IMAGE_TOO_LARGE") == (answer.code, answer.reason)
    assert ("1", str(2 * half), str(2 * half + 1)) == (
        answer.metadata["index"], answer.metadata["limit"], answer.metadata["actual"],
    )  # fmt: skip
    assert ["inputs.images[1]"] == answer.fields
    assert [] == rig.submissions.asked


CALLS: dict[str, tuple[Callable[[Rig], Any], str]] = {
    "no job_id": (lambda rig: rig.images.GetJob(pb.GetJobRequest(), timeout=5), "job_id"),
    "unknown view": (lambda rig: rig.images.GetJob(pb.GetJobRequest(job_id="j", view=9), timeout=5), "view"),
    "bad request_id": (lambda rig: rig.images.GetJob(pb.GetJobRequest(request_id="\n"), timeout=5), "request_id"),
    "watch of nothing": (lambda rig: rig.images.WatchJob(pb.WatchJobRequest(), timeout=5), "job_id"),
    "negative version": (
        lambda rig: rig.images.WatchJob(pb.WatchJobRequest(job_id="j", after_version=-1), timeout=5), "after_version",
    ),
    "cancel of nothing": (lambda rig: rig.images.CancelJob(pb.CancelJobRequest(), timeout=5), "job_id"),
    "long reason": (
        lambda rig: rig.images.CancelJob(pb.CancelJobRequest(job_id="j", reason="x" * 201), timeout=5), "reason",
    ),
    "no digest": (
        lambda rig: rig.images.DownloadAsset(pb.DownloadAssetRequest(sha256="x"), timeout=5), "sha256",
    ),
    "negative offset": (
        lambda rig: rig.images.DownloadAsset(
            pb.DownloadAssetRequest(sha256=samples.SHA, offset_bytes=-1), timeout=5
        ),
        "offset_bytes",
    ),
    "bad project": (
        lambda rig: rig.images.Generate(request(), timeout=5, metadata=(("lightmeter-project", "Growth!"),)),
        "lightmeter-project",
    ),
    "long project": (
        lambda rig: rig.images.Generate(request(), timeout=5, metadata=(("lightmeter-project", "g" * 64),)),
        "lightmeter-project",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CALLS.values(), ids=CALLS.keys())
async def test_a_wrong_field_of_another_call_is_named(rig: Rig, case: tuple) -> None:
    """The other methods check their fields too."""
    call, field = case
    answer = await refused(call(rig))
    assert ("INVALID_ARGUMENT", FIELD_INVALID, field) == (
        answer.code,
        answer.reason,
        answer.metadata["field"],
    )
    assert [] == [*rig.submissions.asked, *rig.watches.asked, *rig.cancellations.asked]


async def test_an_offset_behind_the_end_is_refused(rig: Rig) -> None:
    """The end itself is fine: a download that was complete but for its status."""
    rig.jobs.assets = {(samples.SHA, "default"): samples.ASSET}
    rig.blobs.content = {samples.ASSET.key: b"abc"}
    at_end = pb.DownloadAssetRequest(sha256=samples.SHA, offset_bytes=3)
    assert 1 == len([part async for part in rig.images.DownloadAsset(at_end, timeout=5)])
    behind = pb.DownloadAssetRequest(sha256=samples.SHA, offset_bytes=4)
    answer = await refused(rig.images.DownloadAsset(behind, timeout=5))
    assert (FIELD_INVALID, "offset_bytes") == (answer.reason, answer.metadata["field"])


def test_half_a_surrogate_pair_is_a_fault() -> None:
    """Text that came another way than over the wire is checked all the same."""
    faults = Faults()
    assert faults.text("f", "\ud800", 10)
    with pytest.raises(Exception, match="control characters"):
        faults.refuse()


def test_a_good_drawing_has_no_faults() -> None:
    """Nothing is noted, so nothing is raised."""
    faults = Faults()
    read_drawing(faults, request().drawing, samples.DRAWING.operation)
    faults.refuse()
