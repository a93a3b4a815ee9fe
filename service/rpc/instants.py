"""Times and durations for the wire, from whole microseconds.

Writing into a field costs a third of making a message and copying it there, so what is on every answer's way is written.
"""

from __future__ import annotations

from typing import Final

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from service.domain.limits import MICROS_PER_SECOND

_NANOS_PER_MICRO: Final = 1_000
_NANOS_PER_SECOND: Final = 1_000_000_000


def put_time(field: Timestamp, micros: int) -> None:
    """Write a time, of microseconds since 1970, into a field."""
    seconds, rest = divmod(micros, MICROS_PER_SECOND)
    field.seconds = seconds
    field.nanos = rest * _NANOS_PER_MICRO


def put_span(field: Duration, micros: int) -> None:
    """Write a duration of 0 or more microseconds into a field, which is then present even if it is 0."""
    seconds, rest = divmod(micros, MICROS_PER_SECOND)
    # Even writing a 0 makes the field present.
    field.seconds = seconds
    field.nanos = rest * _NANOS_PER_MICRO


def stamp(micros: int) -> Timestamp:
    """A time, of microseconds since 1970."""
    seconds, rest = divmod(micros, MICROS_PER_SECOND)
    return Timestamp(seconds=seconds, nanos=rest * _NANOS_PER_MICRO)


def span_of_seconds(seconds: float) -> Duration:
    """A duration of 0 or more seconds, to the nanosecond."""
    whole, rest = divmod(round(seconds * _NANOS_PER_SECOND), _NANOS_PER_SECOND)
    return Duration(seconds=whole, nanos=rest)
