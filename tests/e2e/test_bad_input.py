"""Bad input, over the wire and against a whole replica: code, reason and field; nothing written, sent or charged."""

from __future__ import annotations

import asyncio
import struct
import zlib
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import grpc
import pytest
import pytest_asyncio
from lightmeter import Drawing, InputRefused
from lightmeter.v1 import (
    drawing_pb2,
    image_service_pb2_grpc,
    job_pb2,
    ledger_service_pb2,
    ledger_service_pb2_grpc,
    money_pb2,
)
from lightmeter.v1 import image_service_pb2 as pb
from PIL import Image

from sandbox import Sandbox
from tests.rpc.rig import Refusal, refused
from tests.support.replica import (
    WAIT_SECONDS_MAX,
    Replica,
    billed_nanos,
    posts,
    running_replica,
    running_sandbox,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")

RULES = """
required_labels: {strict: [team]}
budgets: [{project: poor, window: day, limit_usd: "0.000000001"}]
"""


@dataclass
class House:
    """A replica on which one good job has been done, and plain stubs of it."""

    replica: Replica
    sandbox: Sandbox
    images: Any
    books: Any
    job: Any

    def books_now(self) -> tuple[Mapping[str, int], int, int]:
        """What must not change."""
        return self.replica.rows(), posts(self.sandbox), billed_nanos(self.sandbox)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    """One for all cases: a refused request leaves nothing behind, which is what they show."""
    folder = tmp_path_factory.mktemp("replica")
    async with running_sandbox() as sandbox, running_replica(folder, sandbox, rules=RULES) as replica:
        drawn = Drawing(model="flux-schnell", prompt="a good one")
        job = await replica.client("default").generate(
            drawn, request_id="taken", labels={"team": "ads"}, timeout=WAIT_SECONDS_MAX
        )
        options = [("grpc.max_send_message_length", -1)]
        async with grpc.aio.insecure_channel(replica.application.grpc_address, options=options) as channel:
            images = image_service_pb2_grpc.ImageServiceStub(channel)
            books = ledger_service_pb2_grpc.LedgerServiceStub(channel)
            yield House(replica, sandbox, images, books, job)


@dataclass(frozen=True)
class Case:
    """A request, and how it is refused."""

    request: Any
    reason: str
    field: str = ""
    code: str = "INVALID_ARGUMENT"
    project: str = "default"
    told: tuple[tuple[str, str], ...] = ()
    """Metadata that must be there with these values."""


def generate(options: Mapping[str, Any] | None = None, **drawing: Any) -> pb.GenerateRequest:
    """A good request, changed."""
    return pb.GenerateRequest(
        drawing=drawing_pb2.Drawing(**{"model": "flux-schnell", "prompt": "a fox"} | drawing),
        options=pb.SubmitOptions(**(options or {})),
    )


def edit(
    *images: bytes | drawing_pb2.InputImage, mask: bytes | None = None, **drawing: Any
) -> pb.EditRequest:
    """An edit of some pictures."""
    inputs = drawing_pb2.EditInputs(
        images=[drawing_pb2.InputImage(content=one) if isinstance(one, bytes) else one for one in images]
    )
    if mask is not None:
        inputs.mask.content = mask
    wanted = {"model": "flux-kontext-pro", "prompt": "make it night"} | drawing
    return pb.EditRequest(drawing=drawing_pb2.Drawing(**wanted), inputs=inputs)


def size(width_px: int, height_px: int) -> drawing_pb2.ImageSize:
    """An exact size."""
    return drawing_pb2.ImageSize(dimensions=drawing_pb2.Dimensions(width_px=width_px, height_px=height_px))


def picture(width_px: int = 64, height_px: int = 64, kind: str = "PNG") -> bytes:
    """A small picture that is one."""
    file = BytesIO()
    Image.new("RGB", (width_px, height_px), "teal").save(file, kind)
    return file.getvalue()


def bomb() -> bytes:
    """A PNG of a few bytes that says it has 900 million pixels."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b""))
        + chunk(b"IEND", b"")
    )


ONE_K = drawing_pb2.RESOLUTION_ONE_K
USD = money_pb2.Money(currency_code="USD", amount_nanos=1)
FIELD, ROUTE, IMAGE = "FIELD_INVALID", "NO_ELIGIBLE_ROUTE", "INPUT_IMAGE_INVALID"

CASES = {
    "empty prompt": Case(generate(prompt=""), FIELD, "drawing.prompt"),
    "prompt of spaces": Case(generate(prompt=" \n "), FIELD, "drawing.prompt"),
    "prompt too long": Case(generate(prompt="x" * 32_001), FIELD, "drawing.prompt"),
    "control characters": Case(generate(prompt="a\x00b"), FIELD, "drawing.prompt"),
    "escape sequence": Case(generate(prompt="a\x1b[2Jb"), FIELD, "drawing.prompt"),
    "no model": Case(generate(model=""), FIELD, "drawing.model"),
    "unknown model": Case(
        generate(model="flux-schnel"), "MODEL_NOT_FOUND", "drawing.model", code="NOT_FOUND",
        told=(("suggestion", "flux-schnell"),),
    ),
    "unknown provider": Case(
        generate({"pin": job_pb2.RouteSelector(provider="faal")}), "ROUTE_NOT_FOUND", "options.pin.provider",
        code="NOT_FOUND",
    ),
    "size off the grid": Case(generate(size=size(1000, 1000)), ROUTE, "drawing.size"),
    "size too small": Case(generate(size=size(8, 8)), ROUTE, "drawing.size"),
    "size too large": Case(generate(size=size(4096, 4096)), ROUTE, "drawing.size"),
    "size off the pinned route's grid": Case(
        generate({"pin": job_pb2.RouteSelector(provider="replicate")}, size=size(1040, 1040)), ROUTE, "drawing.size"
    ),
    "no width": Case(generate(size=size(0, 64)), FIELD, "drawing.size.dimensions.width_px"),
    "count above": Case(generate(image_count=11), FIELD, "drawing.image_count", told=(("limit", "10"), ("actual", "11"),)),
    "count above the route's": Case(generate(image_count=5), ROUTE, "drawing.image_count"),
    "count below": Case(generate(image_count=-1), FIELD, "drawing.image_count"),
    "preset and resolution": Case(
        generate(size=drawing_pb2.ImageSize(preset=drawing_pb2.SIZE_PRESET_SQUARE, resolution=ONE_K)),
        FIELD, "drawing.size.resolution",
    ),
    "pixels and resolution": Case(
        generate(
            size=drawing_pb2.ImageSize(
                dimensions=drawing_pb2.Dimensions(width_px=512, height_px=512), resolution=ONE_K
            )
        ),
        FIELD, "drawing.size.resolution",
    ),
    "unknown extra": Case(generate(extra={"turbo": True}), "PARAMETER_UNSUPPORTED", "drawing.extra.turbo"),
    "steps above": Case(generate(steps=99), ROUTE, "drawing.steps"),
    "edit by a model that only generates": Case(edit(picture(), model="flux-schnell"), ROUTE),
    "seventeen labels": Case(generate({"labels": {f"k{n}": "v" for n in range(17)}}), FIELD, "options.labels"),
    "label key": Case(generate({"labels": {"Team": "ads"}}), FIELD, "options.labels[Team]"),
    "label value": Case(generate({"labels": {"team": "x" * 129}}), FIELD, "options.labels[team]"),
    "label missing": Case(generate(), "LABEL_REQUIRED", project="strict", told=(("labelKey", "team"),)),
    "reused request_id": Case(
        generate({"request_id": "taken"}), "REQUEST_ID_REUSED", code="ALREADY_EXISTS"
    ),
    "request_id too long": Case(generate({"request_id": "x" * 65}), FIELD, "options.request_id"),
    "refresh without request_id": Case(
        generate({"cache_mode": job_pb2.CACHE_MODE_REFRESH}), "REQUEST_ID_REQUIRED", "options.request_id"
    ),
    "max_cost too low": Case(generate({"max_cost": USD}), "MAX_COST_EXCEEDED", code="FAILED_PRECONDITION"),
    "no room in the budget": Case(
        generate(), "BUDGET_EXCEEDED", code="RESOURCE_EXHAUSTED", project="poor",
        told=(("limitNanos", "1"), ("spentNanos", "0"), ("heldNanos", "0"), ("askedNanos", "3000000"),),
    ),
    "no project": Case(generate(), FIELD, "lightmeter-project", project="No Such!"),
    "a mask without a picture": Case(edit(mask=picture()), FIELD, "inputs.images"),
    "an edit of nothing": Case(edit(), FIELD, "inputs.images"),
    "a picture that is text": Case(edit(b"I am no picture at all"), IMAGE, "inputs.images[0]"),
    "a picture that is cut off": Case(edit(picture()[:60]), IMAGE, "inputs.images[0]"),
    "a picture that is an SVG": Case(edit(b"<svg xmlns='http://www.w3.org/2000/svg'/>"), IMAGE, "inputs.images[0]"),
    "a decompression bomb": Case(
        edit(bomb()), "INPUT_IMAGE_TOO_LARGE", "inputs.images[0]", told=(("limit", "50000000"), ("actual", "900000000"),)
    ),
    "more than 3 MiB inline": Case(
        edit(b"x" * (3 * 1024 * 1024 + 1)), "INPUT_IMAGE_TOO_LARGE", "inputs.images[0]", told=(("limit", "3145728"),)
    ),
    "a mask of another size": Case(
        edit(picture(), mask=picture(32, 32), model="gpt-image-2"), IMAGE, "inputs.mask", told=(("actual", "32x32"),)
    ),
    "a picture that nobody has": Case(
        edit(drawing_pb2.InputImage(asset_sha256="ab" * 32)), "ASSET_NOT_FOUND", "inputs.images[0]", code="NOT_FOUND"
    ),
    "a picture in a private network": Case(
        edit(drawing_pb2.InputImage(url="https://10.0.0.1/x.png")), "INPUT_URL_REFUSED", "inputs.images[0]"
    ),
    "a picture in a file": Case(
        edit(drawing_pb2.InputImage(url="file:///etc/passwd")), "INPUT_URL_REFUSED", "inputs.images[0]"
    ),
}  # fmt: skip


def check(answer: Refusal, case: Case) -> None:
    """The refusal is the expected one, and says so in the details too."""
    assert (case.code, f"ERROR_REASON_{case.reason}", "lightmeter") == (
        answer.code,
        answer.reason,
        answer.domain,
    )
    named = {answer.metadata.get("field", ""), *answer.fields}
    assert not case.field or any(one.startswith(case.field) for one in named), named
    assert dict(case.told) == {key: answer.metadata.get(key) for key, _ in case.told}
    assert answer.status_bytes < 6 * 1024


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
async def test_bad_input_is_refused_and_leaves_nothing(house: House, case: Case) -> None:
    """Code, reason and field are right; no row, no POST, no charge."""
    before = house.books_now()
    method = house.images.Edit if isinstance(case.request, pb.EditRequest) else house.images.Generate
    metadata = [("lightmeter-project", case.project)]
    check(await refused(method(case.request, metadata=metadata, timeout=WAIT_SECONDS_MAX)), case)
    assert before == house.books_now()


@asynccontextmanager
async def served(total_bytes: int) -> AsyncIterator[str]:
    """An address on loopback, which is allowed beside a sandbox, behind which a picture never seems to end."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: image/png\r\nConnection: close\r\n\r\n")
        try:
            for _ in range(total_bytes // 65_536):
                writer.write(b"\x89PNG" * 16_384)
                await writer.drain()
        except ConnectionError:
            return  # the service hung up, as it should
        finally:
            writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/huge.png"


async def test_a_picture_of_fifty_megabytes_is_refused_however_it_comes(house: House) -> None:
    """By URL it is given up at the limit; inline gRPC refuses the message; the client's upload is refused by its size."""
    before = house.books_now()
    async with served(50 * 1024 * 1024) as url:
        answer = await refused(
            house.images.Edit(edit(drawing_pb2.InputImage(url=url)), timeout=WAIT_SECONDS_MAX)
        )
    check(answer, Case(None, "INPUT_IMAGE_TOO_LARGE", "inputs.images[0]", told=(("limit", "20971520"),)))
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await house.images.Edit(edit(b"x" * 50_000_000), timeout=WAIT_SECONDS_MAX)
    assert grpc.StatusCode.RESOURCE_EXHAUSTED == caught.value.code()
    ask = Drawing(model="flux-kontext-pro", prompt="make it night")
    with pytest.raises(InputRefused) as refusal:
        await house.replica.client("default").edit(ask, b"x" * 50_000_000)
    assert "INPUT_IMAGE_TOO_LARGE" == refusal.value.reason
    assert before == house.books_now()


async def test_a_page_token_of_another_query_is_refused(house: House) -> None:
    """A token belongs to its query and its project; what is no token at all is refused alike."""
    client = house.replica.client("default")
    drawn = Drawing(model="flux-schnell", prompt="a good one")
    await client.generate(drawn, labels={"team": "ads"}, timeout=WAIT_SECONDS_MAX)
    before = house.books_now()
    page = await house.images.ListJobs(pb.ListJobsRequest(page_size=1))
    assert page.next_page_token
    other = pb.JobFilter(models=["flux-dev"])
    for request, project in (
        (pb.ListJobsRequest(page_token=page.next_page_token, filter=other), "default"),
        (pb.ListJobsRequest(page_token=page.next_page_token), "strict"),
        (pb.ListJobsRequest(page_token="nonsense"), "default"),
    ):
        answer = await refused(house.images.ListJobs(request, metadata=[("lightmeter-project", project)]))
        check(answer, Case(None, "PAGE_TOKEN_INVALID"))
    assert before == house.books_now()


async def test_unknown_jobs_and_those_of_others_are_the_same(house: House) -> None:
    """No call tells whether a job of another project exists."""
    before = house.books_now()
    for job_id, project in (
        ("01890000-0000-7000-8000-000000000000", "default"),
        (house.job.job_id, "strict"),
    ):
        metadata = [("lightmeter-project", project)]
        texts = set()
        for call in (
            house.images.GetJob(pb.GetJobRequest(job_id=job_id), metadata=metadata),
            house.images.CancelJob(pb.CancelJobRequest(job_id=job_id), metadata=metadata),
            house.images.WatchJob(pb.WatchJobRequest(job_id=job_id), metadata=metadata),
            house.books.GetReceipt(ledger_service_pb2.GetReceiptRequest(job_id=job_id), metadata=metadata),
        ):
            answer = await refused(call)
            check(answer, Case(None, "JOB_NOT_FOUND", code="NOT_FOUND"))
            texts.add(job_id in answer.text)
        assert {False} == texts
    (asset,) = house.job.assets
    foreign = house.images.DownloadAsset(
        pb.DownloadAssetRequest(sha256=asset.sha256), metadata=[("lightmeter-project", "strict")]
    )
    check(await refused(foreign), Case(None, "ASSET_NOT_FOUND", code="NOT_FOUND"))
    assert before == house.books_now()
