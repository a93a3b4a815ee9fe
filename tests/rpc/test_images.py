"""Generate, Edit, GetJob, CancelJob and DownloadAsset on the wire."""

import grpc
import pytest
from lightmeter.v1 import drawing_pb2, job_pb2, money_pb2
from lightmeter.v1 import image_service_pb2 as pb

from service.core.requests import InputSource, Submitted
from service.domain.commands import CacheMode, Cancelled, CancelOutcome
from service.domain.drawing import AspectRatio, Dimensions, Operation, Quality, Resolution, Size
from service.domain.errors import Reason
from service.domain.failure import Failure, Fault, RetryAdvice
from service.domain.records import AssetState, JobState, Origin
from tests.rpc import samples
from tests.rpc.rig import Rig, refused

PROJECT = (("lightmeter-project", "growth"),)


def generate(**options: object) -> pb.GenerateRequest:
    """A plain request."""
    drawing = drawing_pb2.Drawing(model="flux-1.1-pro", prompt="a fox in snow")
    return pb.GenerateRequest(drawing=drawing, options=pb.SubmitOptions(**options))


async def test_generate_answers_with_the_whole_job(rig: Rig) -> None:
    """State, route, picture, receipt and timing come as the store knows them."""
    response = await rig.images.Generate(generate(), timeout=5)
    job = response.job
    assert not response.replayed
    assert (job_pb2.JOB_STATE_SUCCEEDED, 7) == (job.state, job.version)
    assert ("fal", "flux-1.1-pro", "fal-1") == (
        job.route.provider,
        job.route.route,
        job.route.provider_request_id,
    )
    assert [(samples.SHA, 0, "image/png", 1024)] == [
        (one.sha256, one.index, one.mime_type, one.width_px) for one in job.assets
    ]
    assert job.assets[0].url.endswith(samples.ASSET.key)
    assert samples.PRICE_NANOS == job.receipt.charged.amount_nanos
    assert {"team": "growth"} == dict(job.labels)
    assert 11 == job.seed_used
    assert not job.HasField("request")
    assert not job.HasField("progress")


async def test_generate_hands_every_field_to_the_core(rig: Rig) -> None:
    """What the caller sets arrives as domain values, exactly."""
    request = generate(
        request_id="banner-1",
        cache_mode=job_pb2.CACHE_MODE_REFRESH,
        labels={"team": "growth", "app": "web"},
        max_cost=money_pb2.Money(currency_code="USD", amount_nanos=128_000_000),
        pin=job_pb2.RouteSelector(provider="fal", route="flux-1.1-pro"),
    )
    request.options.cache_max_age.FromSeconds(60)
    request.options.job_timeout.FromMilliseconds(1_500)
    request.drawing.size.aspect_ratio.width = 32
    request.drawing.size.aspect_ratio.height = 18
    request.drawing.size.resolution = drawing_pb2.RESOLUTION_TWO_K
    request.drawing.image_count = 4
    request.drawing.seed = 0
    request.drawing.quality = drawing_pb2.QUALITY_HIGH
    request.drawing.guidance = 3.5
    request.drawing.extra.update({"count": 2, "share": 0.1, "words": ["a", True, None]})
    await rig.images.Generate(request, metadata=PROJECT, timeout=5)
    [asked] = rig.submissions.asked
    assert ("growth", "banner-1", CacheMode.REFRESH) == (asked.project, asked.request_id, asked.cache_mode)
    assert (("app", "web"), ("team", "growth")) == asked.labels
    assert (128_000_000, "fal", "flux-1.1-pro") == (asked.max_cost_nanos, asked.pin_provider, asked.pin_route)
    assert (60.0, 1.5) == (asked.cache_max_age_seconds, asked.job_timeout_seconds)
    drawing = asked.drawing
    assert Size(aspect_ratio=AspectRatio(16, 9), resolution=Resolution.TWO_K) == drawing.size
    assert drawing.size_given
    assert (Operation.GENERATE, 4, 0, Quality.HIGH) == (
        drawing.operation, drawing.image_count, drawing.seed, drawing.quality,
    )  # fmt: skip
    assert "3.5" == str(drawing.guidance)
    assert ["2", "0.1"] == [str(drawing.extra["count"]), str(drawing.extra["share"])]
    assert isinstance(drawing.extra["count"], int)
    assert ["a", True, None] == drawing.extra["words"]


