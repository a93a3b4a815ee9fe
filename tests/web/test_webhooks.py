"""What the HTTP door does with webhooks: which are taken, which come again, and what a stranger can't do to us."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from typing import Any

import httpx
import pytest
from prometheus_client import CollectorRegistry
from starlette.applications import Starlette
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Scope

from service.core.webhooks import Took, Webhooks
from service.domain.commands import BindProviderId, Bound
from service.domain.errors import StoreUnavailable
from service.domain.exchange import WebhookNotice
from service.domain.failure import ProviderUnavailable, WebhookForged
from service.domain.limits import webhook_answer_seconds_max, webhook_bytes_max, webhooks_running_max
from service.domain.records import Attempt, AttemptState, Grade, Render, RenderState
from service.domain.view import JobView
from service.metrics import Metrics
from service.web.exposition import Exposition
from service.web.routes import Sources, http_app
from service.web.webhooks import PATH, WebhookPages
from tests.support.clock import FakeClock
from tests.support.fake_provider import FakeLog
from tests.web.world import World, running

TOKEN = "0123456789abcdef0123456789abcdef"
ADDRESS = f"/webhooks/fal/{TOKEN}"
RENDER = Render(
    id="render", project="p", scope="p", fingerprint="f", state=RenderState.DISPATCHING, version=1, joinable=True,
    cancel_requested_at=None, owner="o", fence=1, next_step_at=0, operation="GENERATE", model="m", image_count=1,
    plan="{}", content="{}", progress="{}", created_at=0, finished_at=None, fresh_until=None,
)  # fmt: skip
ATTEMPT = Attempt(
    id="attempt", render_id="render", number=1, payer_job="job", project="p", provider="fal", route="m", endpoint="e",
    state=AttemptState.UNKNOWN, version=1, token=TOKEN, price="{}", hold_nanos=1, hold_open=True, ordinal=0,
    settled_nanos=None, grade=Grade.NONE, units="", usage_at=0,
)  # fmt: skip


class Stage:
    """A check that believes bodies with `"signed"`, one render with one attempt, and a store that binds."""

    def __init__(self) -> None:
        self.metrics = Metrics(CollectorRegistry())
        self.checks_fault: Exception | None = None
        self.store_fault: Exception | None = None
        self.commits: asyncio.Event | None = None
        """When set, binds are committed only after it."""
        self.committed: list[BindProviderId] = []
        self.waiting: asyncio.Queue[BindProviderId] = asyncio.Queue()
        """Commands that were handed in."""
        self.pokes: list[str] = []
        self.attempt = ATTEMPT
        self.webhooks = Webhooks(
            checks={"fal": self, "replicate": self},
            work=self,
            store=self,
            hints=self,
            late=self,
            clock=FakeClock(),
            log=FakeLog(),
            metrics=self.metrics,
        )

    async def check(self, headers: Mapping[str, str], body: bytes) -> WebhookNotice:
        """`WebhookCheck`."""
        if self.checks_fault is not None:
            raise self.checks_fault
        if headers.get("x-stale"):
            raise WebhookForged("600 s ago", kind="stale")
        try:
            data = json.loads(body)
        except (ValueError, RecursionError):
            raise WebhookForged("hunter2 does not fit", kind="bad_signature") from None
        if "signed" not in data:
            raise WebhookForged("hunter2 does not fit", kind="bad_signature")
        return WebhookNotice(data["signed"])

    async def close(self) -> None:
        """Nothing to free."""

    async def attempt_of_token(self, token: str) -> JobView | None:
        """`WorkReader`."""
        return JobView(None, RENDER, (self.attempt,), ()) if token == TOKEN else None

    async def execute(self, command: BindProviderId) -> Bound:
        """`Store`."""
        if self.store_fault is not None:
            raise self.store_fault
        self.waiting.put_nowait(command)
        if self.commits is not None:
            await self.commits.wait()
        self.committed.append(command)
        self.attempt = replace(self.attempt, provider_id=command.provider_id)
        return Bound(RENDER, self.attempt, self.attempt)

    def publish(self, keys: tuple[str, ...]) -> None:
        """`Hints`."""
        self.pokes.extend(keys)

    def begin(self, attempt: Attempt) -> bool:
        """Nobody is late here."""
        raise AssertionError(attempt)

    follow_superseded = begin

    def counted(self) -> dict[str, float]:
        """Outcome → how many, of fal."""
        samples = {
            took.value: self.metrics.registry.get_sample_value(
                "lightmeter_webhooks_total", {"provider": "fal", "outcome": took.value}
            )
            for took in Took
        }
        return {outcome: count for outcome, count in samples.items() if count}


@pytest.fixture
def stage() -> Stage:
    return Stage()


@pytest.fixture
async def client(stage: Stage) -> AsyncIterator[httpx.AsyncClient]:
    world = World()
    sources = Sources(world.expose, world.ledger, world.readiness, webhooks=stage.webhooks)
    async with running(sources) as (_, client):
        yield client


def app_of(stage: Stage, **limits: Any) -> Starlette:
    """The one route, with limits of its own."""
    pages = WebhookPages(stage.webhooks, **limits)
    return Starlette(routes=[Route(PATH, pages.take, methods=["POST"])])


# ---------------------------------------------------------------- what is taken


async def test_an_authentic_webhook_is_answered_after_its_commit(
    client: httpx.AsyncClient, stage: Stage
) -> None:
    """No 200 before the id is committed; then the render's owner is woken, once."""
    stage.commits = asyncio.Event()
    post = asyncio.ensure_future(client.post(ADDRESS, json={"signed": "id-1"}))
    await stage.waiting.get()
    assert not post.done()
    assert [] == stage.pokes
    stage.commits.set()
    answer = await post
    assert (200, {"taken": True}) == (answer.status_code, answer.json())
    assert [BindProviderId("attempt", "fal", "id-1", source="WEBHOOK")] == stage.committed
    assert ["poke:render"] == stage.pokes
    assert {"bound": 1} == stage.counted()


