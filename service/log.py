"""How the service writes its log: one line per event, JSON for machines, columns for a person at a terminal.

Logs carry names and ids, never what callers draw: prompts and fingerprints are withheld wherever they
appear as a field, and credentials are cut out of every line. To follow equal requests through a log, write
`fingerprint_tag`.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final, TextIO

import structlog
from structlog.typing import EventDict, FilteringBoundLogger, Processor, WrappedLogger

WITHHELD: Final = "[withheld]"
TAG_CHARACTERS: Final = 16

_FIELDS_WITHHELD: Final = frozenset(
    {
        "prompt",
        "negative_prompt",
        "fingerprint",
        "drawing",
        "canonical",
        "authorization",
        "api_key",
        "token",
        "secret",
        "password",
    }
)
# What follows these words is a credential: presigned addresses, authorization headers, passwords in
# database addresses, the correlation token in a webhook's address.
_CREDENTIALS: Final = re.compile(
    r"(X-Amz-Signature=|X-Amz-Credential=|[Bb]earer |\bKey |/webhooks/\w+/|://[^/\s:@]+:)[^\s\"'&,?@]+"
)


def configure_logging(
    *, level: str, stream: TextIO, now: Callable[[], int], as_json: bool | None = None
) -> None:
    """Send the log of the whole process to `stream`; the last call holds.

    `level` is a name of the standard library (`INFO`). `now` gives microseconds since 1970. `as_json` None
    means JSON unless the stream is a terminal. Other libraries are heard from WARNING on: below that they
    write addresses and statements, and with them what callers draw.
    """
    number = logging.getLevelNamesMapping()[level.upper()]
    readable = stream.isatty() if as_json is None else not as_json
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        _stamp(now),
        _withhold,
    ]
    ending: list[Processor] = [structlog.processors.format_exc_info, _renderer(stream, readable=readable)]
    if readable:
        del ending[0]  # the console renderer draws exceptions itself
    structlog.configure(
        processors=[*shared, *ending],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.WriteLoggerFactory(stream),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *ending],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(max(number, logging.WARNING))
    logging.captureWarnings(capture=True)


def get_logger(room: str) -> FilteringBoundLogger:
    """A logger that names its room in every line. Take it in a constructor, after `configure_logging`."""
    logger: FilteringBoundLogger = structlog.get_logger(room=room)
    return logger


def fingerprint_tag(secret: bytes, fingerprint: str | bytes) -> str:
    """Sixteen hex characters that are equal for equal fingerprints, and say nothing else without the
    secret.
    """
    message = fingerprint.encode() if isinstance(fingerprint, str) else fingerprint
    return hmac.new(secret, message, hashlib.sha256).hexdigest()[:TAG_CHARACTERS]


def _stamp(now: Callable[[], int]) -> Processor:
    def stamp(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        moment = datetime.fromtimestamp(now() / 1_000_000, UTC)
        event["time"] = moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        return event

    return stamp


def _withhold(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Blank fields that must not be logged, also inside of fields that are mappings."""
    return {name: _shown(name, value) for name, value in event.items()}


def _shown(name: str, value: Any) -> Any:
    if name in _FIELDS_WITHHELD:
        return WITHHELD
    if isinstance(value, dict):
        return {key: _shown(str(key), inner) for key, inner in value.items()}
    return value


def _renderer(stream: TextIO, *, readable: bool) -> Processor:
    render: Processor
    if readable:
        render = structlog.dev.ConsoleRenderer(
            colors=stream.isatty(), timestamp_key="time", exception_formatter=structlog.dev.plain_traceback
        )
    else:
        render = structlog.processors.JSONRenderer(default=str)

    def rendered(logger: WrappedLogger, method: str, event: EventDict) -> str:
        return _CREDENTIALS.sub(rf"\1{WITHHELD}", str(render(logger, method, event)))

    return rendered