async def test_an_absent_size_is_not_an_automatic_one(rig: Rig) -> None:
    """Nothing said takes the model's default; `auto` leaves it to the provider."""
    request = generate()
    await rig.images.Generate(request, timeout=5)
    request.drawing.size.auto.SetInParent()
    await rig.images.Generate(request, timeout=5)
    assert [False, True] == [one.drawing.size_given for one in rig.submissions.asked]


@pytest.mark.parametrize(
    ("preset", "size"),
    [
        (drawing_pb2.SIZE_PRESET_SQUARE, (512, 512)),
        (drawing_pb2.SIZE_PRESET_SQUARE_HD, (1024, 1024)),
        (drawing_pb2.SIZE_PRESET_PORTRAIT_4_3, (768, 1024)),
        (drawing_pb2.SIZE_PRESET_PORTRAIT_16_9, (576, 1024)),
        (drawing_pb2.SIZE_PRESET_LANDSCAPE_4_3, (1024, 768)),
        (drawing_pb2.SIZE_PRESET_LANDSCAPE_16_9, (1024, 576)),
    ],
)
async def test_a_preset_is_its_exact_size(rig: Rig, preset: int, size: tuple[int, int]) -> None:
    """Asking by name and asking by pixels is the same request."""
    request = generate()
    request.drawing.size.preset = preset
    await rig.images.Generate(request, timeout=5)
    assert Dimensions(*size) == rig.submissions.asked[0].drawing.size.dimensions


async def test_only_equal_preparations_have_equal_bytes(rig: Rig) -> None:
    """request_id, labels and wait don't change what is prepared; the drawing, the pin and the price limit do."""
    plain, named, dear, pinned = (
        generate(),
        generate(request_id="x", labels={"a": "b"}),
        generate(),
        generate(),
    )
    dear.options.max_cost.currency_code = "USD"
    pinned.options.pin.provider = "fal"
    for request in (plain, named, dear, pinned):
        await rig.images.Generate(request, timeout=5)
    first, second, third, fourth = (one.request_bytes for one in rig.submissions.asked)
    assert first == second
    assert 3 == len({first, third, fourth})


async def test_edit_names_its_sources_by_path(rig: Rig) -> None:
    """Each picture keeps the field it came in, so that errors can name it."""
    request = pb.EditRequest(drawing=drawing_pb2.Drawing(model="flux-kontext-pro", prompt="add a hat"))
    request.inputs.images.add(asset_sha256=samples.SHA)
    request.inputs.images.add(url="https://example.com/a.png")
    request.inputs.mask.content = b"mask"
    request.inputs.strength = 0.25
    request.inputs.expansion.left_px = 64
    await rig.images.Edit(request, timeout=5)
    [asked] = rig.submissions.asked
    assert (
        InputSource("inputs.images[0]", sha256=samples.SHA),
        InputSource("inputs.images[1]", url="https://example.com/a.png"),
    ) == asked.images
    assert InputSource("inputs.mask", content=b"mask") == asked.mask
    assert "0.25" == str(asked.strength)
    assert asked.expansion is not None
    assert 64 == asked.expansion.left_px
    assert Operation.EDIT is asked.drawing.operation


