import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from lightmeter.v1 import drawing_pb2 as _drawing_pb2
from lightmeter.v1 import errors_pb2 as _errors_pb2
from lightmeter.v1 import money_pb2 as _money_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class JobState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    JOB_STATE_UNSPECIFIED: _ClassVar[JobState]
    JOB_STATE_QUEUED: _ClassVar[JobState]
    JOB_STATE_RUNNING: _ClassVar[JobState]
    JOB_STATE_SUCCEEDED: _ClassVar[JobState]
    JOB_STATE_FAILED: _ClassVar[JobState]
    JOB_STATE_CANCELLED: _ClassVar[JobState]

class Origin(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ORIGIN_UNSPECIFIED: _ClassVar[Origin]
    ORIGIN_PROVIDER: _ClassVar[Origin]
    ORIGIN_SHARED: _ClassVar[Origin]
    ORIGIN_CACHE: _ClassVar[Origin]

class CacheMode(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CACHE_MODE_UNSPECIFIED: _ClassVar[CacheMode]
    CACHE_MODE_USE: _ClassVar[CacheMode]
    CACHE_MODE_REFRESH: _ClassVar[CacheMode]
    CACHE_MODE_BYPASS: _ClassVar[CacheMode]

class ProgressStage(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    PROGRESS_STAGE_UNSPECIFIED: _ClassVar[ProgressStage]
    PROGRESS_STAGE_WAITING: _ClassVar[ProgressStage]
    PROGRESS_STAGE_DISPATCHING: _ClassVar[ProgressStage]
    PROGRESS_STAGE_CONFIRMING: _ClassVar[ProgressStage]
    PROGRESS_STAGE_PROVIDER_QUEUE: _ClassVar[ProgressStage]
    PROGRESS_STAGE_DRAWING: _ClassVar[ProgressStage]
    PROGRESS_STAGE_DOWNLOADING: _ClassVar[ProgressStage]
    PROGRESS_STAGE_STORING: _ClassVar[ProgressStage]

class Fault(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    FAULT_UNSPECIFIED: _ClassVar[Fault]
    FAULT_CALLER: _ClassVar[Fault]
    FAULT_PROVIDER: _ClassVar[Fault]
    FAULT_OPERATOR: _ClassVar[Fault]
    FAULT_SERVICE: _ClassVar[Fault]

class RetryAdvice(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    RETRY_ADVICE_UNSPECIFIED: _ClassVar[RetryAdvice]
    RETRY_ADVICE_NEVER: _ClassVar[RetryAdvice]
    RETRY_ADVICE_FREE: _ClassVar[RetryAdvice]
    RETRY_ADVICE_MAY_PAY_AGAIN: _ClassVar[RetryAdvice]

class NoticeCode(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    NOTICE_CODE_UNSPECIFIED: _ClassVar[NoticeCode]
    NOTICE_CODE_SIZE_DIFFERS: _ClassVar[NoticeCode]
    NOTICE_CODE_FEWER_IMAGES: _ClassVar[NoticeCode]
    NOTICE_CODE_PROMPT_REWRITTEN: _ClassVar[NoticeCode]
    NOTICE_CODE_CONTENT_FLAGGED: _ClassVar[NoticeCode]
    NOTICE_CODE_FAILED_OVER: _ClassVar[NoticeCode]
    NOTICE_CODE_OVERRUN: _ClassVar[NoticeCode]
JOB_STATE_UNSPECIFIED: JobState
JOB_STATE_QUEUED: JobState
JOB_STATE_RUNNING: JobState
JOB_STATE_SUCCEEDED: JobState
JOB_STATE_FAILED: JobState
JOB_STATE_CANCELLED: JobState
ORIGIN_UNSPECIFIED: Origin
ORIGIN_PROVIDER: Origin
ORIGIN_SHARED: Origin
ORIGIN_CACHE: Origin
CACHE_MODE_UNSPECIFIED: CacheMode
CACHE_MODE_USE: CacheMode
CACHE_MODE_REFRESH: CacheMode
CACHE_MODE_BYPASS: CacheMode
PROGRESS_STAGE_UNSPECIFIED: ProgressStage
PROGRESS_STAGE_WAITING: ProgressStage
PROGRESS_STAGE_DISPATCHING: ProgressStage
PROGRESS_STAGE_CONFIRMING: ProgressStage
PROGRESS_STAGE_PROVIDER_QUEUE: ProgressStage
PROGRESS_STAGE_DRAWING: ProgressStage
PROGRESS_STAGE_DOWNLOADING: ProgressStage
PROGRESS_STAGE_STORING: ProgressStage
FAULT_UNSPECIFIED: Fault
FAULT_CALLER: Fault
FAULT_PROVIDER: Fault
FAULT_OPERATOR: Fault
FAULT_SERVICE: Fault
RETRY_ADVICE_UNSPECIFIED: RetryAdvice
RETRY_ADVICE_NEVER: RetryAdvice
RETRY_ADVICE_FREE: RetryAdvice
RETRY_ADVICE_MAY_PAY_AGAIN: RetryAdvice
NOTICE_CODE_UNSPECIFIED: NoticeCode
NOTICE_CODE_SIZE_DIFFERS: NoticeCode
NOTICE_CODE_FEWER_IMAGES: NoticeCode
NOTICE_CODE_PROMPT_REWRITTEN: NoticeCode
NOTICE_CODE_CONTENT_FLAGGED: NoticeCode
NOTICE_CODE_FAILED_OVER: NoticeCode
NOTICE_CODE_OVERRUN: NoticeCode

class RouteSelector(_message.Message):
    __slots__ = ("provider", "route")
    PROVIDER_FIELD_NUMBER: _ClassVar[int]
    ROUTE_FIELD_NUMBER: _ClassVar[int]
    provider: str
    route: str
    def __init__(self, provider: _Optional[str] = ..., route: _Optional[str] = ...) -> None: ...

class JobRoute(_message.Message):
    __slots__ = ("provider", "route", "endpoint", "provider_request_id")
    PROVIDER_FIELD_NUMBER: _ClassVar[int]
    ROUTE_FIELD_NUMBER: _ClassVar[int]
    ENDPOINT_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    provider: str
    route: str
    endpoint: str
    provider_request_id: str
    def __init__(self, provider: _Optional[str] = ..., route: _Optional[str] = ..., endpoint: _Optional[str] = ..., provider_request_id: _Optional[str] = ...) -> None: ...

class Progress(_message.Message):
    __slots__ = ("stage", "queue_position", "fraction", "remaining_estimate", "attempt_number", "last_log")
    STAGE_FIELD_NUMBER: _ClassVar[int]
    QUEUE_POSITION_FIELD_NUMBER: _ClassVar[int]
    FRACTION_FIELD_NUMBER: _ClassVar[int]
    REMAINING_ESTIMATE_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_NUMBER_FIELD_NUMBER: _ClassVar[int]
    LAST_LOG_FIELD_NUMBER: _ClassVar[int]
    stage: ProgressStage
    queue_position: int
    fraction: float
    remaining_estimate: _duration_pb2.Duration
    attempt_number: int
    last_log: str
    def __init__(self, stage: _Optional[_Union[ProgressStage, str]] = ..., queue_position: _Optional[int] = ..., fraction: _Optional[float] = ..., remaining_estimate: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., attempt_number: _Optional[int] = ..., last_log: _Optional[str] = ...) -> None: ...

class Asset(_message.Message):
    __slots__ = ("sha256", "index", "mime_type", "size_bytes", "width_px", "height_px", "url", "url_expire_time", "thumbhash", "average_color", "has_alpha", "content_flagged")
    SHA256_FIELD_NUMBER: _ClassVar[int]
    INDEX_FIELD_NUMBER: _ClassVar[int]
    MIME_TYPE_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    WIDTH_PX_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_PX_FIELD_NUMBER: _ClassVar[int]
    URL_FIELD_NUMBER: _ClassVar[int]
    URL_EXPIRE_TIME_FIELD_NUMBER: _ClassVar[int]
    THUMBHASH_FIELD_NUMBER: _ClassVar[int]
    AVERAGE_COLOR_FIELD_NUMBER: _ClassVar[int]
    HAS_ALPHA_FIELD_NUMBER: _ClassVar[int]
    CONTENT_FLAGGED_FIELD_NUMBER: _ClassVar[int]
    sha256: str
    index: int
    mime_type: str
    size_bytes: int
    width_px: int
    height_px: int
    url: str
    url_expire_time: _timestamp_pb2.Timestamp
    thumbhash: bytes
    average_color: str
    has_alpha: bool
    content_flagged: bool
    def __init__(self, sha256: _Optional[str] = ..., index: _Optional[int] = ..., mime_type: _Optional[str] = ..., size_bytes: _Optional[int] = ..., width_px: _Optional[int] = ..., height_px: _Optional[int] = ..., url: _Optional[str] = ..., url_expire_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., thumbhash: _Optional[bytes] = ..., average_color: _Optional[str] = ..., has_alpha: _Optional[bool] = ..., content_flagged: _Optional[bool] = ...) -> None: ...

class Failure(_message.Message):
    __slots__ = ("reason", "code", "message", "metadata", "fault", "retry_advice", "retry_delay", "provider_message")
    class MetadataEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    REASON_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    FAULT_FIELD_NUMBER: _ClassVar[int]
    RETRY_ADVICE_FIELD_NUMBER: _ClassVar[int]
    RETRY_DELAY_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_MESSAGE_FIELD_NUMBER: _ClassVar[int]
    reason: _errors_pb2.ErrorReason
    code: int
    message: str
    metadata: _containers.ScalarMap[str, str]
    fault: Fault
    retry_advice: RetryAdvice
    retry_delay: _duration_pb2.Duration
    provider_message: str
    def __init__(self, reason: _Optional[_Union[_errors_pb2.ErrorReason, str]] = ..., code: _Optional[int] = ..., message: _Optional[str] = ..., metadata: _Optional[_Mapping[str, str]] = ..., fault: _Optional[_Union[Fault, str]] = ..., retry_advice: _Optional[_Union[RetryAdvice, str]] = ..., retry_delay: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., provider_message: _Optional[str] = ...) -> None: ...

class Notice(_message.Message):
    __slots__ = ("code", "message", "metadata")
    class MetadataEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    CODE_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    code: NoticeCode
    message: str
    metadata: _containers.ScalarMap[str, str]
    def __init__(self, code: _Optional[_Union[NoticeCode, str]] = ..., message: _Optional[str] = ..., metadata: _Optional[_Mapping[str, str]] = ...) -> None: ...

class RecordedRequest(_message.Message):
    __slots__ = ("drawing", "inputs", "policy", "pin", "cache_mode", "max_cost", "job_timeout")
    DRAWING_FIELD_NUMBER: _ClassVar[int]
    INPUTS_FIELD_NUMBER: _ClassVar[int]
    POLICY_FIELD_NUMBER: _ClassVar[int]
    PIN_FIELD_NUMBER: _ClassVar[int]
    CACHE_MODE_FIELD_NUMBER: _ClassVar[int]
    MAX_COST_FIELD_NUMBER: _ClassVar[int]
    JOB_TIMEOUT_FIELD_NUMBER: _ClassVar[int]
    drawing: _drawing_pb2.Drawing
    inputs: _drawing_pb2.EditInputs
    policy: str
    pin: RouteSelector
    cache_mode: CacheMode
    max_cost: _money_pb2.Money
    job_timeout: _duration_pb2.Duration
    def __init__(self, drawing: _Optional[_Union[_drawing_pb2.Drawing, _Mapping]] = ..., inputs: _Optional[_Union[_drawing_pb2.EditInputs, _Mapping]] = ..., policy: _Optional[str] = ..., pin: _Optional[_Union[RouteSelector, _Mapping]] = ..., cache_mode: _Optional[_Union[CacheMode, str]] = ..., max_cost: _Optional[_Union[_money_pb2.Money, _Mapping]] = ..., job_timeout: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class JobEvent(_message.Message):
    __slots__ = ("event_time", "attempt_number", "kind", "cause")
    EVENT_TIME_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_NUMBER_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    CAUSE_FIELD_NUMBER: _ClassVar[int]
    event_time: _timestamp_pb2.Timestamp
    attempt_number: int
    kind: str
    cause: str
    def __init__(self, event_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., attempt_number: _Optional[int] = ..., kind: _Optional[str] = ..., cause: _Optional[str] = ...) -> None: ...

class Job(_message.Message):
    __slots__ = ("job_id", "state", "version", "project", "operation", "model", "origin", "route", "progress", "assets", "failure", "receipt", "timing", "labels", "fingerprint", "request_id", "request", "notices", "create_time", "update_time", "finish_time", "expire_time", "seed_used", "render_time", "partial", "events")
    class LabelsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    PROJECT_FIELD_NUMBER: _ClassVar[int]
    OPERATION_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    ORIGIN_FIELD_NUMBER: _ClassVar[int]
    ROUTE_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    ASSETS_FIELD_NUMBER: _ClassVar[int]
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    RECEIPT_FIELD_NUMBER: _ClassVar[int]
    TIMING_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    FINGERPRINT_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    NOTICES_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    UPDATE_TIME_FIELD_NUMBER: _ClassVar[int]
    FINISH_TIME_FIELD_NUMBER: _ClassVar[int]
    EXPIRE_TIME_FIELD_NUMBER: _ClassVar[int]
    SEED_USED_FIELD_NUMBER: _ClassVar[int]
    RENDER_TIME_FIELD_NUMBER: _ClassVar[int]
    PARTIAL_FIELD_NUMBER: _ClassVar[int]
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    job_id: str
    state: JobState
    version: int
    project: str
    operation: _drawing_pb2.Operation
    model: str
    origin: Origin
    route: JobRoute
    progress: Progress
    assets: _containers.RepeatedCompositeFieldContainer[Asset]
    failure: Failure
    receipt: _money_pb2.Receipt
    timing: _money_pb2.Timing
    labels: _containers.ScalarMap[str, str]
    fingerprint: str
    request_id: str
    request: RecordedRequest
    notices: _containers.RepeatedCompositeFieldContainer[Notice]
    create_time: _timestamp_pb2.Timestamp
    update_time: _timestamp_pb2.Timestamp
    finish_time: _timestamp_pb2.Timestamp
    expire_time: _timestamp_pb2.Timestamp
    seed_used: int
    render_time: _timestamp_pb2.Timestamp
    partial: bool
    events: _containers.RepeatedCompositeFieldContainer[JobEvent]
    def __init__(self, job_id: _Optional[str] = ..., state: _Optional[_Union[JobState, str]] = ..., version: _Optional[int] = ..., project: _Optional[str] = ..., operation: _Optional[_Union[_drawing_pb2.Operation, str]] = ..., model: _Optional[str] = ..., origin: _Optional[_Union[Origin, str]] = ..., route: _Optional[_Union[JobRoute, _Mapping]] = ..., progress: _Optional[_Union[Progress, _Mapping]] = ..., assets: _Optional[_Iterable[_Union[Asset, _Mapping]]] = ..., failure: _Optional[_Union[Failure, _Mapping]] = ..., receipt: _Optional[_Union[_money_pb2.Receipt, _Mapping]] = ..., timing: _Optional[_Union[_money_pb2.Timing, _Mapping]] = ..., labels: _Optional[_Mapping[str, str]] = ..., fingerprint: _Optional[str] = ..., request_id: _Optional[str] = ..., request: _Optional[_Union[RecordedRequest, _Mapping]] = ..., notices: _Optional[_Iterable[_Union[Notice, _Mapping]]] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., update_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., finish_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., expire_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., seed_used: _Optional[int] = ..., render_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., partial: _Optional[bool] = ..., events: _Optional[_Iterable[_Union[JobEvent, _Mapping]]] = ...) -> None: ...
