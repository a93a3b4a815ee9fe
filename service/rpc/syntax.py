"""Field syntax: every fault of a message is collected with its path, then all are refused at once."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from decimal import Decimal
from enum import Enum
from typing import Any, Final, TypeVar

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from service.domain.errors import FieldInvalid, Violation
from service.domain.limits import (
    MICROS_PER_SECOND,
    label_key_characters_max,
    label_value_bytes_max,
    labels_count_max,
)
from service.domain.money import CURRENCY
from service.rpc.identity import PROJECT_PATTERN

E = TypeVar("E", bound=Enum)

SHA256: Final = re.compile(r"[0-9a-f]{64}")
FILTER_VALUES_MAX: Final = 50
ID_CHARACTERS_MAX: Final = 64

# Line breaks and tabs are text; every other control character is a mistake or an attempt.
_CONTROL: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")
_UNPRINTABLE: Final = re.compile(r"[^\x20-\x7e]")
_LABEL_KEY: Final = re.compile(rf"[a-z][a-z0-9_.-]{{0,{label_key_characters_max - 1}}}")
_NANOS: Final = 1_000_000_000
_HOUR: Final = 3_600 * MICROS_PER_SECOND
_SECONDS_MAX: Final = 315_576_000_000
_TIMESTAMP_MAX: Final = 253_402_300_799
_FAULTS_KEPT_MAX: Final = 1_000
_SHOWN_CHARACTERS: Final = 64


def has_control(text: str) -> bool:
    """Whether there are control characters other than line breaks and tabs, or halves of surrogate pairs."""
    return _CONTROL.search(text) is not None


def shown(text: str) -> str:
    """Foreign text inside of a path: short, and nothing that a terminal obeys."""
    return _UNPRINTABLE.sub("?", text[:_SHOWN_CHARACTERS])


class Faults:
    """All that is wrong with one message. Check methods answer the value, or a harmless one after a fault."""

    def __init__(self) -> None:
        self._violations: list[Violation] = []
        self._first: dict[str, str] = {}
        self._count = 0

    @property
    def found(self) -> bool:
        """Whether there is any."""
        return self._count > 0

    def add(self, field: str, text: str, *, limit: object = None, actual: object = None) -> None:
        """Note a fault."""
        self._count += 1
        if len(self._violations) < _FAULTS_KEPT_MAX:
            self._violations.append(Violation(field, text))
        if not self._first:
            self._first["field"] = field
            if limit is not None:
                self._first["limit"] = str(limit)
            if actual is not None:
                self._first["actual"] = str(actual)

    def refuse(self) -> None:
        """Raise FieldInvalid with every fault noted; nothing when there is none."""
        if self._violations:
            first = self._violations[0]
            more = f" (and {self._count - 1} more)" if self._count > 1 else ""
            raise FieldInvalid(
                f"{first.field}: {first.text}{more}", metadata=self._first, violations=self._violations
            )

    def within(self, field: str, value: int, least: int, most: int) -> int:
        """A whole number between two bounds, both included."""
        if not least <= value <= most:
            self.add(field, f"must be {least} to {most}", limit=most if value > most else least, actual=value)
        return value

    def text(self, field: str, value: str, characters_max: int) -> str:
        """A text without control characters."""
        if len(value) > characters_max:
            self.add(field, f"at most {characters_max} characters", limit=characters_max, actual=len(value))
        if has_control(value):
            self.add(field, "must not contain control characters other than line breaks and tabs")
        return value

    def choice(self, field: str, number: int, known: Mapping[int, E]) -> E | None:
        """An enum's value; None for an unspecified one."""
        if number == 0:
            return None
        found = known.get(number)
        if found is None:
            self.add(field, f"unknown value {number}", limit=max(known), actual=number)
        return found

    def chosen(self, field: str, number_list: Iterable[int], known: Mapping[int, E]) -> tuple[E, ...]:
        """Enum values of a filter; an unspecified one is a fault there."""
        found = []
        for index, number in enumerate(number_list):
            if index >= FILTER_VALUES_MAX:
                self.add(field, f"at most {FILTER_VALUES_MAX} values", limit=FILTER_VALUES_MAX)
                break
            one = known.get(number)
            if one is None:
                self.add(f"{field}[{index}]", f"unknown value {number}", actual=number)
            else:
                found.append(one)
        return tuple(found)

    def names(self, field: str, values: Any) -> tuple[str, ...]:
        """Names of a filter."""
        if len(values) > FILTER_VALUES_MAX:
            self.add(
                field, f"at most {FILTER_VALUES_MAX} values", limit=FILTER_VALUES_MAX, actual=len(values)
            )
        for index, value in enumerate(values[:FILTER_VALUES_MAX]):
            if not 1 <= len(value) <= 200 or has_control(value):
                self.add(f"{field}[{index}]", "must be 1 to 200 characters without control characters")
        return tuple(values)


