"""Times and durations for the wire, from whole microseconds."""

from __future__ import annotations

from typing import Final

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from service.domain.limits import MICROS_PER_SECOND

_NANOS_PER_MICRO: Final = 1_000
_NANOS_PER_SECOND: Final = 1_000_000_000


def stamp(micros: int) -> Timestamp:
    """A time, of microseconds since 1970."""
    seconds, rest = divmod(micros, MICROS_PER_SECOND)
    return Timestamp(seconds=seconds, nanos=rest * _NANOS_PER_MICRO)


def span(micros: int) -> Duration:
    """A duration of 0 or more microseconds."""
    seconds, rest = divmod(micros, MICROS_PER_SECOND)
    return Duration(seconds=seconds, nanos=rest * _NANOS_PER_MICRO)


def span_of_seconds(seconds: float) -> Duration:
    """A duration of 0 or more seconds, to the nanosecond."""
    whole, rest = divmod(round(seconds * _NANOS_PER_SECOND), _NANOS_PER_SECOND)
    return Duration(seconds=whole, nanos=rest)
