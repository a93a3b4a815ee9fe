"""The picture stores where a real server is too well behaved: bounded threads, and an S3 server that
misbehaves.
"""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from service.clock import SystemClock
from service.domain.errors import StorageUnavailable
from service.storage.s3 import S3Blobs, S3Options
from service.storage.threads import BoundedThreads, ThreadsFull
from tests.contract.blob_contract import PNG, blob

# ---------------------------------------------------------------- threads


def threads(threads_count: int = 1, waiting_count_max: int = 0, seconds_max: float = 5.0) -> BoundedThreads:
    return BoundedThreads(
        "test",
        threads_count=threads_count,
        waiting_count_max=waiting_count_max,
        answer_seconds_max=seconds_max,
    )


async def test_work_beyond_the_bound_is_refused() -> None:
    """What neither runs nor may wait is refused at once, and taken again when a thread is free."""
    pool, gate = threads(threads_count=1, waiting_count_max=1), threading.Event()
    running = [asyncio.ensure_future(pool.run(gate.wait)) for _ in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(ThreadsFull):
        await pool.run(gate.wait)
    gate.set()
    assert [True, True] == await asyncio.gather(*running)
    assert 7 == await pool.run(lambda: 7)
    pool.close()


async def test_an_answer_that_takes_too_long_is_given_up() -> None:
    """The caller gets TimeoutError; the thread stays counted until the work really ends."""
    pool, gate = threads(seconds_max=0.05), threading.Event()
    with pytest.raises(TimeoutError):
        await pool.run(gate.wait)
    with pytest.raises(ThreadsFull):
        await pool.run(gate.wait)
    gate.set()
    pool.close()


async def test_cancelled_work_that_has_not_begun_never_begins() -> None:
    """A caller that gives up while waiting leaves no work behind."""
    pool, gate, done = threads(waiting_count_max=1), threading.Event(), []
    first = asyncio.ensure_future(pool.run(gate.wait))
    second = asyncio.ensure_future(pool.run(lambda: done.append(1)))
    await asyncio.sleep(0)
    second.cancel()
    with pytest.raises(asyncio.CancelledError):
        await second
    gate.set()
    await first
    assert 3 == await pool.run(lambda: 3)
    assert [] == done
    pool.close()


async def test_closing_tells_those_who_wait() -> None:
    """Work that close drops is answered with ThreadsFull, not as if its caller had been cancelled."""
    pool, gate = threads(waiting_count_max=1), threading.Event()
    first = asyncio.ensure_future(pool.run(gate.wait))
    second = asyncio.ensure_future(pool.run(gate.wait))
    await asyncio.sleep(0)
    pool.close()
    with pytest.raises(ThreadsFull):
        await second
    gate.set()
    assert await first is True


# ---------------------------------------------------------------- a server that misbehaves

Answer = tuple[int, dict[str, str], bytes]
Script = Callable[[str, int], Answer]
"""Method and how often it was called before, to status, headers and body."""


class Misbehaving:
    """An HTTP server on loopback that answers by a script and counts what it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.script: Script = lambda method, before: (500, {}, b"")
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def answer(self) -> None:
                self.rfile.read(int(self.headers.get("content-length", 0)))
                status, headers, body = outer.script(self.command, outer.asked.count(self.command))
                outer.asked.append(self.command)
                self.send_response(status)
                for name, value in {"content-length": str(len(body)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)
                self.close_connection = True

            do_GET = do_PUT = do_HEAD = answer  # noqa: N815 -- the library's own spelling

            def log_message(self, *_arguments: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01})


@pytest.fixture
def server() -> Iterator[Misbehaving]:
    server = Misbehaving()
    server.thread.start()
    yield server
    server.server.shutdown()
    server.server.server_close()
    server.thread.join()


@pytest.fixture
async def blobs(server: Misbehaving) -> AsyncIterator[S3Blobs]:
    port = server.server.server_address[1]
    options = S3Options(f"http://127.0.0.1:{port}", "b", "key", "topsecret", tries_count_max=2)
    blobs = S3Blobs(options, SystemClock())
    yield blobs
    await blobs.close()


def refusal(status: int, code: str) -> Answer:
    return status, {"content-type": "application/xml"}, f"<Error><Code>{code}</Code></Error>".encode()


async def test_a_write_in_the_same_second_as_another_counts_as_theirs(
    server: Misbehaving, blobs: S3Blobs
) -> None:
    """R2 answers 429 to a second write of a key within a second: when the blob is there, it was put by
    them.
    """
    key, content = blob()

    def script(method: str, before: int) -> Answer:
        if method == "HEAD":
            return 200, {"content-length": "1000", "content-type": PNG}, b""
        return refusal(429, "TooManyRequests")

    server.script = script
    assert await blobs.put(key, content, PNG) is False


async def test_a_conflict_without_a_blob_is_away(server: Misbehaving, blobs: S3Blobs) -> None:
    """A racing write of which nothing is left is no success."""
    key, content = blob()
    server.script = lambda method, before: (
        refusal(409, "ConditionalRequestConflict") if method == "PUT" else refusal(404, "NoSuchKey")
    )
    with pytest.raises(StorageUnavailable):
        await blobs.put(key, content, PNG)


async def test_a_passing_fault_is_tried_again(server: Misbehaving, blobs: S3Blobs) -> None:
    """One 503 is not the end of a put."""
    key, content = blob()
    server.script = lambda method, before: (
        refusal(503, "ServiceUnavailable") if before == 0 else (200, {}, b"")
    )
    assert await blobs.put(key, content, PNG) is True
    assert ["PUT", "PUT"] == server.asked


async def test_tries_are_bounded(server: Misbehaving, blobs: S3Blobs) -> None:
    """A server that never recovers is asked as often as allowed, and the error holds no secret."""
    key, _ = blob()
    server.script = lambda method, before: refusal(500, "InternalError")
    with pytest.raises(StorageUnavailable) as away:
        await blobs.get(key)
    assert 2 == len(server.asked)
    assert "topsecret" not in f"{away.value!r} {away.value.__cause__!r} {blobs._options!r}"


async def test_a_body_that_breaks_off_is_no_blob(server: Misbehaving, blobs: S3Blobs) -> None:
    """Fewer bytes than announced are an error, never a short picture."""
    key, content = blob()
    server.script = lambda method, before: (200, {"content-length": "1000"}, content[:400])
    with pytest.raises(StorageUnavailable):
        await blobs.get(key)


async def test_a_body_beyond_the_limit_is_not_read(server: Misbehaving, blobs: S3Blobs) -> None:
    """An object larger than any picture that is stored does not fill the memory."""
    key, _ = blob()
    server.script = lambda method, before: (200, {"content-length": str(2**40)}, b"")
    with pytest.raises(StorageUnavailable):
        await blobs.get(key)