def finite(faults: Faults, field: str, value: float) -> Decimal:
    """A double as the decimal that it is written as; NaN and infinities are faults."""
    if not math.isfinite(value):
        faults.add(field, "must be a finite number", actual=value)
        return Decimal(0)
    return Decimal(repr(value))


def project(faults: Faults, field: str, value: str) -> str:
    """A project's name, or nothing."""
    if value and not PROJECT_PATTERN.fullmatch(value):
        faults.add(field, "is no project's name", limit=PROJECT_PATTERN.pattern, actual=shown(value))
    return value


def sha256(faults: Faults, field: str, value: str) -> str:
    """64 lower-case hexadecimal digits."""
    if not SHA256.fullmatch(value):
        faults.add(field, "must be 64 lower-case hexadecimal digits", limit=64, actual=len(value))
    return value


def seconds(faults: Faults, field: str, value: Duration) -> float | None:
    """A duration in seconds, negative ones included; None after a fault."""
    mixed = value.seconds * value.nanos < 0
    if mixed or abs(value.nanos) >= _NANOS or abs(value.seconds) > _SECONDS_MAX:
        faults.add(field, "is no valid duration")
        return None
    return float(value.seconds + value.nanos / _NANOS)


def micros(faults: Faults, field: str, value: Timestamp) -> int:
    """A time in microseconds since 1970; finer parts are cut."""
    if not 0 <= value.nanos < _NANOS or not 0 <= value.seconds <= _TIMESTAMP_MAX:
        faults.add(field, "is no time between 1970 and 9999")
        return 0
    return int(value.seconds * MICROS_PER_SECOND + value.nanos // 1_000)


def hours(faults: Faults, field: str, value: Any) -> tuple[int, int]:
    """Both ends of a TimeRange, which are required whole UTC hours, in microseconds."""
    bounds = []
    for name in ("start_time", "end_time"):
        path = f"{field}.{name}"
        if not value.HasField(name):
            faults.add(path, "is required")
            bounds.append(0)
            continue
        at = micros(faults, path, getattr(value, name))
        if at % _HOUR:
            faults.add(path, "must be a whole UTC hour")
        bounds.append(at)
    start, end = bounds
    if end <= start and value.HasField("end_time"):
        faults.add(f"{field}.end_time", "must be later than the start")
    return start, end


def open_range(faults: Faults, field: str, value: Any) -> tuple[int | None, int | None]:
    """Both ends of a TimeRange, either of which may be absent, in microseconds."""
    start = micros(faults, f"{field}.start_time", value.start_time) if value.HasField("start_time") else None
    end = micros(faults, f"{field}.end_time", value.end_time) if value.HasField("end_time") else None
    if start is not None and end is not None and end <= start:
        faults.add(f"{field}.end_time", "must be later than the start")
    return start, end


def dollars(faults: Faults, field: str, value: Any) -> int:
    """An amount in nano-USD, 0 or more, of a Money."""
    if value.currency_code != CURRENCY:
        faults.add(
            f"{field}.currency_code", f"must be {CURRENCY}", limit=CURRENCY, actual=shown(value.currency_code)
        )
    if value.amount_nanos < 0:
        faults.add(f"{field}.amount_nanos", "must be 0 or more", limit=0, actual=value.amount_nanos)
    return int(value.amount_nanos)


def labels(faults: Faults, field: str, given: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """Labels, sorted by key."""
    if not given:
        return ()
    if len(given) > labels_count_max:
        faults.add(field, f"at most {labels_count_max} labels", limit=labels_count_max, actual=len(given))
        return ()
    pairs = sorted([(key, given[key]) for key in given])
    for key, value in pairs:
        path = f"{field}[{shown(key)}]"
        if not _LABEL_KEY.fullmatch(key):
            faults.add(path, "a key must match [a-z][a-z0-9_.-]{0,62}", limit=_LABEL_KEY.pattern)
        size_bytes = len(value.encode("utf-8", "replace"))
        if size_bytes > label_value_bytes_max:
            limit = label_value_bytes_max
            faults.add(path, f"a value has at most {limit} bytes", limit=limit, actual=size_bytes)
        if has_control(value):
            faults.add(path, "a value must not contain control characters")
    return tuple(pairs)


def is_label_key(text: str) -> bool:
    """Whether it could be the key of a label."""
    return _LABEL_KEY.fullmatch(text) is not None


def printable(text: str, characters_max: int = ID_CHARACTERS_MAX) -> bool:
    """Whether it could be an id or name of ours: 1 to so many printable ASCII characters."""
    return 0 < len(text) <= characters_max and not _UNPRINTABLE.search(text)