async def test_a_wait_ends_before_the_deadline_of_the_call(rig: Rig) -> None:
    """The answer is held back for the shorter of `wait` and what the call has left, less half a second."""
    rig.submissions.answer = Submitted(samples.running_view(), replayed=False)
    rig.watches.final = samples.done_view()
    request = generate()
    request.options.wait.FromSeconds(20)
    response = await rig.images.Generate(request, timeout=3)
    assert job_pb2.JOB_STATE_SUCCEEDED == response.job.state
    [waited] = rig.watches.waited
    assert 2.0 < waited < 2.6


async def test_a_final_job_is_not_waited_for(rig: Rig) -> None:
    """A cached picture is answered at once."""
    request = generate()
    request.options.wait.FromSeconds(20)
    await rig.images.Generate(request, timeout=5)
    assert [] == rig.watches.waited


async def test_a_replayed_submission_says_so(rig: Rig) -> None:
    """The caller can tell an old job from a new one."""
    rig.submissions.answer = Submitted(samples.done_view(), replayed=True)
    assert (await rig.images.Generate(generate(), timeout=5)).replayed


async def test_get_job_finds_by_id_and_by_request_id(rig: Rig) -> None:
    """Both selectors name the same job."""
    rig.jobs.views = [samples.done_view()]
    by_id = await rig.images.GetJob(pb.GetJobRequest(job_id=samples.JOB_ID), timeout=5)
    by_name = await rig.images.GetJob(pb.GetJobRequest(request_id="banner-1"), timeout=5)
    assert by_id == by_name


async def test_the_full_view_adds_what_was_asked_for(rig: Rig) -> None:
    """The request comes back as it was recorded, and only when it is asked for."""
    rig.jobs.views = [samples.done_view(max_cost_nanos=5, deadline_at=samples.T0 + 30 * samples.SECOND)]
    full = pb.GetJobRequest(job_id=samples.JOB_ID, view=pb.JOB_VIEW_FULL)
    request = (await rig.images.GetJob(full, timeout=5)).job.request
    assert ("a fox in snow", 7) == (request.drawing.prompt, request.drawing.seed)
    assert (1024, 1024) == (
        request.drawing.size.dimensions.width_px,
        request.drawing.size.dimensions.height_px,
    )
    assert (5, 30) == (request.max_cost.amount_nanos, request.job_timeout.seconds)


async def test_every_job_of_another_project_is_unknown(rig: Rig) -> None:
    """Another project's job, an unknown one, and an id that can't exist look the same."""
    rig.jobs.views = [samples.done_view(project="other")]
    answers = [
        await refused(rig.images.GetJob(pb.GetJobRequest(job_id=job_id), timeout=5))
        for job_id in (samples.JOB_ID, "unknown", "nul\0", "x" * 65)
    ]
    assert {("NOT_FOUND", "ERROR_REASON_JOB_NOT_FOUND")} == {(one.code, one.reason) for one in answers}
    assert 1 == len({(one.text, str(one.metadata), one.status_bytes) for one in answers})


async def test_a_failed_job_is_no_failed_call(rig: Rig) -> None:
    """The call is OK, and the job says why, by code, reason, fault and advice."""
    failure = Failure(
        Reason.PROVIDER_FAILED,
        "the model ran out of memory",
        Fault.PROVIDER,
        RetryAdvice.FREE,
        metadata={"attempt": "1"},
        retry_delay_seconds=2.5,
        provider_message="CUDA",
    )
    rig.jobs.views = [samples.running_view(state=JobState.FAILED, final_at=samples.T0 + 1, failure=failure)]
    job = (await rig.images.GetJob(pb.GetJobRequest(job_id=samples.JOB_ID), timeout=5)).job
    assert (38, grpc.StatusCode.ABORTED.value[0]) == (job.failure.reason, job.failure.code)
    assert (job_pb2.FAULT_PROVIDER, job_pb2.RETRY_ADVICE_FREE) == (
        job.failure.fault,
        job.failure.retry_advice,
    )
    assert 2.5 == job.failure.retry_delay.ToTimedelta().total_seconds()
    assert "" == job.failure.provider_message
    full = pb.GetJobRequest(job_id=samples.JOB_ID, view=pb.JOB_VIEW_FULL)
    assert "CUDA" == (await rig.images.GetJob(full, timeout=5)).job.failure.provider_message


