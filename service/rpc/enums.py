"""The service's enums and the wire's, one table per pair. A value without a partner is a programmer's mistake at import."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Any, Final, TypeVar

from lightmeter.v1 import (
    drawing_pb2,
    errors_pb2,
    image_service_pb2,
    job_pb2,
    ledger_service_pb2,
    model_service_pb2,
    money_pb2,
    operator_service_pb2,
)

from service.domain.bills import Side
from service.domain.commands import CacheMode, CancelOutcome
from service.domain.drawing import Background, ImageFormat, Operation, Quality, Resolution
from service.domain.errors import Reason
from service.domain.exchange import Health
from service.domain.failure import Fault, RetryAdvice
from service.domain.oversight import SwitchState
from service.domain.price import Certainty
from service.domain.records import AttemptState, Grade, JobState, Origin, Period, TransferKind

E = TypeVar("E", bound=Enum)

# The stubs give each enum a type of its own that a table can't know; on the wire they are ints.
Numbers = Mapping[E, Any]


def numbers(wire: Any, prefix: str, kind: type[E], *without: E) -> Numbers[E]:
    """Domain value → number on the wire, by name. `without` names values that the wire does not have."""
    return {one: wire.Value(prefix + one.value) for one in kind if one not in without}


def members(table: Numbers[E]) -> Mapping[int, E]:
    """The other way round: number → domain value."""
    return {number: one for one, number in table.items()}


def name_of(wire: Any, number: int) -> str:
    """The full name of a number; empty when the wire has none."""
    return str(wire.Name(number)) if number in wire.values() else ""


OPERATIONS: Final = numbers(drawing_pb2.Operation, "OPERATION_", Operation)
QUALITIES: Final = numbers(drawing_pb2.Quality, "QUALITY_", Quality)
FORMATS: Final = numbers(drawing_pb2.ImageFormat, "IMAGE_FORMAT_", ImageFormat)
BACKGROUNDS: Final = numbers(drawing_pb2.Background, "BACKGROUND_", Background)
RESOLUTIONS: Final = numbers(drawing_pb2.Resolution, "RESOLUTION_", Resolution)
JOB_STATES: Final = numbers(job_pb2.JobState, "JOB_STATE_", JobState)
ORIGINS: Final = numbers(job_pb2.Origin, "ORIGIN_", Origin)
CACHE_MODES: Final = numbers(job_pb2.CacheMode, "CACHE_MODE_", CacheMode)
RETRY_ADVICES: Final = numbers(job_pb2.RetryAdvice, "RETRY_ADVICE_", RetryAdvice)
CANCEL_OUTCOMES: Final = numbers(image_service_pb2.CancelOutcome, "CANCEL_OUTCOME_", CancelOutcome)
CERTAINTIES: Final = numbers(model_service_pb2.PriceCertainty, "PRICE_CERTAINTY_", Certainty)
HEALTHS: Final = numbers(model_service_pb2.RouteHealth, "ROUTE_HEALTH_", Health)
TRANSFER_KINDS: Final = numbers(ledger_service_pb2.TransferKind, "TRANSFER_KIND_", TransferKind)
SIDES: Final = numbers(ledger_service_pb2.DiscrepancySide, "DISCREPANCY_SIDE_", Side)
BUDGET_WINDOWS: Final = numbers(ledger_service_pb2.BudgetWindow, "BUDGET_WINDOW_", Period)
SWITCH_STATES: Final = numbers(operator_service_pb2.SwitchState, "SWITCH_STATE_", SwitchState)
# What only holds money was not dispatched, so the wire has no word for it.
ATTEMPT_STATES: Final = numbers(
    operator_service_pb2.AttemptState, "ATTEMPT_STATE_", AttemptState, AttemptState.HELD
)

FAULTS: Final[Numbers[Fault]] = {
    **numbers(job_pb2.Fault, "FAULT_", Fault, Fault.NONE),
    Fault.NONE: job_pb2.FAULT_UNSPECIFIED,
}
EVIDENCES: Final[Numbers[Grade]] = {
    **numbers(money_pb2.Evidence, "EVIDENCE_", Grade, Grade.NONE, Grade.UNCONFIRMED),
    # An amount that nothing speaks for has no evidence; its settlement says that it is unconfirmed.
    Grade.NONE: money_pb2.EVIDENCE_UNSPECIFIED,
    Grade.UNCONFIRMED: money_pb2.EVIDENCE_UNSPECIFIED,
}
REASONS: Final[Numbers[Reason]] = {
    **numbers(errors_pb2.ErrorReason, "ERROR_REASON_", Reason, Reason.JOB_CANCELLED),
    # A cancelled job did not fail, so the wire has no reason for it.
    Reason.JOB_CANCELLED: errors_pb2.ERROR_REASON_UNSPECIFIED,
}
