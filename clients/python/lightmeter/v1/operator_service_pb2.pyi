import datetime

from google.protobuf import struct_pb2 as _struct_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from lightmeter.v1 import job_pb2 as _job_pb2
from lightmeter.v1 import ledger_service_pb2 as _ledger_service_pb2
from lightmeter.v1 import money_pb2 as _money_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class AttemptState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ATTEMPT_STATE_UNSPECIFIED: _ClassVar[AttemptState]
    ATTEMPT_STATE_DISPATCHING: _ClassVar[AttemptState]
    ATTEMPT_STATE_ACCEPTED: _ClassVar[AttemptState]
    ATTEMPT_STATE_SUCCEEDED: _ClassVar[AttemptState]
    ATTEMPT_STATE_FAILED: _ClassVar[AttemptState]
    ATTEMPT_STATE_CANCELLED: _ClassVar[AttemptState]
    ATTEMPT_STATE_REJECTED: _ClassVar[AttemptState]
    ATTEMPT_STATE_UNKNOWN: _ClassVar[AttemptState]

class SwitchState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SWITCH_STATE_UNSPECIFIED: _ClassVar[SwitchState]
    SWITCH_STATE_ON: _ClassVar[SwitchState]
    SWITCH_STATE_DRAIN: _ClassVar[SwitchState]
    SWITCH_STATE_OFF: _ClassVar[SwitchState]
ATTEMPT_STATE_UNSPECIFIED: AttemptState
ATTEMPT_STATE_DISPATCHING: AttemptState
ATTEMPT_STATE_ACCEPTED: AttemptState
ATTEMPT_STATE_SUCCEEDED: AttemptState
ATTEMPT_STATE_FAILED: AttemptState
ATTEMPT_STATE_CANCELLED: AttemptState
ATTEMPT_STATE_REJECTED: AttemptState
ATTEMPT_STATE_UNKNOWN: AttemptState
SWITCH_STATE_UNSPECIFIED: SwitchState
SWITCH_STATE_ON: SwitchState
SWITCH_STATE_DRAIN: SwitchState
SWITCH_STATE_OFF: SwitchState

class Attempt(_message.Message):
    __slots__ = ("attempt_id", "job_id", "attempt_number", "project", "model", "route", "state", "other_provider_request_ids", "settlement", "evidence", "held", "settled", "dispatch_time", "resolve_deadline_time", "finish_time", "detail", "etag")
    ATTEMPT_ID_FIELD_NUMBER: _ClassVar[int]
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_NUMBER_FIELD_NUMBER: _ClassVar[int]
    PROJECT_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    ROUTE_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    OTHER_PROVIDER_REQUEST_IDS_FIELD_NUMBER: _ClassVar[int]
    SETTLEMENT_FIELD_NUMBER: _ClassVar[int]
    EVIDENCE_FIELD_NUMBER: _ClassVar[int]
    HELD_FIELD_NUMBER: _ClassVar[int]
    SETTLED_FIELD_NUMBER: _ClassVar[int]
    DISPATCH_TIME_FIELD_NUMBER: _ClassVar[int]
    RESOLVE_DEADLINE_TIME_FIELD_NUMBER: _ClassVar[int]
    FINISH_TIME_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    attempt_id: str
    job_id: str
    attempt_number: int
    project: str
    model: str
    route: _job_pb2.JobRoute
    state: AttemptState
    other_provider_request_ids: _containers.RepeatedScalarFieldContainer[str]
    settlement: _money_pb2.Settlement
    evidence: _money_pb2.Evidence
    held: _money_pb2.Money
    settled: _money_pb2.Money
    dispatch_time: _timestamp_pb2.Timestamp
    resolve_deadline_time: _timestamp_pb2.Timestamp
    finish_time: _timestamp_pb2.Timestamp
    detail: str
    etag: str
    def __init__(self, attempt_id: _Optional[str] = ..., job_id: _Optional[str] = ..., attempt_number: _Optional[int] = ..., project: _Optional[str] = ..., model: _Optional[str] = ..., route: _Optional[_Union[_job_pb2.JobRoute, _Mapping]] = ..., state: _Optional[_Union[AttemptState, str]] = ..., other_provider_request_ids: _Optional[_Iterable[str]] = ..., settlement: _Optional[_Union[_money_pb2.Settlement, str]] = ..., evidence: _Optional[_Union[_money_pb2.Evidence, str]] = ..., held: _Optional[_Union[_money_pb2.Money, _Mapping]] = ..., settled: _Optional[_Union[_money_pb2.Money, _Mapping]] = ..., dispatch_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., resolve_deadline_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., finish_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., detail: _Optional[str] = ..., etag: _Optional[str] = ...) -> None: ...

