import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Settlement(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SETTLEMENT_UNSPECIFIED: _ClassVar[Settlement]
    SETTLEMENT_OPEN: _ClassVar[Settlement]
    SETTLEMENT_VOIDED: _ClassVar[Settlement]
    SETTLEMENT_POSTED: _ClassVar[Settlement]
    SETTLEMENT_UNCONFIRMED: _ClassVar[Settlement]
    SETTLEMENT_CONFIRMED: _ClassVar[Settlement]

class Evidence(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    EVIDENCE_UNSPECIFIED: _ClassVar[Evidence]
    EVIDENCE_ESTIMATE: _ClassVar[Evidence]
    EVIDENCE_BILLED_UNITS: _ClassVar[Evidence]
    EVIDENCE_BILLING_EVENT: _ClassVar[Evidence]
    EVIDENCE_INVOICE: _ClassVar[Evidence]
SETTLEMENT_UNSPECIFIED: Settlement
SETTLEMENT_OPEN: Settlement
SETTLEMENT_VOIDED: Settlement
SETTLEMENT_POSTED: Settlement
SETTLEMENT_UNCONFIRMED: Settlement
SETTLEMENT_CONFIRMED: Settlement
EVIDENCE_UNSPECIFIED: Evidence
EVIDENCE_ESTIMATE: Evidence
EVIDENCE_BILLED_UNITS: Evidence
EVIDENCE_BILLING_EVENT: Evidence
EVIDENCE_INVOICE: Evidence

class Money(_message.Message):
    __slots__ = ("currency_code", "amount_nanos")
    CURRENCY_CODE_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_NANOS_FIELD_NUMBER: _ClassVar[int]
    currency_code: str
    amount_nanos: int
    def __init__(self, currency_code: _Optional[str] = ..., amount_nanos: _Optional[int] = ...) -> None: ...

class PriceSnapshot(_message.Message):
    __slots__ = ("rule_id", "version", "source_uri", "effective_time")
    RULE_ID_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    SOURCE_URI_FIELD_NUMBER: _ClassVar[int]
    EFFECTIVE_TIME_FIELD_NUMBER: _ClassVar[int]
    rule_id: str
    version: str
    source_uri: str
    effective_time: _timestamp_pb2.Timestamp
    def __init__(self, rule_id: _Optional[str] = ..., version: _Optional[str] = ..., source_uri: _Optional[str] = ..., effective_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class PriceLine(_message.Message):
    __slots__ = ("description", "quantity", "unit", "unit_price", "amount")
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    QUANTITY_FIELD_NUMBER: _ClassVar[int]
    UNIT_FIELD_NUMBER: _ClassVar[int]
    UNIT_PRICE_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_FIELD_NUMBER: _ClassVar[int]
    description: str
    quantity: str
    unit: str
    unit_price: str
    amount: Money
    def __init__(self, description: _Optional[str] = ..., quantity: _Optional[str] = ..., unit: _Optional[str] = ..., unit_price: _Optional[str] = ..., amount: _Optional[_Union[Money, _Mapping]] = ...) -> None: ...

class Receipt(_message.Message):
    __slots__ = ("job_id", "version", "settlement", "evidence", "held", "charged", "corrected", "avoided", "payer_job_id", "attempts", "usage_time", "update_time")
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    SETTLEMENT_FIELD_NUMBER: _ClassVar[int]
    EVIDENCE_FIELD_NUMBER: _ClassVar[int]
    HELD_FIELD_NUMBER: _ClassVar[int]
    CHARGED_FIELD_NUMBER: _ClassVar[int]
    CORRECTED_FIELD_NUMBER: _ClassVar[int]
    AVOIDED_FIELD_NUMBER: _ClassVar[int]
    PAYER_JOB_ID_FIELD_NUMBER: _ClassVar[int]
    ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    USAGE_TIME_FIELD_NUMBER: _ClassVar[int]
    UPDATE_TIME_FIELD_NUMBER: _ClassVar[int]
    job_id: str
    version: int
    settlement: Settlement
    evidence: Evidence
    held: Money
    charged: Money
    corrected: Money
    avoided: Money
    payer_job_id: str
    attempts: _containers.RepeatedCompositeFieldContainer[AttemptReceipt]
    usage_time: _timestamp_pb2.Timestamp
    update_time: _timestamp_pb2.Timestamp
    def __init__(self, job_id: _Optional[str] = ..., version: _Optional[int] = ..., settlement: _Optional[_Union[Settlement, str]] = ..., evidence: _Optional[_Union[Evidence, str]] = ..., held: _Optional[_Union[Money, _Mapping]] = ..., charged: _Optional[_Union[Money, _Mapping]] = ..., corrected: _Optional[_Union[Money, _Mapping]] = ..., avoided: _Optional[_Union[Money, _Mapping]] = ..., payer_job_id: _Optional[str] = ..., attempts: _Optional[_Iterable[_Union[AttemptReceipt, _Mapping]]] = ..., usage_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., update_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class AttemptReceipt(_message.Message):
    __slots__ = ("attempt_number", "provider", "route", "provider_request_id", "settlement", "evidence", "held", "charged", "corrected", "list_price", "discount", "price", "lines", "dispatch_time", "finish_time")
    ATTEMPT_NUMBER_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_FIELD_NUMBER: _ClassVar[int]
    ROUTE_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    SETTLEMENT_FIELD_NUMBER: _ClassVar[int]
    EVIDENCE_FIELD_NUMBER: _ClassVar[int]
    HELD_FIELD_NUMBER: _ClassVar[int]
    CHARGED_FIELD_NUMBER: _ClassVar[int]
    CORRECTED_FIELD_NUMBER: _ClassVar[int]
    LIST_PRICE_FIELD_NUMBER: _ClassVar[int]
    DISCOUNT_FIELD_NUMBER: _ClassVar[int]
    PRICE_FIELD_NUMBER: _ClassVar[int]
    LINES_FIELD_NUMBER: _ClassVar[int]
    DISPATCH_TIME_FIELD_NUMBER: _ClassVar[int]
    FINISH_TIME_FIELD_NUMBER: _ClassVar[int]
    attempt_number: int
    provider: str
    route: str
    provider_request_id: str
    settlement: Settlement
    evidence: Evidence
    held: Money
    charged: Money
    corrected: Money
    list_price: Money
    discount: Money
    price: PriceSnapshot
    lines: _containers.RepeatedCompositeFieldContainer[PriceLine]
    dispatch_time: _timestamp_pb2.Timestamp
    finish_time: _timestamp_pb2.Timestamp
    def __init__(self, attempt_number: _Optional[int] = ..., provider: _Optional[str] = ..., route: _Optional[str] = ..., provider_request_id: _Optional[str] = ..., settlement: _Optional[_Union[Settlement, str]] = ..., evidence: _Optional[_Union[Evidence, str]] = ..., held: _Optional[_Union[Money, _Mapping]] = ..., charged: _Optional[_Union[Money, _Mapping]] = ..., corrected: _Optional[_Union[Money, _Mapping]] = ..., list_price: _Optional[_Union[Money, _Mapping]] = ..., discount: _Optional[_Union[Money, _Mapping]] = ..., price: _Optional[_Union[PriceSnapshot, _Mapping]] = ..., lines: _Optional[_Iterable[_Union[PriceLine, _Mapping]]] = ..., dispatch_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., finish_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class Timing(_message.Message):
    __slots__ = ("input", "queued", "retried", "provider_queue", "provider_run", "download", "store", "settle", "total", "added")
    INPUT_FIELD_NUMBER: _ClassVar[int]
    QUEUED_FIELD_NUMBER: _ClassVar[int]
    RETRIED_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_QUEUE_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_RUN_FIELD_NUMBER: _ClassVar[int]
    DOWNLOAD_FIELD_NUMBER: _ClassVar[int]
    STORE_FIELD_NUMBER: _ClassVar[int]
    SETTLE_FIELD_NUMBER: _ClassVar[int]
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    ADDED_FIELD_NUMBER: _ClassVar[int]
    input: _duration_pb2.Duration
    queued: _duration_pb2.Duration
    retried: _duration_pb2.Duration
    provider_queue: _duration_pb2.Duration
    provider_run: _duration_pb2.Duration
    download: _duration_pb2.Duration
    store: _duration_pb2.Duration
    settle: _duration_pb2.Duration
    total: _duration_pb2.Duration
    added: _duration_pb2.Duration
    def __init__(self, input: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., queued: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., retried: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., provider_queue: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., provider_run: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., download: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., store: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., settle: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., total: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., added: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class Latency(_message.Message):
    __slots__ = ("p50", "p90", "p99", "sample_count")
    P50_FIELD_NUMBER: _ClassVar[int]
    P90_FIELD_NUMBER: _ClassVar[int]
    P99_FIELD_NUMBER: _ClassVar[int]
    SAMPLE_COUNT_FIELD_NUMBER: _ClassVar[int]
    p50: _duration_pb2.Duration
    p90: _duration_pb2.Duration
    p99: _duration_pb2.Duration
    sample_count: int
    def __init__(self, p50: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., p90: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., p99: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., sample_count: _Optional[int] = ...) -> None: ...
