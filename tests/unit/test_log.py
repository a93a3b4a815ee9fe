"""What a log line holds, and what it must never hold."""

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from service.log import TAG_CHARACTERS, configure_logging, fingerprint_tag, get_logger
from tests.support.clock import STARTED

SECRETS = [
    "https://x.r2.cloudflarestorage.com/b/k?X-Amz-Signature=s3cr3t&X-Amz-Expires=1",
    "Authorization: Bearer s3cr3t",
    "Authorization: Key s3cr3t:more",
    "POST /webhooks/fal/s3cr3t HTTP/1.1",
    "postgresql+psycopg://lightmeter:s3cr3t@db/lightmeter",
]


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    """The log of one test; afterwards logging is as it was."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield io.StringIO()
    root.handlers[:], root.level = handlers, level
    logging.captureWarnings(capture=False)
    structlog.reset_defaults()


def configure(stream: io.StringIO, level: str = "INFO", as_json: bool | None = None) -> None:
    configure_logging(level=level, stream=stream, now=lambda: STARTED, as_json=as_json)


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line_is_json_where_nobody_watches(stream: io.StringIO) -> None:
    """Away from a terminal a line is one JSON object with time, level, room, event and its fields."""
    configure(stream)
    get_logger("core").info("job accepted", job_id="j1", model="flux-schnell")
    expected = {
        "time": "2026-01-01T00:00:00.000Z",
        "level": "info",
        "room": "core",
        "event": "job accepted",
        "job_id": "j1",
        "model": "flux-schnell",
    }
    assert [expected] == lines(stream)


def test_a_line_is_readable_when_asked_for(stream: io.StringIO) -> None:
    """For a person a line shows level, event and fields, and is no JSON."""
    configure(stream, as_json=False)
    get_logger("core").warning("job failed", job_id="j1")
    text = stream.getvalue()
    assert "job failed" in text
    assert "job_id=j1" in text
    assert "warning" in text
    assert not text.startswith("{")


def test_levels_below_the_chosen_one_are_silent(stream: io.StringIO) -> None:
    """WARNING lets warnings through and nothing below."""
    configure(stream, "WARNING")
    logger = get_logger("core")
    logger.info("quiet")
    logger.warning("heard")
    assert ["heard"] == [line["event"] for line in lines(stream)]


def test_other_libraries_write_into_the_same_log(stream: io.StringIO) -> None:
    """Their warnings are lines like ours; below that they are silent even when we debug."""
    configure(stream, "DEBUG")
    logging.getLogger("httpx").info("HTTP Request: POST https://queue.fal.run")
    logging.getLogger("botocore").warning("pool is full")
    (line,) = lines(stream)
    assert ("pool is full", "warning", "botocore") == (line["event"], line["level"], line["logger"])


@pytest.mark.parametrize("as_json", [True, False])
def test_what_callers_draw_is_withheld(stream: io.StringIO, as_json: bool) -> None:
    """A prompt or fingerprint in a field, also a nested one, does not reach the log."""
    configure(stream, as_json=as_json)
    get_logger("core").info(
        "x", prompt="a fox", fingerprint="f1f1", request={"negative_prompt": "a dog", "model": "flux"}
    )
    text = stream.getvalue()
    assert not any(secret in text for secret in ("a fox", "f1f1", "a dog"))
    assert "flux" in text
    assert 3 == text.count("[withheld]")


@pytest.mark.parametrize("as_json", [True, False])
@pytest.mark.parametrize("text", SECRETS)
def test_credentials_are_cut_out_of_any_line(stream: io.StringIO, text: str, as_json: bool) -> None:
    """Signatures, keys, tokens and passwords are gone from texts, fields and tracebacks, ours and foreign."""
    configure(stream, as_json=as_json)
    get_logger("web").info(text, url=text)
    logging.getLogger("foreign").warning("asked %s", text)
    try:
        raise ValueError(text)
    except ValueError:
        get_logger("web").exception("failed")
    assert "s3cr3t" not in stream.getvalue()
    assert "[withheld]" in stream.getvalue()


def test_a_traceback_is_one_line_of_json(stream: io.StringIO) -> None:
    """An exception is a field of its line, with its text and without the values of local variables."""
    configure(stream)
    local = "value of a local variable"
    try:
        raise RuntimeError("broken " + str(len(local)))
    except RuntimeError:
        get_logger("core").exception("failed")
    (line,) = lines(stream)
    assert "RuntimeError: broken 25" in line["exception"]
    assert local not in stream.getvalue()


def test_equal_fingerprints_have_equal_tags() -> None:
    """A tag follows from secret and fingerprint, tells fingerprints and secrets apart, and shows neither."""
    tag = fingerprint_tag(b"secret", "aa" * 32)
    assert tag == fingerprint_tag(b"secret", b"aa" * 32)
    assert TAG_CHARACTERS == len(tag)
    assert 3 == len({tag, fingerprint_tag(b"other", "aa" * 32), fingerprint_tag(b"secret", "ab" * 32)})