async def test_a_repeated_webhook_is_taken_again_and_writes_nothing(
    client: httpx.AsyncClient, stage: Stage
) -> None:
    """The same webhook twice is one commit; the provider gets its 200 each time."""
    answers = [await client.post(ADDRESS, json={"signed": "id-1"}) for _ in range(2)]
    assert [200, 200] == [answer.status_code for answer in answers]
    assert 1 == len(stage.committed)


async def test_a_webhook_after_the_end_wakes_nobody(client: httpx.AsyncClient, stage: Stage) -> None:
    """One that comes late or out of order, when the end is recorded, is taken, counted, and changes nothing."""
    stage.attempt = replace(ATTEMPT, state=AttemptState.SUCCEEDED, provider_id="id-1", result="{}")
    assert 200 == (await client.post(ADDRESS, json={"signed": "id-1"})).status_code
    assert ([], [], {"repeated": 1}) == (stage.committed, stage.pokes, stage.counted())


@pytest.mark.parametrize(
    "token", ["f" * 32, "short", "0123456789ABCDEF0123456789ABCDEF", "%2e%2e", "x" * 2000]
)
async def test_an_authentic_webhook_for_nobody_need_not_come_again(
    client: httpx.AsyncClient, stage: Stage, token: str
) -> None:
    """An unknown or impossible token gets the same answer as a known one, and nothing is written."""
    answer = await client.post(f"/webhooks/fal/{token}", json={"signed": "id-1"})
    assert (200, {"taken": True}) == (answer.status_code, answer.json())
    assert ([], {"unknown": 1}) == (stage.committed, stage.counted())


async def test_a_token_is_good_at_its_own_provider_only(client: httpx.AsyncClient, stage: Stage) -> None:
    """Another provider's authentic word about this token binds nothing."""
    answer = await client.post(f"/webhooks/replicate/{TOKEN}", json={"signed": "id-1"})
    assert (200, []) == (answer.status_code, stage.committed)


