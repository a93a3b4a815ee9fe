"""How values are put into words: phrases, columns, durations, JSON. Pure text, no printing."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message

from lightmeter.catalog import seconds_text
from lightmeter.job import Job, Progress
from lightmeter.money import Money

_STAGES = {
    "WAITING": "queued",
    "DISPATCHING": "sending",
    "CONFIRMING": "confirming",
    "DRAWING": "drawing",
    "DOWNLOADING": "fetching",
    "STORING": "storing",
}
_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400}


def phrase(progress: Progress) -> str:
    """A step of a job: `replicate queue 3`, `drawing 60 %`."""
    if progress.stage == "PROVIDER_QUEUE":
        words = f"{progress.provider} queue".strip()
        return words if progress.queue_position is None else f"{words} {progress.queue_position}"
    words = _STAGES.get(progress.stage, progress.stage.lower().replace("_", " "))
    return words if progress.fraction is None else f"{words} {progress.fraction * 100:.0f} %"


def ending(job: Job) -> str:
    """How a job ended: `done in 20.4 s (ours: 6 ms)`."""
    took = f" in {seconds_text(job.timing.total)}" if job.timing.total is not None else ""
    ours = f" (ours: {seconds_text(job.timing.added)})" if job.timing.added is not None else ""
    state = "done" if job.state == "SUCCEEDED" else job.state.lower()
    return f"{state}{took}{ours}"


def price(job: Job) -> str:
    """What a job costs: `$0.128 billed units`, `$0 (avoided $0.128)`, `held $0.17`."""
    receipt = job.receipt
    if receipt.avoided:
        return f"{receipt.owed} (avoided {receipt.avoided})"
    if receipt.settlement == "OPEN":
        return f"held {receipt.held}"
    if receipt.settlement == "UNCONFIRMED":
        return f"{receipt.owed} unconfirmed"
    return f"{receipt.owed} {lower(receipt.evidence)}".rstrip()


def source(job: Job, variation: int = 0) -> str:
    """Why a job cost nothing: from the cache or shared; empty for one that was drawn for it."""
    another = f" · another one: --variation {variation + 1}"
    if job.origin == "CACHE":
        drawn = f", drawn {seconds_text(job.age)} ago" if job.age is not None else ""
        return f"from cache{drawn} · {price(job)}{another}"
    if job.origin == "SHARED":
        return f"shared with a request that was running · {price(job)}{another}"
    return ""


def lower(word: str) -> str:
    """An enum's word for people: BILLED_UNITS is `billed units`."""
    return word.lower().replace("_", " ")


def clock(time: datetime | None) -> str:
    """A time in UTC to the millisecond; a dash where there is none."""
    return "-" if time is None else time.isoformat(" ", "milliseconds").removesuffix("+00:00")


def signed(amount: Money) -> str:
    """An amount with its sign, for corrections."""
    return f"+{amount}" if amount.nanos > 0 else str(amount)


def bar(value: int, most: int, characters: int) -> str:
    """A bar of up to so many characters, to an eighth of one; nothing for what is not above 0."""
    if value <= 0 or most <= 0:
        return ""
    whole, part = divmod(value * characters * 8 // most, 8)
    return "█" * whole + " ▏▎▍▌▋▊▉"[part].strip() or "▏"


def columns(rows: Sequence[Sequence[str]], right: Sequence[int] = ()) -> str:
    """Aligned text; the columns in `right` are aligned there."""
    if not rows:
        return ""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = [
            cell.rjust(width) if at in right else cell.ljust(width)
            for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def as_json(message: Message | dict[str, Any], *, one_line: bool = False) -> str:
    """Protobuf's JSON: lowerCamelCase keys, 64-bit integers as strings, times in RFC 3339."""
    content = plain(message) if isinstance(message, Message) else message
    return json.dumps(content, ensure_ascii=False, indent=None if one_line else 2)


def plain(message: Message) -> dict[str, Any]:
    """A message as protobuf's JSON would have it, before it is written."""
    content: dict[str, Any] = MessageToDict(message)
    return content


def json_list(key: str, messages: Iterable[Message]) -> dict[str, Any]:
    """A list of messages under its key."""
    return {key: [plain(message) for message in messages]}


def parse_span(text: str) -> timedelta:
    """`90`, `90s`, `30m`, `2h` or `7d`; anything else is a ValueError."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smhd]?)", text.strip())
    if match is None:
        raise ValueError(f"{text!r} is no length of time; write it like 90s, 30m, 2h or 7d")
    return timedelta(seconds=float(match[1]) * _UNITS[match[2]])


def parse_labels(pairs: Sequence[str]) -> dict[str, str]:
    """`team=growth` and so on; a pair without `=` is a ValueError."""
    labels = {}
    for pair in pairs:
        key, mark, value = pair.partition("=")
        if not mark:
            raise ValueError(f"label {pair!r} is not KEY=VALUE")
        labels[key] = value
    return labels
