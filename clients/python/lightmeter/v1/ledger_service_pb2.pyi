import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from lightmeter.v1 import drawing_pb2 as _drawing_pb2
from lightmeter.v1 import errors_pb2 as _errors_pb2
from lightmeter.v1 import job_pb2 as _job_pb2
from lightmeter.v1 import money_pb2 as _money_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class CostBasis(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    COST_BASIS_UNSPECIFIED: _ClassVar[CostBasis]
    COST_BASIS_USAGE: _ClassVar[CostBasis]
    COST_BASIS_BOOKED: _ClassVar[CostBasis]

class CostInterval(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    COST_INTERVAL_UNSPECIFIED: _ClassVar[CostInterval]
    COST_INTERVAL_HOUR: _ClassVar[CostInterval]
    COST_INTERVAL_DAY: _ClassVar[CostInterval]
    COST_INTERVAL_MONTH: _ClassVar[CostInterval]

class CostDimension(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    COST_DIMENSION_UNSPECIFIED: _ClassVar[CostDimension]
    COST_DIMENSION_PROJECT: _ClassVar[CostDimension]
    COST_DIMENSION_MODEL: _ClassVar[CostDimension]
    COST_DIMENSION_PROVIDER: _ClassVar[CostDimension]
    COST_DIMENSION_ROUTE: _ClassVar[CostDimension]
    COST_DIMENSION_OPERATION: _ClassVar[CostDimension]
    COST_DIMENSION_ORIGIN: _ClassVar[CostDimension]
    COST_DIMENSION_OUTCOME: _ClassVar[CostDimension]
    COST_DIMENSION_EVIDENCE: _ClassVar[CostDimension]
    COST_DIMENSION_LABEL: _ClassVar[CostDimension]
    COST_DIMENSION_FAULT: _ClassVar[CostDimension]

class TransferKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    TRANSFER_KIND_UNSPECIFIED: _ClassVar[TransferKind]
    TRANSFER_KIND_HOLD: _ClassVar[TransferKind]
    TRANSFER_KIND_POST: _ClassVar[TransferKind]
    TRANSFER_KIND_VOID: _ClassVar[TransferKind]
    TRANSFER_KIND_CORRECTION: _ClassVar[TransferKind]
    TRANSFER_KIND_ACCRUAL: _ClassVar[TransferKind]

class BudgetWindow(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    BUDGET_WINDOW_UNSPECIFIED: _ClassVar[BudgetWindow]
    BUDGET_WINDOW_DAY: _ClassVar[BudgetWindow]
    BUDGET_WINDOW_MONTH: _ClassVar[BudgetWindow]
    BUDGET_WINDOW_TOTAL: _ClassVar[BudgetWindow]

class BudgetEnforcement(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    BUDGET_ENFORCEMENT_UNSPECIFIED: _ClassVar[BudgetEnforcement]
    BUDGET_ENFORCEMENT_HARD: _ClassVar[BudgetEnforcement]
    BUDGET_ENFORCEMENT_SOFT: _ClassVar[BudgetEnforcement]

class DiscrepancySide(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    DISCREPANCY_SIDE_UNSPECIFIED: _ClassVar[DiscrepancySide]
    DISCREPANCY_SIDE_LEDGER: _ClassVar[DiscrepancySide]
    DISCREPANCY_SIDE_PROVIDER: _ClassVar[DiscrepancySide]
    DISCREPANCY_SIDE_AMOUNT: _ClassVar[DiscrepancySide]
COST_BASIS_UNSPECIFIED: CostBasis
COST_BASIS_USAGE: CostBasis
COST_BASIS_BOOKED: CostBasis
COST_INTERVAL_UNSPECIFIED: CostInterval
COST_INTERVAL_HOUR: CostInterval
COST_INTERVAL_DAY: CostInterval
COST_INTERVAL_MONTH: CostInterval
COST_DIMENSION_UNSPECIFIED: CostDimension
COST_DIMENSION_PROJECT: CostDimension
COST_DIMENSION_MODEL: CostDimension
COST_DIMENSION_PROVIDER: CostDimension
COST_DIMENSION_ROUTE: CostDimension
COST_DIMENSION_OPERATION: CostDimension
COST_DIMENSION_ORIGIN: CostDimension
COST_DIMENSION_OUTCOME: CostDimension
COST_DIMENSION_EVIDENCE: CostDimension
COST_DIMENSION_LABEL: CostDimension
COST_DIMENSION_FAULT: CostDimension
TRANSFER_KIND_UNSPECIFIED: TransferKind
TRANSFER_KIND_HOLD: TransferKind
TRANSFER_KIND_POST: TransferKind
TRANSFER_KIND_VOID: TransferKind
TRANSFER_KIND_CORRECTION: TransferKind
TRANSFER_KIND_ACCRUAL: TransferKind
BUDGET_WINDOW_UNSPECIFIED: BudgetWindow
BUDGET_WINDOW_DAY: BudgetWindow
BUDGET_WINDOW_MONTH: BudgetWindow
BUDGET_WINDOW_TOTAL: BudgetWindow
BUDGET_ENFORCEMENT_UNSPECIFIED: BudgetEnforcement
BUDGET_ENFORCEMENT_HARD: BudgetEnforcement
BUDGET_ENFORCEMENT_SOFT: BudgetEnforcement
DISCREPANCY_SIDE_UNSPECIFIED: DiscrepancySide
DISCREPANCY_SIDE_LEDGER: DiscrepancySide
DISCREPANCY_SIDE_PROVIDER: DiscrepancySide
DISCREPANCY_SIDE_AMOUNT: DiscrepancySide

class TimeRange(_message.Message):
    __slots__ = ("start_time", "end_time")
    START_TIME_FIELD_NUMBER: _ClassVar[int]
    END_TIME_FIELD_NUMBER: _ClassVar[int]
    start_time: _timestamp_pb2.Timestamp
    end_time: _timestamp_pb2.Timestamp
    def __init__(self, start_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., end_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class CostFilter(_message.Message):
    __slots__ = ("projects", "models", "providers", "routes", "operations", "origins", "outcomes", "evidences", "faults", "labels")
    class LabelsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    PROJECTS_FIELD_NUMBER: _ClassVar[int]
    MODELS_FIELD_NUMBER: _ClassVar[int]
    PROVIDERS_FIELD_NUMBER: _ClassVar[int]
    ROUTES_FIELD_NUMBER: _ClassVar[int]
    OPERATIONS_FIELD_NUMBER: _ClassVar[int]
    ORIGINS_FIELD_NUMBER: _ClassVar[int]
    OUTCOMES_FIELD_NUMBER: _ClassVar[int]
    EVIDENCES_FIELD_NUMBER: _ClassVar[int]
    FAULTS_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    projects: _containers.RepeatedScalarFieldContainer[str]
    models: _containers.RepeatedScalarFieldContainer[str]
    providers: _containers.RepeatedScalarFieldContainer[str]
    routes: _containers.RepeatedScalarFieldContainer[str]
    operations: _containers.RepeatedScalarFieldContainer[_drawing_pb2.Operation]
    origins: _containers.RepeatedScalarFieldContainer[_job_pb2.Origin]
    outcomes: _containers.RepeatedScalarFieldContainer[_job_pb2.JobState]
    evidences: _containers.RepeatedScalarFieldContainer[_money_pb2.Evidence]
    faults: _containers.RepeatedScalarFieldContainer[_job_pb2.Fault]
    labels: _containers.ScalarMap[str, str]
    def __init__(self, projects: _Optional[_Iterable[str]] = ..., models: _Optional[_Iterable[str]] = ..., providers: _Optional[_Iterable[str]] = ..., routes: _Optional[_Iterable[str]] = ..., operations: _Optional[_Iterable[_Union[_drawing_pb2.Operation, str]]] = ..., origins: _Optional[_Iterable[_Union[_job_pb2.Origin, str]]] = ..., outcomes: _Optional[_Iterable[_Union[_job_pb2.JobState, str]]] = ..., evidences: _Optional[_Iterable[_Union[_money_pb2.Evidence, str]]] = ..., faults: _Optional[_Iterable[_Union[_job_pb2.Fault, str]]] = ..., labels: _Optional[_Mapping[str, str]] = ...) -> None: ...

class SummarizeCostsRequest(_message.Message):
    __slots__ = ("range", "basis", "as_of_time", "interval", "group_by", "label_key", "filter", "include_latency", "page_size", "page_token")
    RANGE_FIELD_NUMBER: _ClassVar[int]
    BASIS_FIELD_NUMBER: _ClassVar[int]
    AS_OF_TIME_FIELD_NUMBER: _ClassVar[int]
    INTERVAL_FIELD_NUMBER: _ClassVar[int]
    GROUP_BY_FIELD_NUMBER: _ClassVar[int]
    LABEL_KEY_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    INCLUDE_LATENCY_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    range: TimeRange
    basis: CostBasis
    as_of_time: _timestamp_pb2.Timestamp
    interval: CostInterval
    group_by: _containers.RepeatedScalarFieldContainer[CostDimension]
    label_key: str
    filter: CostFilter
    include_latency: bool
    page_size: int
    page_token: str
    def __init__(self, range: _Optional[_Union[TimeRange, _Mapping]] = ..., basis: _Optional[_Union[CostBasis, str]] = ..., as_of_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., interval: _Optional[_Union[CostInterval, str]] = ..., group_by: _Optional[_Iterable[_Union[CostDimension, str]]] = ..., label_key: _Optional[str] = ..., filter: _Optional[_Union[CostFilter, _Mapping]] = ..., include_latency: _Optional[bool] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class CostGroup(_message.Message):
    __slots__ = ("project", "model", "provider", "route", "operation", "origin", "outcome", "evidence", "label_value", "fault")
    PROJECT_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_FIELD_NUMBER: _ClassVar[int]
    ROUTE_FIELD_NUMBER: _ClassVar[int]
    OPERATION_FIELD_NUMBER: _ClassVar[int]
    ORIGIN_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    EVIDENCE_FIELD_NUMBER: _ClassVar[int]
    LABEL_VALUE_FIELD_NUMBER: _ClassVar[int]
    FAULT_FIELD_NUMBER: _ClassVar[int]
    project: str
    model: str
    provider: str
    route: str
    operation: _drawing_pb2.Operation
    origin: _job_pb2.Origin
    outcome: _job_pb2.JobState
    evidence: _money_pb2.Evidence
    label_value: str
    fault: _job_pb2.Fault
    def __init__(self, project: _Optional[str] = ..., model: _Optional[str] = ..., provider: _Optional[str] = ..., route: _Optional[str] = ..., operation: _Optional[_Union[_drawing_pb2.Operation, str]] = ..., origin: _Optional[_Union[_job_pb2.Origin, str]] = ..., outcome: _Optional[_Union[_job_pb2.JobState, str]] = ..., evidence: _Optional[_Union[_money_pb2.Evidence, str]] = ..., label_value: _Optional[str] = ..., fault: _Optional[_Union[_job_pb2.Fault, str]] = ...) -> None: ...

class CostFigures(_message.Message):
    __slots__ = ("job_count", "attempt_count", "image_count", "charged", "corrected_up", "corrected_down", "net", "held", "avoided", "net_estimated", "net_unconfirmed")
    JOB_COUNT_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_COUNT_FIELD_NUMBER: _ClassVar[int]
    IMAGE_COUNT_FIELD_NUMBER: _ClassVar[int]
    CHARGED_FIELD_NUMBER: _ClassVar[int]
    CORRECTED_UP_FIELD_NUMBER: _ClassVar[int]
    CORRECTED_DOWN_FIELD_NUMBER: _ClassVar[int]
    NET_FIELD_NUMBER: _ClassVar[int]
    HELD_FIELD_NUMBER: _ClassVar[int]
    AVOIDED_FIELD_NUMBER: _ClassVar[int]
    NET_ESTIMATED_FIELD_NUMBER: _ClassVar[int]
    NET_UNCONFIRMED_FIELD_NUMBER: _ClassVar[int]
    job_count: int
    attempt_count: int
    image_count: int
    charged: _money_pb2.Money
    corrected_up: _money_pb2.Money
    corrected_down: _money_pb2.Money
    net: _money_pb2.Money
    held: _money_pb2.Money
    avoided: _money_pb2.Money
    net_estimated: _money_pb2.Money
    net_unconfirmed: _money_pb2.Money
    def __init__(self, job_count: _Optional[int] = ..., attempt_count: _Optional[int] = ..., image_count: _Optional[int] = ..., charged: _Optional[_Union[_money_pb2.Money, _Mapping]] = ..., corrected_up: _Optional[_Union[_money_pb2.Money, _Mapping]] = ..., corrected_down: _Optional[_Union[_money_pb2.Money, _Mapping]] = ..., net: _Optional[_Union[_money_pb2.Money, _Mapping]] = ..., held: _Optional[_Union[_money_pb2.Money, _Mapping]] = ..., avoided: _Optional[_Union[_money_pb2.Money, _Mapping]] = ..., net_estimated: _Optional[_Union[_money_pb2.Money, _Mapping]] = ..., net_unconfirmed: _Optional[_Union[_money_pb2.Money, _Mapping]] = ...) -> None: ...

class CostRow(_message.Message):
    __slots__ = ("interval_start_time", "group", "figures", "latency")
    INTERVAL_START_TIME_FIELD_NUMBER: _ClassVar[int]
    GROUP_FIELD_NUMBER: _ClassVar[int]
    FIGURES_FIELD_NUMBER: _ClassVar[int]
    LATENCY_FIELD_NUMBER: _ClassVar[int]
    interval_start_time: _timestamp_pb2.Timestamp
    group: CostGroup
    figures: CostFigures
    latency: _money_pb2.Latency
    def __init__(self, interval_start_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., group: _Optional[_Union[CostGroup, _Mapping]] = ..., figures: _Optional[_Union[CostFigures, _Mapping]] = ..., latency: _Optional[_Union[_money_pb2.Latency, _Mapping]] = ...) -> None: ...

class SummarizeCostsResponse(_message.Message):
    __slots__ = ("rows", "total", "as_of_time", "next_page_token")
    ROWS_FIELD_NUMBER: _ClassVar[int]
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    AS_OF_TIME_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    rows: _containers.RepeatedCompositeFieldContainer[CostRow]
    total: CostFigures
    as_of_time: _timestamp_pb2.Timestamp
    next_page_token: str
    def __init__(self, rows: _Optional[_Iterable[_Union[CostRow, _Mapping]]] = ..., total: _Optional[_Union[CostFigures, _Mapping]] = ..., as_of_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class TransferFilter(_message.Message):
    __slots__ = ("projects", "providers", "kinds", "job_id")
    PROJECTS_FIELD_NUMBER: _ClassVar[int]
    PROVIDERS_FIELD_NUMBER: _ClassVar[int]
    KINDS_FIELD_NUMBER: _ClassVar[int]
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    projects: _containers.RepeatedScalarFieldContainer[str]
    providers: _containers.RepeatedScalarFieldContainer[str]
    kinds: _containers.RepeatedScalarFieldContainer[TransferKind]
    job_id: str
    def __init__(self, projects: _Optional[_Iterable[str]] = ..., providers: _Optional[_Iterable[str]] = ..., kinds: _Optional[_Iterable[_Union[TransferKind, str]]] = ..., job_id: _Optional[str] = ...) -> None: ...

class ListTransfersRequest(_message.Message):
    __slots__ = ("range", "filter", "page_size", "page_token")
    RANGE_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    range: TimeRange
    filter: TransferFilter
    page_size: int
    page_token: str
    def __init__(self, range: _Optional[_Union[TimeRange, _Mapping]] = ..., filter: _Optional[_Union[TransferFilter, _Mapping]] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class Transfer(_message.Message):
    __slots__ = ("source", "ordinal", "kind", "debit", "credit", "amount", "job_id", "attempt_number", "evidence", "price_version", "usage_time", "book_time", "memo")
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    ORDINAL_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    DEBIT_FIELD_NUMBER: _ClassVar[int]
    CREDIT_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_FIELD_NUMBER: _ClassVar[int]
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_NUMBER_FIELD_NUMBER: _ClassVar[int]
    EVIDENCE_FIELD_NUMBER: _ClassVar[int]
    PRICE_VERSION_FIELD_NUMBER: _ClassVar[int]
    USAGE_TIME_FIELD_NUMBER: _ClassVar[int]
    BOOK_TIME_FIELD_NUMBER: _ClassVar[int]
    MEMO_FIELD_NUMBER: _ClassVar[int]
    source: str
    ordinal: int
    kind: TransferKind
    debit: str
    credit: str
    amount: _money_pb2.Money
    job_id: str
    attempt_number: int
    evidence: _money_pb2.Evidence
    price_version: str
    usage_time: _timestamp_pb2.Timestamp
    book_time: _timestamp_pb2.Timestamp
    memo: str
    def __init__(self, source: _Optional[str] = ..., ordinal: _Optional[int] = ..., kind: _Optional[_Union[TransferKind, str]] = ..., debit: _Optional[str] = ..., credit: _Optional[str] = ..., amount: _Optional[_Union[_money_pb2.Money, _Mapping]] = ..., job_id: _Optional[str] = ..., attempt_number: _Optional[int] = ..., evidence: _Optional[_Union[_money_pb2.Evidence, str]] = ..., price_version: _Optional[str] = ..., usage_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., book_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., memo: _Optional[str] = ...) -> None: ...

class ListTransfersResponse(_message.Message):
    __slots__ = ("transfers", "next_page_token", "complete_through")
    TRANSFERS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    COMPLETE_THROUGH_FIELD_NUMBER: _ClassVar[int]
    transfers: _containers.RepeatedCompositeFieldContainer[Transfer]
    next_page_token: str
    complete_through: _timestamp_pb2.Timestamp
    def __init__(self, transfers: _Optional[_Iterable[_Union[Transfer, _Mapping]]] = ..., next_page_token: _Optional[str] = ..., complete_through: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class GetReceiptRequest(_message.Message):
    __slots__ = ("job_id",)
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    job_id: str
    def __init__(self, job_id: _Optional[str] = ...) -> None: ...

class GetReceiptResponse(_message.Message):
    __slots__ = ("receipt",)
    RECEIPT_FIELD_NUMBER: _ClassVar[int]
    receipt: _money_pb2.Receipt
    def __init__(self, receipt: _Optional[_Union[_money_pb2.Receipt, _Mapping]] = ...) -> None: ...

class GetStatementRequest(_message.Message):
    __slots__ = ("project", "month")
    PROJECT_FIELD_NUMBER: _ClassVar[int]
    MONTH_FIELD_NUMBER: _ClassVar[int]
    project: str
    month: str
    def __init__(self, project: _Optional[str] = ..., month: _Optional[str] = ...) -> None: ...

class StatementRow(_message.Message):
    __slots__ = ("model", "provider", "operation", "job_count", "image_count", "charged", "corrected_this_month", "corrected_earlier_months", "total")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_FIELD_NUMBER: _ClassVar[int]
    OPERATION_FIELD_NUMBER: _ClassVar[int]
    JOB_COUNT_FIELD_NUMBER: _ClassVar[int]
    IMAGE_COUNT_FIELD_NUMBER: _ClassVar[int]
    CHARGED_FIELD_NUMBER: _ClassVar[int]
    CORRECTED_THIS_MONTH_FIELD_NUMBER: _ClassVar[int]
    CORRECTED_EARLIER_MONTHS_FIELD_NUMBER: _ClassVar[int]
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    model: str
    provider: str
    operation: _drawing_pb2.Operation
    job_count: int
    image_count: int
    charged: _money_pb2.Money
    corrected_this_month: _money_pb2.Money
    corrected_earlier_months: _money_pb2.Money
    total: _money_pb2.Money
    def __init__(self, model: _Optional[str] = ..., provider: _Optional[str] = ..., operation: _Optional[_Union[_drawing_pb2.Operation, str]] = ..., job_count: _Optional[int] = ..., image_count: _Optional[int] = ..., charged: _Optional[_Union[_money_pb2.Money, _Mapping]] = ..., corrected_this_month: _Optional[_Union[_money_pb2.Money, _Mapping]] = ..., corrected_earlier_months: _Optional[_Union[_money_pb2.Money, _Mapping]] = ..., total: _Optional[_Union[_money_pb2.Money, _Mapping]] = ...) -> None: ...

class GetStatementResponse(_message.Message):
    __slots__ = ("project", "month", "closed", "opening_held", "charged", "corrected_this_month", "corrected_earlier_months", "storage", "total", "closing_held", "rows", "sha256")
    PROJECT_FIELD_NUMBER: _ClassVar[int]
    MONTH_FIELD_NUMBER: _ClassVar[int]
    CLOSED_FIELD_NUMBER: _ClassVar[int]
    OPENING_HELD_FIELD_NUMBER: _ClassVar[int]
    CHARGED_FIELD_NUMBER: _ClassVar[int]
    CORRECTED_THIS_MONTH_FIELD_NUMBER: _ClassVar[int]
    CORRECTED_EARLIER_MONTHS_FIELD_NUMBER: _ClassVar[int]
    STORAGE_FIELD_NUMBER: _ClassVar[int]
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    CLOSING_HELD_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    SHA256_FIELD_NUMBER: _ClassVar[int]
    project: str
    month: str
    closed: bool
    opening_held: _money_pb2.Money
    charged: _money_pb2.Money
    corrected_this_month: _money_pb2.Money
    corrected_earlier_months: _money_pb2.Money
    storage: _money_pb2.Money
    total: _money_pb2.Money
    closing_held: _money_pb2.Money
    rows: _containers.RepeatedCompositeFieldContainer[StatementRow]
    sha256: str
    def __init__(self, project: _Optional[str] = ..., month: _Optional[str] = ..., closed: _Optional[bool] = ..., opening_held: _Optional[_Union[_money_pb2.Money, _Mapping]] = ..., charged: _Optional[_Union[_money_pb2.Money, _Mapping]] = ..., corrected_this_month: _Optional[_Union[_money_pb2.Money, _Mapping]] = ..., corrected_earlier_months: _Optional[_Union[_money_pb2.Money, _Mapping]] = ..., storage: _Optional[_Union[_money_pb2.Money, _Mapping]] = ..., total: _Optional[_Union[_money_pb2.Money, _Mapping]] = ..., closing_held: _Optional[_Union[_money_pb2.Money, _Mapping]] = ..., rows: _Optional[_Iterable[_Union[StatementRow, _Mapping]]] = ..., sha256: _Optional[str] = ...) -> None: ...

class Budget(_message.Message):
    __slots__ = ("name", "project", "label_key", "label_value", "window", "enforcement", "limit", "alert_percents", "spent", "held", "window_start_time", "window_end_time", "etag", "updater")
    NAME_FIELD_NUMBER: _ClassVar[int]
    PROJECT_FIELD_NUMBER: _ClassVar[int]
    LABEL_KEY_FIELD_NUMBER: _ClassVar[int]
    LABEL_VALUE_FIELD_NUMBER: _ClassVar[int]
    WINDOW_FIELD_NUMBER: _ClassVar[int]
    ENFORCEMENT_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    ALERT_PERCENTS_FIELD_NUMBER: _ClassVar[int]
    SPENT_FIELD_NUMBER: _ClassVar[int]
    HELD_FIELD_NUMBER: _ClassVar[int]
    WINDOW_START_TIME_FIELD_NUMBER: _ClassVar[int]
    WINDOW_END_TIME_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    UPDATER_FIELD_NUMBER: _ClassVar[int]
    name: str
    project: str
    label_key: str
    label_value: str
    window: BudgetWindow
    enforcement: BudgetEnforcement
    limit: _money_pb2.Money
    alert_percents: _containers.RepeatedScalarFieldContainer[int]
    spent: _money_pb2.Money
    held: _money_pb2.Money
    window_start_time: _timestamp_pb2.Timestamp
    window_end_time: _timestamp_pb2.Timestamp
    etag: str
    updater: str
    def __init__(self, name: _Optional[str] = ..., project: _Optional[str] = ..., label_key: _Optional[str] = ..., label_value: _Optional[str] = ..., window: _Optional[_Union[BudgetWindow, str]] = ..., enforcement: _Optional[_Union[BudgetEnforcement, str]] = ..., limit: _Optional[_Union[_money_pb2.Money, _Mapping]] = ..., alert_percents: _Optional[_Iterable[int]] = ..., spent: _Optional[_Union[_money_pb2.Money, _Mapping]] = ..., held: _Optional[_Union[_money_pb2.Money, _Mapping]] = ..., window_start_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., window_end_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., etag: _Optional[str] = ..., updater: _Optional[str] = ...) -> None: ...

class ListBudgetsRequest(_message.Message):
    __slots__ = ("project", "page_size", "page_token")
    PROJECT_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    project: str
    page_size: int
    page_token: str
    def __init__(self, project: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListBudgetsResponse(_message.Message):
    __slots__ = ("budgets", "next_page_token")
    BUDGETS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    budgets: _containers.RepeatedCompositeFieldContainer[Budget]
    next_page_token: str
    def __init__(self, budgets: _Optional[_Iterable[_Union[Budget, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class SetBudgetRequest(_message.Message):
    __slots__ = ("budget", "reason")
    BUDGET_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    budget: Budget
    reason: str
    def __init__(self, budget: _Optional[_Union[Budget, _Mapping]] = ..., reason: _Optional[str] = ...) -> None: ...

class SetBudgetResponse(_message.Message):
    __slots__ = ("budget",)
    BUDGET_FIELD_NUMBER: _ClassVar[int]
    budget: Budget
    def __init__(self, budget: _Optional[_Union[Budget, _Mapping]] = ...) -> None: ...

class DeleteBudgetRequest(_message.Message):
    __slots__ = ("name", "etag", "reason")
    NAME_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    name: str
    etag: str
    reason: str
    def __init__(self, name: _Optional[str] = ..., etag: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class DeleteBudgetResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListReconciliationsRequest(_message.Message):
    __slots__ = ("provider", "range", "page_size", "page_token")
    PROVIDER_FIELD_NUMBER: _ClassVar[int]
    RANGE_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    provider: str
    range: TimeRange
    page_size: int
    page_token: str
    def __init__(self, provider: _Optional[str] = ..., range: _Optional[_Union[TimeRange, _Mapping]] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class Reconciliation(_message.Message):
    __slots__ = ("reconciliation_id", "provider", "range", "evidence", "complete", "ledger_amount", "billed_amount", "corrected", "drift", "matched_count", "unmatched_ledger_count", "unmatched_provider_count", "start_time", "finish_time")
    RECONCILIATION_ID_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_FIELD_NUMBER: _ClassVar[int]
    RANGE_FIELD_NUMBER: _ClassVar[int]
    EVIDENCE_FIELD_NUMBER: _ClassVar[int]
    COMPLETE_FIELD_NUMBER: _ClassVar[int]
    LEDGER_AMOUNT_FIELD_NUMBER: _ClassVar[int]
    BILLED_AMOUNT_FIELD_NUMBER: _ClassVar[int]
    CORRECTED_FIELD_NUMBER: _ClassVar[int]
    DRIFT_FIELD_NUMBER: _ClassVar[int]
    MATCHED_COUNT_FIELD_NUMBER: _ClassVar[int]
    UNMATCHED_LEDGER_COUNT_FIELD_NUMBER: _ClassVar[int]
    UNMATCHED_PROVIDER_COUNT_FIELD_NUMBER: _ClassVar[int]
    START_TIME_FIELD_NUMBER: _ClassVar[int]
    FINISH_TIME_FIELD_NUMBER: _ClassVar[int]
    reconciliation_id: str
    provider: str
    range: TimeRange
    evidence: _money_pb2.Evidence
    complete: bool
    ledger_amount: _money_pb2.Money
    billed_amount: _money_pb2.Money
    corrected: _money_pb2.Money
    drift: _money_pb2.Money
    matched_count: int
    unmatched_ledger_count: int
    unmatched_provider_count: int
    start_time: _timestamp_pb2.Timestamp
    finish_time: _timestamp_pb2.Timestamp
    def __init__(self, reconciliation_id: _Optional[str] = ..., provider: _Optional[str] = ..., range: _Optional[_Union[TimeRange, _Mapping]] = ..., evidence: _Optional[_Union[_money_pb2.Evidence, str]] = ..., complete: _Optional[bool] = ..., ledger_amount: _Optional[_Union[_money_pb2.Money, _Mapping]] = ..., billed_amount: _Optional[_Union[_money_pb2.Money, _Mapping]] = ..., corrected: _Optional[_Union[_money_pb2.Money, _Mapping]] = ..., drift: _Optional[_Union[_money_pb2.Money, _Mapping]] = ..., matched_count: _Optional[int] = ..., unmatched_ledger_count: _Optional[int] = ..., unmatched_provider_count: _Optional[int] = ..., start_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., finish_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class ListReconciliationsResponse(_message.Message):
    __slots__ = ("reconciliations", "next_page_token")
    RECONCILIATIONS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    reconciliations: _containers.RepeatedCompositeFieldContainer[Reconciliation]
    next_page_token: str
    def __init__(self, reconciliations: _Optional[_Iterable[_Union[Reconciliation, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class ListDiscrepanciesRequest(_message.Message):
    __slots__ = ("provider", "sides", "range", "include_resolved", "page_size", "page_token")
    PROVIDER_FIELD_NUMBER: _ClassVar[int]
    SIDES_FIELD_NUMBER: _ClassVar[int]
    RANGE_FIELD_NUMBER: _ClassVar[int]
    INCLUDE_RESOLVED_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    provider: str
    sides: _containers.RepeatedScalarFieldContainer[DiscrepancySide]
    range: TimeRange
    include_resolved: bool
    page_size: int
    page_token: str
    def __init__(self, provider: _Optional[str] = ..., sides: _Optional[_Iterable[_Union[DiscrepancySide, str]]] = ..., range: _Optional[_Union[TimeRange, _Mapping]] = ..., include_resolved: _Optional[bool] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class Discrepancy(_message.Message):
    __slots__ = ("discrepancy_id", "provider", "side", "endpoint", "bill_id", "provider_request_id", "job_id", "attempt_number", "ledger_amount", "billed_amount", "usage_time", "create_time", "resolve_time", "resolution")
    DISCREPANCY_ID_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_FIELD_NUMBER: _ClassVar[int]
    SIDE_FIELD_NUMBER: _ClassVar[int]
    ENDPOINT_FIELD_NUMBER: _ClassVar[int]
    BILL_ID_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_NUMBER_FIELD_NUMBER: _ClassVar[int]
    LEDGER_AMOUNT_FIELD_NUMBER: _ClassVar[int]
    BILLED_AMOUNT_FIELD_NUMBER: _ClassVar[int]
    USAGE_TIME_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    RESOLVE_TIME_FIELD_NUMBER: _ClassVar[int]
    RESOLUTION_FIELD_NUMBER: _ClassVar[int]
    discrepancy_id: str
    provider: str
    side: DiscrepancySide
    endpoint: str
    bill_id: str
    provider_request_id: str
    job_id: str
    attempt_number: int
    ledger_amount: _money_pb2.Money
    billed_amount: _money_pb2.Money
    usage_time: _timestamp_pb2.Timestamp
    create_time: _timestamp_pb2.Timestamp
    resolve_time: _timestamp_pb2.Timestamp
    resolution: str
    def __init__(self, discrepancy_id: _Optional[str] = ..., provider: _Optional[str] = ..., side: _Optional[_Union[DiscrepancySide, str]] = ..., endpoint: _Optional[str] = ..., bill_id: _Optional[str] = ..., provider_request_id: _Optional[str] = ..., job_id: _Optional[str] = ..., attempt_number: _Optional[int] = ..., ledger_amount: _Optional[_Union[_money_pb2.Money, _Mapping]] = ..., billed_amount: _Optional[_Union[_money_pb2.Money, _Mapping]] = ..., usage_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., resolve_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., resolution: _Optional[str] = ...) -> None: ...

class ListDiscrepanciesResponse(_message.Message):
    __slots__ = ("discrepancies", "next_page_token")
    DISCREPANCIES_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    discrepancies: _containers.RepeatedCompositeFieldContainer[Discrepancy]
    next_page_token: str
    def __init__(self, discrepancies: _Optional[_Iterable[_Union[Discrepancy, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class ExportFocusRequest(_message.Message):
    __slots__ = ("range", "project", "as_of_time")
    RANGE_FIELD_NUMBER: _ClassVar[int]
    PROJECT_FIELD_NUMBER: _ClassVar[int]
    AS_OF_TIME_FIELD_NUMBER: _ClassVar[int]
    range: TimeRange
    project: str
    as_of_time: _timestamp_pb2.Timestamp
    def __init__(self, range: _Optional[_Union[TimeRange, _Mapping]] = ..., project: _Optional[str] = ..., as_of_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class FocusHeader(_message.Message):
    __slots__ = ("focus_version", "columns", "as_of_time")
    FOCUS_VERSION_FIELD_NUMBER: _ClassVar[int]
    COLUMNS_FIELD_NUMBER: _ClassVar[int]
    AS_OF_TIME_FIELD_NUMBER: _ClassVar[int]
    focus_version: str
    columns: _containers.RepeatedScalarFieldContainer[str]
    as_of_time: _timestamp_pb2.Timestamp
    def __init__(self, focus_version: _Optional[str] = ..., columns: _Optional[_Iterable[str]] = ..., as_of_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class FocusTrailer(_message.Message):
    __slots__ = ("row_count", "billed_cost", "sha256")
    ROW_COUNT_FIELD_NUMBER: _ClassVar[int]
    BILLED_COST_FIELD_NUMBER: _ClassVar[int]
    SHA256_FIELD_NUMBER: _ClassVar[int]
    row_count: int
    billed_cost: _money_pb2.Money
    sha256: str
    def __init__(self, row_count: _Optional[int] = ..., billed_cost: _Optional[_Union[_money_pb2.Money, _Mapping]] = ..., sha256: _Optional[str] = ...) -> None: ...

class ExportFocusResponse(_message.Message):
    __slots__ = ("header", "chunk", "trailer")
    HEADER_FIELD_NUMBER: _ClassVar[int]
    CHUNK_FIELD_NUMBER: _ClassVar[int]
    TRAILER_FIELD_NUMBER: _ClassVar[int]
    header: FocusHeader
    chunk: bytes
    trailer: FocusTrailer
    def __init__(self, header: _Optional[_Union[FocusHeader, _Mapping]] = ..., chunk: _Optional[bytes] = ..., trailer: _Optional[_Union[FocusTrailer, _Mapping]] = ...) -> None: ...

class WhatIfChange(_message.Message):
    __slots__ = ("model", "quality", "provider", "route", "catalog_yaml")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    QUALITY_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_FIELD_NUMBER: _ClassVar[int]
    ROUTE_FIELD_NUMBER: _ClassVar[int]
    CATALOG_YAML_FIELD_NUMBER: _ClassVar[int]
    model: str
    quality: _drawing_pb2.Quality
    provider: str
    route: str
    catalog_yaml: str
    def __init__(self, model: _Optional[str] = ..., quality: _Optional[_Union[_drawing_pb2.Quality, str]] = ..., provider: _Optional[str] = ..., route: _Optional[str] = ..., catalog_yaml: _Optional[str] = ...) -> None: ...

class WhatIfRequest(_message.Message):
    __slots__ = ("range", "filter", "change")
    RANGE_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    CHANGE_FIELD_NUMBER: _ClassVar[int]
    range: TimeRange
    filter: CostFilter
    change: WhatIfChange
    def __init__(self, range: _Optional[_Union[TimeRange, _Mapping]] = ..., filter: _Optional[_Union[CostFilter, _Mapping]] = ..., change: _Optional[_Union[WhatIfChange, _Mapping]] = ...) -> None: ...

class WhatIfFigures(_message.Message):
    __slots__ = ("render_count", "unpriced_count", "actual", "actual_priced", "expected", "ceiling")
    RENDER_COUNT_FIELD_NUMBER: _ClassVar[int]
    UNPRICED_COUNT_FIELD_NUMBER: _ClassVar[int]
    ACTUAL_FIELD_NUMBER: _ClassVar[int]
    ACTUAL_PRICED_FIELD_NUMBER: _ClassVar[int]
    EXPECTED_FIELD_NUMBER: _ClassVar[int]
    CEILING_FIELD_NUMBER: _ClassVar[int]
    render_count: int
    unpriced_count: int
    actual: _money_pb2.Money
    actual_priced: _money_pb2.Money
    expected: _money_pb2.Money
    ceiling: _money_pb2.Money
    def __init__(self, render_count: _Optional[int] = ..., unpriced_count: _Optional[int] = ..., actual: _Optional[_Union[_money_pb2.Money, _Mapping]] = ..., actual_priced: _Optional[_Union[_money_pb2.Money, _Mapping]] = ..., expected: _Optional[_Union[_money_pb2.Money, _Mapping]] = ..., ceiling: _Optional[_Union[_money_pb2.Money, _Mapping]] = ...) -> None: ...

class WhatIfCause(_message.Message):
    __slots__ = ("reason", "message", "render_count")
    REASON_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    RENDER_COUNT_FIELD_NUMBER: _ClassVar[int]
    reason: _errors_pb2.ErrorReason
    message: str
    render_count: int
    def __init__(self, reason: _Optional[_Union[_errors_pb2.ErrorReason, str]] = ..., message: _Optional[str] = ..., render_count: _Optional[int] = ...) -> None: ...

class WhatIfRow(_message.Message):
    __slots__ = ("model", "provider", "route", "new_model", "new_provider", "new_route", "figures", "causes")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_FIELD_NUMBER: _ClassVar[int]
    ROUTE_FIELD_NUMBER: _ClassVar[int]
    NEW_MODEL_FIELD_NUMBER: _ClassVar[int]
    NEW_PROVIDER_FIELD_NUMBER: _ClassVar[int]
    NEW_ROUTE_FIELD_NUMBER: _ClassVar[int]
    FIGURES_FIELD_NUMBER: _ClassVar[int]
    CAUSES_FIELD_NUMBER: _ClassVar[int]
    model: str
    provider: str
    route: str
    new_model: str
    new_provider: str
    new_route: str
    figures: WhatIfFigures
    causes: _containers.RepeatedCompositeFieldContainer[WhatIfCause]
    def __init__(self, model: _Optional[str] = ..., provider: _Optional[str] = ..., route: _Optional[str] = ..., new_model: _Optional[str] = ..., new_provider: _Optional[str] = ..., new_route: _Optional[str] = ..., figures: _Optional[_Union[WhatIfFigures, _Mapping]] = ..., causes: _Optional[_Iterable[_Union[WhatIfCause, _Mapping]]] = ...) -> None: ...

class WhatIfResponse(_message.Message):
    __slots__ = ("rows", "total", "pruned_count", "pruned_actual", "catalog_version")
    ROWS_FIELD_NUMBER: _ClassVar[int]
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    PRUNED_COUNT_FIELD_NUMBER: _ClassVar[int]
    PRUNED_ACTUAL_FIELD_NUMBER: _ClassVar[int]
    CATALOG_VERSION_FIELD_NUMBER: _ClassVar[int]
    rows: _containers.RepeatedCompositeFieldContainer[WhatIfRow]
    total: WhatIfFigures
    pruned_count: int
    pruned_actual: _money_pb2.Money
    catalog_version: str
    def __init__(self, rows: _Optional[_Iterable[_Union[WhatIfRow, _Mapping]]] = ..., total: _Optional[_Union[WhatIfFigures, _Mapping]] = ..., pruned_count: _Optional[int] = ..., pruned_actual: _Optional[_Union[_money_pb2.Money, _Mapping]] = ..., catalog_version: _Optional[str] = ...) -> None: ...