# ---------------------------------------------------------------- what is not


@pytest.mark.parametrize("token", [TOKEN, "f" * 32])
@pytest.mark.parametrize("body", [b"", b"{}", b'{"signed": "id-', b"\x00\xff", b"[" * 100_000])
async def test_a_forged_or_truncated_webhook_is_refused_without_a_reason(
    client: httpx.AsyncClient, stage: Stage, body: bytes, token: str
) -> None:
    """401 with one constant text, whether the token exists or not; nothing is written, nobody is woken."""
    answer = await client.post(f"/webhooks/fal/{token}", content=body)
    assert (401, {"error": "not accepted"}) == (answer.status_code, answer.json())
    assert ([], [], {"forged": 1}) == (stage.committed, stage.pokes, stage.counted())


async def test_a_stale_webhook_is_refused(client: httpx.AsyncClient, stage: Stage) -> None:
    """A replay of an old one gets the answer of a forgery, and a count of its own."""
    answer = await client.post(ADDRESS, json={"signed": "id-1"}, headers={"x-stale": "1"})
    assert (401, {"error": "not accepted"}) == (answer.status_code, answer.json())
    assert ([], {"stale": 1}) == (stage.committed, stage.counted())


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", f"/webhooks/other/{TOKEN}", 404),
        ("POST", "/webhooks/fal", 404),
        ("POST", f"/webhooks/fal/{TOKEN}/more", 404),
        ("GET", ADDRESS, 405),
        ("PUT", ADDRESS, 405),
        ("DELETE", ADDRESS, 405),
    ],
)
async def test_other_methods_and_paths_reach_nothing(
    client: httpx.AsyncClient, stage: Stage, method: str, path: str, status: int
) -> None:
    """Only a POST to a known provider's path is a webhook."""
    assert status == (await client.request(method, path, json={"signed": "id-1"})).status_code
    assert ([], {}) == (stage.committed, stage.counted())


async def test_without_webhooks_there_is_no_such_page() -> None:
    """Where providers were not told to send any, the path does not exist."""
    world = World()
    async with running(Sources(world.expose, world.ledger, world.readiness)) as (_, client):
        assert 404 == (await client.post(ADDRESS, json={"signed": "id-1"})).status_code


# ---------------------------------------------------------------- limits


async def test_ten_megabytes_are_refused_unread(client: httpx.AsyncClient, stage: Stage) -> None:
    """A body announced above the limit is 413 and counted before a byte of it has come."""
    url = client.base_url
    reader, writer = await asyncio.open_connection(url.host, url.port)
    writer.write(f"POST {ADDRESS} HTTP/1.1\r\nhost: door\r\ncontent-length: 10485760\r\n\r\n".encode())
    async with asyncio.timeout(5):
        assert b"HTTP/1.1 413" in await reader.readline()
    writer.close()
    assert ({"too_large": 1}, []) == (stage.counted(), stage.committed)


async def test_ten_unannounced_megabytes_are_read_to_the_limit(stage: Stage) -> None:
    """Where the length is not announced, no more than the limit is taken off the wire."""
    world = World()
    sources = Sources(world.expose, world.ledger, world.readiness, webhooks=stage.webhooks)
    app = http_app(sources, Exposition(), lambda: False)
    read_bytes = 0

    async def parts() -> AsyncIterator[bytes]:
        nonlocal read_bytes
        for _ in range(160):
            read_bytes += 65_536
            yield bytes(65_536)

    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://door") as client:
        answer = await client.post(ADDRESS, content=parts())
    assert (413, {"too_large": 1}) == (answer.status_code, stage.counted())
    assert read_bytes <= webhook_bytes_max + 2 * 65_536


async def test_the_largest_webhook_is_taken(client: httpx.AsyncClient, stage: Stage) -> None:
    """A body of exactly the limit passes."""
    body = b'{"signed": "id-1"}'
    assert 200 == (await client.post(ADDRESS, content=body.ljust(webhook_bytes_max))).status_code
    assert {"bound": 1} == stage.counted()