class ListAttemptsRequest(_message.Message):
    __slots__ = ("states", "provider", "route", "project", "job_id", "range", "page_size", "page_token")
    STATES_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_FIELD_NUMBER: _ClassVar[int]
    ROUTE_FIELD_NUMBER: _ClassVar[int]
    PROJECT_FIELD_NUMBER: _ClassVar[int]
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    RANGE_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    states: _containers.RepeatedScalarFieldContainer[AttemptState]
    provider: str
    route: str
    project: str
    job_id: str
    range: _ledger_service_pb2.TimeRange
    page_size: int
    page_token: str
    def __init__(self, states: _Optional[_Iterable[_Union[AttemptState, str]]] = ..., provider: _Optional[str] = ..., route: _Optional[str] = ..., project: _Optional[str] = ..., job_id: _Optional[str] = ..., range: _Optional[_Union[_ledger_service_pb2.TimeRange, _Mapping]] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListAttemptsResponse(_message.Message):
    __slots__ = ("attempts", "next_page_token")
    ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    attempts: _containers.RepeatedCompositeFieldContainer[Attempt]
    next_page_token: str
    def __init__(self, attempts: _Optional[_Iterable[_Union[Attempt, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class NotAccepted(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ResolveAttemptRequest(_message.Message):
    __slots__ = ("attempt_id", "adopt_provider_request_id", "declare_not_accepted", "settle_amount", "reason", "etag")
    ATTEMPT_ID_FIELD_NUMBER: _ClassVar[int]
    ADOPT_PROVIDER_REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    DECLARE_NOT_ACCEPTED_FIELD_NUMBER: _ClassVar[int]
    SETTLE_AMOUNT_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    attempt_id: str
    adopt_provider_request_id: str
    declare_not_accepted: NotAccepted
    settle_amount: _money_pb2.Money
    reason: str
    etag: str
    def __init__(self, attempt_id: _Optional[str] = ..., adopt_provider_request_id: _Optional[str] = ..., declare_not_accepted: _Optional[_Union[NotAccepted, _Mapping]] = ..., settle_amount: _Optional[_Union[_money_pb2.Money, _Mapping]] = ..., reason: _Optional[str] = ..., etag: _Optional[str] = ...) -> None: ...

class ResolveAttemptResponse(_message.Message):
    __slots__ = ("attempt",)
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    attempt: Attempt
    def __init__(self, attempt: _Optional[_Union[Attempt, _Mapping]] = ...) -> None: ...

class AllDispatches(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Switch(_message.Message):
    __slots__ = ("provider", "route", "project", "dispatch", "state", "expire_time", "reason", "setter", "set_time")
    PROVIDER_FIELD_NUMBER: _ClassVar[int]
    ROUTE_FIELD_NUMBER: _ClassVar[int]
    PROJECT_FIELD_NUMBER: _ClassVar[int]
    DISPATCH_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    EXPIRE_TIME_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    SETTER_FIELD_NUMBER: _ClassVar[int]
    SET_TIME_FIELD_NUMBER: _ClassVar[int]
    provider: str
    route: _job_pb2.RouteSelector
    project: str
    dispatch: AllDispatches
    state: SwitchState
    expire_time: _timestamp_pb2.Timestamp
    reason: str
    setter: str
    set_time: _timestamp_pb2.Timestamp
    def __init__(self, provider: _Optional[str] = ..., route: _Optional[_Union[_job_pb2.RouteSelector, _Mapping]] = ..., project: _Optional[str] = ..., dispatch: _Optional[_Union[AllDispatches, _Mapping]] = ..., state: _Optional[_Union[SwitchState, str]] = ..., expire_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., reason: _Optional[str] = ..., setter: _Optional[str] = ..., set_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class SetSwitchRequest(_message.Message):
    __slots__ = ("switch",)
    SWITCH_FIELD_NUMBER: _ClassVar[int]
    switch: Switch
    def __init__(self, switch: _Optional[_Union[Switch, _Mapping]] = ...) -> None: ...

class SetSwitchResponse(_message.Message):
    __slots__ = ("switch",)
    SWITCH_FIELD_NUMBER: _ClassVar[int]
    switch: Switch
    def __init__(self, switch: _Optional[_Union[Switch, _Mapping]] = ...) -> None: ...

class ListSwitchesRequest(_message.Message):
    __slots__ = ("page_size", "page_token")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListSwitchesResponse(_message.Message):
    __slots__ = ("switches", "next_page_token")
    SWITCHES_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    switches: _containers.RepeatedCompositeFieldContainer[Switch]
    next_page_token: str
    def __init__(self, switches: _Optional[_Iterable[_Union[Switch, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class ListAuditEventsRequest(_message.Message):
    __slots__ = ("range", "actor", "action", "target", "page_size", "page_token")
    RANGE_FIELD_NUMBER: _ClassVar[int]
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    ACTION_FIELD_NUMBER: _ClassVar[int]
    TARGET_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    range: _ledger_service_pb2.TimeRange
    actor: str
    action: str
    target: str
    page_size: int
    page_token: str
    def __init__(self, range: _Optional[_Union[_ledger_service_pb2.TimeRange, _Mapping]] = ..., actor: _Optional[str] = ..., action: _Optional[str] = ..., target: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class AuditEvent(_message.Message):
    __slots__ = ("event_id", "event_time", "actor", "action", "target", "reason", "details")
    EVENT_ID_FIELD_NUMBER: _ClassVar[int]
    EVENT_TIME_FIELD_NUMBER: _ClassVar[int]
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    ACTION_FIELD_NUMBER: _ClassVar[int]
    TARGET_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    DETAILS_FIELD_NUMBER: _ClassVar[int]
    event_id: str
    event_time: _timestamp_pb2.Timestamp
    actor: str
    action: str
    target: str
    reason: str
    details: _struct_pb2.Struct
    def __init__(self, event_id: _Optional[str] = ..., event_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., actor: _Optional[str] = ..., action: _Optional[str] = ..., target: _Optional[str] = ..., reason: _Optional[str] = ..., details: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ...) -> None: ...

class ListAuditEventsResponse(_message.Message):
    __slots__ = ("events", "next_page_token")
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    events: _containers.RepeatedCompositeFieldContainer[AuditEvent]
    next_page_token: str
    def __init__(self, events: _Optional[_Iterable[_Union[AuditEvent, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...