async def test_a_running_job_shows_its_progress(rig: Rig) -> None:
    """Stage, fraction and last line are there, and an unknown queue position is absent, not 0."""
    rig.jobs.views = [samples.running_view()]
    job = (await rig.images.GetJob(pb.GetJobRequest(job_id=samples.JOB_ID), timeout=5)).job
    assert job_pb2.JOB_STATE_RUNNING == job.state
    assert 4 == job.version
    assert (job_pb2.PROGRESS_STAGE_DRAWING, 0.6, "step 3", 1) == (
        job.progress.stage, job.progress.fraction, job.progress.last_log, job.progress.attempt_number,
    )  # fmt: skip
    assert not job.progress.HasField("queue_position")
    assert not job.HasField("finish_time")
    assert not job.timing.HasField("total")
    assert money_pb2.SETTLEMENT_OPEN == job.receipt.settlement


async def test_cancel_job_tells_what_was_done(rig: Rig) -> None:
    """The outcome of the core comes back with the job, and the core is told whose job it is."""
    rig.cancellations.answer = Cancelled(CancelOutcome.DETACHED, samples.done_view(Origin.SHARED))
    request = pb.CancelJobRequest(job_id=samples.JOB_ID, reason="too slow")
    response = await rig.images.CancelJob(request, metadata=PROJECT, timeout=5)
    assert pb.CANCEL_OUTCOME_DETACHED == response.outcome
    assert [(samples.JOB_ID, "growth", "too slow")] == rig.cancellations.asked


async def test_download_sends_the_asset_and_then_its_bytes(rig: Rig) -> None:
    """The first part describes the picture, the chunks together are its bytes, from the offset on."""
    content = bytes(range(256)) * 2_500
    rig.jobs.assets = {(samples.SHA, "default"): samples.ASSET}
    rig.blobs.content = {samples.ASSET.key: content}
    request = pb.DownloadAssetRequest(sha256=samples.SHA, offset_bytes=100)
    parts = [part async for part in rig.images.DownloadAsset(request, timeout=5)]
    assert samples.SHA == parts[0].asset.sha256
    assert content[100:] == b"".join(part.chunk for part in parts[1:])
    assert 256 * 1024 == max(len(part.chunk) for part in parts)


async def test_a_picture_of_another_project_is_not_found(rig: Rig) -> None:
    """Another project's picture, one that is gone, and one that never was are answered alike."""
    gone = "cd" * 32
    rig.jobs.assets = {
        (samples.SHA, "other"): samples.ASSET,
        (gone, "default"): samples.replace(samples.ASSET, sha256=gone, state=AssetState.GONE),
    }
    for sha256 in (samples.SHA, gone, "ef" * 32):
        call = rig.images.DownloadAsset(pb.DownloadAssetRequest(sha256=sha256), timeout=5)
        answer = await refused(call)
        assert ("NOT_FOUND", "ERROR_REASON_ASSET_NOT_FOUND") == (answer.code, answer.reason)


async def test_an_upload_is_not_offered_and_a_huge_one_is_too_large(rig: Rig) -> None:
    """A 50 MB picture is refused for its size by its header; a smaller one because nobody takes uploads yet."""
    for size_bytes, code, reason in (
        (50_000_000, "INVALID_ARGUMENT", "ERROR_REASON_INPUT_IMAGE_TOO_LARGE"),
        (5_000_000, "UNIMPLEMENTED", "ERROR_REASON_UNIMPLEMENTED"),
    ):
        header = pb.UploadHeader(size_bytes=size_bytes, sha256=samples.SHA)
        answer = await refused(
            rig.images.UploadImage(iter([pb.UploadImageRequest(header=header)]), timeout=5)
        )
        assert (code, reason) == (answer.code, answer.reason)