async def test_a_store_that_does_not_answer_is_a_503_in_time(stage: Stage) -> None:
    """The provider is told to come again before it loses patience; the commit may still come."""
    stage.commits = asyncio.Event()
    async with caller(app_of(stage, answer_seconds_max=0.05)) as client:
        answer = await client.post(ADDRESS, json={"signed": "id-1"})
    assert (503, "1", {"error": "unavailable"}) == (
        answer.status_code,
        answer.headers["retry-after"],
        answer.json(),
    )
    assert {"unavailable": 1} == stage.counted()
    assert 3.0 == webhook_answer_seconds_max


@pytest.mark.parametrize("where", ["checks_fault", "store_fault"])
async def test_what_is_away_is_not_told_to_strangers(
    client: httpx.AsyncClient, stage: Stage, where: str
) -> None:
    """Without keys or database the webhook comes again; the reasons stay in the log."""
    fault = ProviderUnavailable("hunter2") if where == "checks_fault" else StoreUnavailable("hunter2")
    setattr(stage, where, fault)
    answer = await client.post(ADDRESS, json={"signed": "id-1"})
    assert (503, "1") == (answer.status_code, answer.headers["retry-after"])
    assert "hunter2" not in answer.text
    assert {"unavailable": 1} == stage.counted()


async def test_no_more_run_at_once_than_may(stage: Stage) -> None:
    """One above the limit is sent away at once; when the others are done there is room again."""
    stage.commits = asyncio.Event()
    async with caller(app_of(stage, running_max=2)) as client:
        held = [asyncio.ensure_future(client.post(ADDRESS, json={"signed": "id-1"})) for _ in range(2)]
        for _ in held:
            await stage.waiting.get()
        assert 503 == (await client.post(ADDRESS, json={"signed": "id-1"})).status_code
        stage.commits.set()
        assert [200, 200] == [answer.status_code for answer in await asyncio.gather(*held)]
        assert 200 == (await client.post(ADDRESS, json={"signed": "id-1"})).status_code
    assert 1 == stage.counted()["unavailable"]
    assert 64 == webhooks_running_max


async def test_a_body_that_does_not_come_is_given_up(stage: Stage) -> None:
    """Whoever announces a body and sends it drop by drop keeps no place for longer than an answer may take."""
    sent: list[Message] = []
    first = iter([{"type": "http.request", "body": b"{", "more_body": True}])

    async def receive() -> Message:
        message = next(first, None)
        if message is None:
            await asyncio.Event().wait()
        assert message is not None
        return message

    async def send(message: Message) -> None:
        sent.append(message)

    async with asyncio.timeout(5):
        await app_of(stage, answer_seconds_max=0.05)(scope(), receive, send)
    assert 408 == sent[0]["status"]
    assert ({"incomplete": 1}, []) == (stage.counted(), stage.committed)


async def test_a_connection_that_ends_early_is_no_webhook(stage: Stage) -> None:
    """A body cut off by the connection is counted as incomplete and never checked."""
    messages = iter(
        [{"type": "http.request", "body": b'{"signed', "more_body": True}, {"type": "http.disconnect"}]
    )

    async def receive() -> Message:
        return next(messages)

    async def send(_message: Message) -> None:
        """Nobody listens any more."""

    await app_of(stage)(scope(), receive, send)
    assert ({"incomplete": 1}, []) == (stage.counted(), stage.committed)


def scope() -> Scope:
    """A POST as uvicorn announces it."""
    return {
        "type": "http",
        "method": "POST",
        "path": ADDRESS,
        "raw_path": ADDRESS.encode(),
        "query_string": b"",
        "headers": [(b"content-length", b"100")],
    }


@contextlib.asynccontextmanager
async def caller(app: ASGIApp) -> AsyncIterator[httpx.AsyncClient]:
    """A client of an application that listens nowhere."""
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://door") as client:
        yield client
