"""The server as a component: health, reflection, limits, life."""

import asyncio

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from lightmeter.v1 import image_service_pb2 as pb
from lightmeter.v1 import ledger_service_pb2, operator_service_pb2

from service.rpc.server import SERVICES
from tests.rpc import samples
from tests.rpc.rig import Rig, opened, refused

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


async def test_health_is_serving_until_the_drain(rig: Rig) -> None:
    """The whole server and each service answer, and all of them stop with the drain."""
    health = health_pb2_grpc.HealthStub(rig.channel)

    async def statuses() -> set[int]:
        names = ("", *SERVICES)
        return {
            (await health.Check(health_pb2.HealthCheckRequest(service=one), timeout=5)).status
            for one in names
        }

    assert {SERVING} == await statuses()
    await rig.server.drain()
    assert {NOT_SERVING} == await statuses()


async def test_a_watch_of_health_sees_the_drain(rig: Rig) -> None:
    """Load balancers that watch are told."""
    call = health_pb2_grpc.HealthStub(rig.channel).Watch(health_pb2.HealthCheckRequest(), timeout=5)
    assert SERVING == (await call.read()).status
    await rig.server.drain()
    assert NOT_SERVING == (await call.read()).status
    call.cancel()


async def test_reflection_lists_the_four_services(rig: Rig) -> None:
    """Tools can call the service without its protos."""
    stub = reflection_pb2_grpc.ServerReflectionStub(rig.channel)
    call = stub.ServerReflectionInfo(
        iter([reflection_pb2.ServerReflectionRequest(list_services="")]), timeout=5
    )
    [response] = [one async for one in call]
    listed = {one.name for one in response.list_services_response.service}
    assert {f"lightmeter.v1.{name}Service" for name in ("Image", "Model", "Ledger", "Operator")} < listed
    assert "grpc.health.v1.Health" in listed


async def test_every_method_of_the_contract_answers_with_a_reason(rig: Rig) -> None:
    """Nothing is left to gRPC's own UNIMPLEMENTED, which has no reason."""
    for services in (pb, ledger_service_pb2, operator_service_pb2):
        for service in services.DESCRIPTOR.services_by_name.values():
            for method in service.methods:
                path = f"/{service.full_name}/{method.name}"
                if method.client_streaming:
                    call = rig.channel.stream_unary(path)(iter([b""]), timeout=5)
                elif method.server_streaming:
                    call = rig.channel.unary_stream(path)(b"", timeout=5)
                else:
                    call = rig.channel.unary_unary(path)(b"", timeout=5)
                try:
                    answer = await refused(call)
                except AssertionError as error:
                    assert "was not refused" in str(error), path  # noqa: PT017 -- an empty request may be a good one
                    continue
                assert "lightmeter" == answer.domain, path


async def test_inline_pictures_above_the_limit_of_grpc_still_get_a_reason(rig: Rig) -> None:
    """4.5 MiB of pictures pass gRPC and are refused by us, by name."""
    request = pb.EditRequest()
    request.drawing.model, request.drawing.prompt = "flux-kontext-pro", "x"
    request.inputs.images.add(content=b"x" * (9 * 512 * 1024))
    answer = await refused(rig.images.Edit(request, timeout=5))
    assert "ERROR_REASON_INPUT_IMAGE_TOO_LARGE" == answer.reason


async def test_a_second_server_on_the_same_port_fails_to_start(rig: Rig) -> None:
    """Two processes never share a port by accident."""
    other = Rig()
    other.server._address = f"127.0.0.1:{rig.server.port}"
    with pytest.raises(RuntimeError, match="bind"):
        await other.server.start()
    await other.server.stop()


async def test_stop_is_legal_before_start_and_twice() -> None:
    """A component that failed half-way is stopped like any other."""
    idle = Rig()
    await idle.server.drain()
    await idle.server.stop()
    async with opened() as rig:
        await rig.server.stop()
        await rig.server.stop()
        with pytest.raises(grpc.aio.AioRpcError):
            await rig.images.GetJob(pb.GetJobRequest(job_id="j"), timeout=1)


async def test_stop_cancels_what_does_not_end_in_time() -> None:
    """A call that hangs is given up after the grace, and nothing of it stays."""
    async with opened(stop_seconds=0.05) as rig:
        rig.submissions.hold = asyncio.Event()
        request = pb.GenerateRequest()
        request.drawing.model, request.drawing.prompt = "flux-schnell", "a fox"
        call = rig.images.Generate(request, timeout=5)
        await rig.submissions.reached.wait()
        await rig.server.stop()
        with pytest.raises(grpc.aio.AioRpcError):
            await call
        assert 0 == rig.server.calls_open


async def test_answers_are_large_enough_for_a_full_page(rig: Rig) -> None:
    """500 jobs fit into one message of a client with gRPC's own limit."""
    rig.jobs.views = [samples.done_view(id=f"job-{index:04}") for index in range(500)]
    page = await rig.images.ListJobs(pb.ListJobsRequest(page_size=500), timeout=10)
    assert 500 == len(page.jobs)
    assert page.ByteSize() < 4 * 1024 * 1024
