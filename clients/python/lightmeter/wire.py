"""Small translations between protobuf's values and Python's: times, durations, words, absent fields."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Final, Protocol

from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from lightmeter.money import Money
from lightmeter.v1 import money_pb2

MICROS: Final = timedelta(microseconds=1)


class Enumeration(Protocol):
    """What the generated enums offer."""

    def Name(self, number: int) -> str:  # noqa: N802 - protobuf's spelling
        """The value's full name; an unknown number is a ValueError."""
        ...

    def Value(self, name: str) -> int:  # noqa: N802 - protobuf's spelling
        """The number of a full name; an unknown name is a ValueError."""
        ...

    def keys(self) -> list[str]:
        """All full names."""
        ...


def word(enumeration: Enumeration, number: int) -> str:
    """The short name of a value: `JOB_STATE_QUEUED` is `QUEUED`, the unspecified one is empty.

    A value that this client does not know yet becomes its number in digits, so that new ones break nobody.
    """
    try:
        name = enumeration.Name(number)
    except ValueError:
        return str(number)
    return "" if name.endswith("_UNSPECIFIED") else name.removeprefix(prefix(enumeration))


def prefix(enumeration: Enumeration) -> str:
    """What all names of an enum begin with: `JOB_STATE_`."""
    return enumeration.keys()[0].removesuffix("UNSPECIFIED")


def number(enumeration: Enumeration, short: str, what: str) -> Any:
    """The value of a word in any letter case; a ValueError lists the words that exist.

    It is an int; the stubs give each enum a type of its own, which a word can't know.
    """
    try:
        return enumeration.Value(prefix(enumeration) + short.strip().upper().replace("-", "_"))
    except ValueError:
        words = [name.removeprefix(prefix(enumeration)).lower() for name in enumeration.keys()[1:]]
        raise ValueError(f"{what} {short!r} is not one of {', '.join(words)}") from None


def time(message: Message, field: str) -> datetime | None:
    """A timestamp field as an aware time in UTC, None when it is absent. Parts of a microsecond are cut."""
    if not message.HasField(field):
        return None
    value: Timestamp = getattr(message, field)
    return value.ToDatetime(tzinfo=UTC)


def duration(message: Message, field: str) -> timedelta | None:
    """A duration field, None when it is absent."""
    if not message.HasField(field):
        return None
    value: Duration = getattr(message, field)
    return value.ToTimedelta()


def money(message: Message, field: str) -> Money | None:
    """A money field, None when it is absent: not known is not zero."""
    if not message.HasField(field):
        return None
    value: money_pb2.Money = getattr(message, field)
    return Money.from_proto(value)


def as_duration(value: timedelta | float) -> Duration:
    """A duration for the wire, from a timedelta or from seconds."""
    span = value if isinstance(value, timedelta) else timedelta(seconds=value)
    message = Duration()
    message.FromTimedelta(span)
    return message


def as_timestamp(value: datetime) -> Timestamp:
    """A time for the wire; a time without a zone is a ValueError, because it names no instant."""
    if value.tzinfo is None:
        raise ValueError(f"{value} has no time zone; pass an aware datetime")
    message = Timestamp()
    message.FromDatetime(value)
    return message
