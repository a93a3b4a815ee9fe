import datetime

from google.protobuf import struct_pb2 as _struct_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from lightmeter.v1 import drawing_pb2 as _drawing_pb2
from lightmeter.v1 import errors_pb2 as _errors_pb2
from lightmeter.v1 import image_service_pb2 as _image_service_pb2
from lightmeter.v1 import money_pb2 as _money_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class RouteHealth(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ROUTE_HEALTH_UNSPECIFIED: _ClassVar[RouteHealth]
    ROUTE_HEALTH_OK: _ClassVar[RouteHealth]
    ROUTE_HEALTH_DEGRADED: _ClassVar[RouteHealth]
    ROUTE_HEALTH_OPEN: _ClassVar[RouteHealth]
    ROUTE_HEALTH_DISABLED: _ClassVar[RouteHealth]
    ROUTE_HEALTH_ACCOUNT_BLOCKED: _ClassVar[RouteHealth]

class QuoteCache(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    QUOTE_CACHE_UNSPECIFIED: _ClassVar[QuoteCache]
    QUOTE_CACHE_HIT: _ClassVar[QuoteCache]
    QUOTE_CACHE_RUNNING: _ClassVar[QuoteCache]
    QUOTE_CACHE_MISS: _ClassVar[QuoteCache]
    QUOTE_CACHE_BYPASSED: _ClassVar[QuoteCache]

class PriceCertainty(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    PRICE_CERTAINTY_UNSPECIFIED: _ClassVar[PriceCertainty]
    PRICE_CERTAINTY_EXACT: _ClassVar[PriceCertainty]
    PRICE_CERTAINTY_ESTIMATE: _ClassVar[PriceCertainty]
    PRICE_CERTAINTY_CEILING_ONLY: _ClassVar[PriceCertainty]
    PRICE_CERTAINTY_UNKNOWN: _ClassVar[PriceCertainty]
ROUTE_HEALTH_UNSPECIFIED: RouteHealth
ROUTE_HEALTH_OK: RouteHealth
ROUTE_HEALTH_DEGRADED: RouteHealth
ROUTE_HEALTH_OPEN: RouteHealth
ROUTE_HEALTH_DISABLED: RouteHealth
ROUTE_HEALTH_ACCOUNT_BLOCKED: RouteHealth
QUOTE_CACHE_UNSPECIFIED: QuoteCache
QUOTE_CACHE_HIT: QuoteCache
QUOTE_CACHE_RUNNING: QuoteCache
QUOTE_CACHE_MISS: QuoteCache
QUOTE_CACHE_BYPASSED: QuoteCache
PRICE_CERTAINTY_UNSPECIFIED: PriceCertainty
PRICE_CERTAINTY_EXACT: PriceCertainty
PRICE_CERTAINTY_ESTIMATE: PriceCertainty
PRICE_CERTAINTY_CEILING_ONLY: PriceCertainty
PRICE_CERTAINTY_UNKNOWN: PriceCertainty

class DimensionLimits(_message.Message):
    __slots__ = ("width_min_px", "width_max_px", "height_min_px", "height_max_px", "multiple_px", "area_min_px", "area_max_px")
    WIDTH_MIN_PX_FIELD_NUMBER: _ClassVar[int]
    WIDTH_MAX_PX_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_MIN_PX_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_MAX_PX_FIELD_NUMBER: _ClassVar[int]
    MULTIPLE_PX_FIELD_NUMBER: _ClassVar[int]
    AREA_MIN_PX_FIELD_NUMBER: _ClassVar[int]
    AREA_MAX_PX_FIELD_NUMBER: _ClassVar[int]
    width_min_px: int
    width_max_px: int
    height_min_px: int
    height_max_px: int
    multiple_px: int
    area_min_px: int
    area_max_px: int
    def __init__(self, width_min_px: _Optional[int] = ..., width_max_px: _Optional[int] = ..., height_min_px: _Optional[int] = ..., height_max_px: _Optional[int] = ..., multiple_px: _Optional[int] = ..., area_min_px: _Optional[int] = ..., area_max_px: _Optional[int] = ...) -> None: ...

class RouteLimits(_message.Message):
    __slots__ = ("accepted_fields", "prompt_characters_max", "image_count_max", "input_image_count_max", "presets", "aspect_ratios", "resolutions", "dimensions", "dimension_limits", "qualities", "formats", "backgrounds", "extra_schema")
    ACCEPTED_FIELDS_FIELD_NUMBER: _ClassVar[int]
    PROMPT_CHARACTERS_MAX_FIELD_NUMBER: _ClassVar[int]
    IMAGE_COUNT_MAX_FIELD_NUMBER: _ClassVar[int]
    INPUT_IMAGE_COUNT_MAX_FIELD_NUMBER: _ClassVar[int]
    PRESETS_FIELD_NUMBER: _ClassVar[int]
    ASPECT_RATIOS_FIELD_NUMBER: _ClassVar[int]
    RESOLUTIONS_FIELD_NUMBER: _ClassVar[int]
    DIMENSIONS_FIELD_NUMBER: _ClassVar[int]
    DIMENSION_LIMITS_FIELD_NUMBER: _ClassVar[int]
    QUALITIES_FIELD_NUMBER: _ClassVar[int]
    FORMATS_FIELD_NUMBER: _ClassVar[int]
    BACKGROUNDS_FIELD_NUMBER: _ClassVar[int]
    EXTRA_SCHEMA_FIELD_NUMBER: _ClassVar[int]
    accepted_fields: _containers.RepeatedScalarFieldContainer[str]
    prompt_characters_max: int
    image_count_max: int
    input_image_count_max: int
    presets: _containers.RepeatedScalarFieldContainer[_drawing_pb2.SizePreset]
    aspect_ratios: _containers.RepeatedCompositeFieldContainer[_drawing_pb2.AspectRatio]
    resolutions: _containers.RepeatedScalarFieldContainer[_drawing_pb2.Resolution]
    dimensions: _containers.RepeatedCompositeFieldContainer[_drawing_pb2.Dimensions]
    dimension_limits: DimensionLimits
    qualities: _containers.RepeatedScalarFieldContainer[_drawing_pb2.Quality]
    formats: _containers.RepeatedScalarFieldContainer[_drawing_pb2.ImageFormat]
    backgrounds: _containers.RepeatedScalarFieldContainer[_drawing_pb2.Background]
    extra_schema: _struct_pb2.Struct
    def __init__(self, accepted_fields: _Optional[_Iterable[str]] = ..., prompt_characters_max: _Optional[int] = ..., image_count_max: _Optional[int] = ..., input_image_count_max: _Optional[int] = ..., presets: _Optional[_Iterable[_Union[_drawing_pb2.SizePreset, str]]] = ..., aspect_ratios: _Optional[_Iterable[_Union[_drawing_pb2.AspectRatio, _Mapping]]] = ..., resolutions: _Optional[_Iterable[_Union[_drawing_pb2.Resolution, str]]] = ..., dimensions: _Optional[_Iterable[_Union[_drawing_pb2.Dimensions, _Mapping]]] = ..., dimension_limits: _Optional[_Union[DimensionLimits, _Mapping]] = ..., qualities: _Optional[_Iterable[_Union[_drawing_pb2.Quality, str]]] = ..., formats: _Optional[_Iterable[_Union[_drawing_pb2.ImageFormat, str]]] = ..., backgrounds: _Optional[_Iterable[_Union[_drawing_pb2.Background, str]]] = ..., extra_schema: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ...) -> None: ...

class PriceExample(_message.Message):
    __slots__ = ("description", "amount")
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_FIELD_NUMBER: _ClassVar[int]
    description: str
    amount: _money_pb2.Money
    def __init__(self, description: _Optional[str] = ..., amount: _Optional[_Union[_money_pb2.Money, _Mapping]] = ...) -> None: ...

class RoutePrice(_message.Message):
    __slots__ = ("snapshot", "kind", "summary", "examples")
    SNAPSHOT_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    SUMMARY_FIELD_NUMBER: _ClassVar[int]
    EXAMPLES_FIELD_NUMBER: _ClassVar[int]
    snapshot: _money_pb2.PriceSnapshot
    kind: str
    summary: str
    examples: _containers.RepeatedCompositeFieldContainer[PriceExample]
    def __init__(self, snapshot: _Optional[_Union[_money_pb2.PriceSnapshot, _Mapping]] = ..., kind: _Optional[str] = ..., summary: _Optional[str] = ..., examples: _Optional[_Iterable[_Union[PriceExample, _Mapping]]] = ...) -> None: ...

class Route(_message.Message):
    __slots__ = ("name", "provider", "endpoint", "operations", "limits", "price", "health", "latency")
    NAME_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_FIELD_NUMBER: _ClassVar[int]
    ENDPOINT_FIELD_NUMBER: _ClassVar[int]
    OPERATIONS_FIELD_NUMBER: _ClassVar[int]
    LIMITS_FIELD_NUMBER: _ClassVar[int]
    PRICE_FIELD_NUMBER: _ClassVar[int]
    HEALTH_FIELD_NUMBER: _ClassVar[int]
    LATENCY_FIELD_NUMBER: _ClassVar[int]
    name: str
    provider: str
    endpoint: str
    operations: _containers.RepeatedScalarFieldContainer[_drawing_pb2.Operation]
    limits: RouteLimits
    price: RoutePrice
    health: RouteHealth
    latency: _money_pb2.Latency
    def __init__(self, name: _Optional[str] = ..., provider: _Optional[str] = ..., endpoint: _Optional[str] = ..., operations: _Optional[_Iterable[_Union[_drawing_pb2.Operation, str]]] = ..., limits: _Optional[_Union[RouteLimits, _Mapping]] = ..., price: _Optional[_Union[RoutePrice, _Mapping]] = ..., health: _Optional[_Union[RouteHealth, str]] = ..., latency: _Optional[_Union[_money_pb2.Latency, _Mapping]] = ...) -> None: ...

class Model(_message.Message):
    __slots__ = ("name", "title", "description", "operations", "routes", "aliases", "deprecated", "replacement", "terms_uri")
    NAME_FIELD_NUMBER: _ClassVar[int]
    TITLE_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    OPERATIONS_FIELD_NUMBER: _ClassVar[int]
    ROUTES_FIELD_NUMBER: _ClassVar[int]
    ALIASES_FIELD_NUMBER: _ClassVar[int]
    DEPRECATED_FIELD_NUMBER: _ClassVar[int]
    REPLACEMENT_FIELD_NUMBER: _ClassVar[int]
    TERMS_URI_FIELD_NUMBER: _ClassVar[int]
    name: str
    title: str
    description: str
    operations: _containers.RepeatedScalarFieldContainer[_drawing_pb2.Operation]
    routes: _containers.RepeatedCompositeFieldContainer[Route]
    aliases: _containers.RepeatedScalarFieldContainer[str]
    deprecated: bool
    replacement: str
    terms_uri: str
    def __init__(self, name: _Optional[str] = ..., title: _Optional[str] = ..., description: _Optional[str] = ..., operations: _Optional[_Iterable[_Union[_drawing_pb2.Operation, str]]] = ..., routes: _Optional[_Iterable[_Union[Route, _Mapping]]] = ..., aliases: _Optional[_Iterable[str]] = ..., deprecated: _Optional[bool] = ..., replacement: _Optional[str] = ..., terms_uri: _Optional[str] = ...) -> None: ...

class ListModelsRequest(_message.Message):
    __slots__ = ("page_size", "page_token")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListModelsResponse(_message.Message):
    __slots__ = ("models", "next_page_token", "catalog_version")
    MODELS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    CATALOG_VERSION_FIELD_NUMBER: _ClassVar[int]
    models: _containers.RepeatedCompositeFieldContainer[Model]
    next_page_token: str
    catalog_version: str
    def __init__(self, models: _Optional[_Iterable[_Union[Model, _Mapping]]] = ..., next_page_token: _Optional[str] = ..., catalog_version: _Optional[str] = ...) -> None: ...

class GetModelRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class GetModelResponse(_message.Message):
    __slots__ = ("model", "catalog_version")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    CATALOG_VERSION_FIELD_NUMBER: _ClassVar[int]
    model: Model
    catalog_version: str
    def __init__(self, model: _Optional[_Union[Model, _Mapping]] = ..., catalog_version: _Optional[str] = ...) -> None: ...

class QuoteRequest(_message.Message):
    __slots__ = ("generate", "edit")
    GENERATE_FIELD_NUMBER: _ClassVar[int]
    EDIT_FIELD_NUMBER: _ClassVar[int]
    generate: _image_service_pb2.GenerateRequest
    edit: _image_service_pb2.EditRequest
    def __init__(self, generate: _Optional[_Union[_image_service_pb2.GenerateRequest, _Mapping]] = ..., edit: _Optional[_Union[_image_service_pb2.EditRequest, _Mapping]] = ...) -> None: ...

class Exclusion(_message.Message):
    __slots__ = ("reason", "field", "message")
    REASON_FIELD_NUMBER: _ClassVar[int]
    FIELD_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    reason: _errors_pb2.ErrorReason
    field: str
    message: str
    def __init__(self, reason: _Optional[_Union[_errors_pb2.ErrorReason, str]] = ..., field: _Optional[str] = ..., message: _Optional[str] = ...) -> None: ...

class QuotedRoute(_message.Message):
    __slots__ = ("provider", "route", "rank", "eligible", "exclusions", "expected", "ceiling", "certainty", "lines", "price", "latency", "health", "explanation")
    PROVIDER_FIELD_NUMBER: _ClassVar[int]
    ROUTE_FIELD_NUMBER: _ClassVar[int]
    RANK_FIELD_NUMBER: _ClassVar[int]
    ELIGIBLE_FIELD_NUMBER: _ClassVar[int]
    EXCLUSIONS_FIELD_NUMBER: _ClassVar[int]
    EXPECTED_FIELD_NUMBER: _ClassVar[int]
    CEILING_FIELD_NUMBER: _ClassVar[int]
    CERTAINTY_FIELD_NUMBER: _ClassVar[int]
    LINES_FIELD_NUMBER: _ClassVar[int]
    PRICE_FIELD_NUMBER: _ClassVar[int]
    LATENCY_FIELD_NUMBER: _ClassVar[int]
    HEALTH_FIELD_NUMBER: _ClassVar[int]
    EXPLANATION_FIELD_NUMBER: _ClassVar[int]
    provider: str
    route: str
    rank: int
    eligible: bool
    exclusions: _containers.RepeatedCompositeFieldContainer[Exclusion]
    expected: _money_pb2.Money
    ceiling: _money_pb2.Money
    certainty: PriceCertainty
    lines: _containers.RepeatedCompositeFieldContainer[_money_pb2.PriceLine]
    price: _money_pb2.PriceSnapshot
    latency: _money_pb2.Latency
    health: RouteHealth
    explanation: str
    def __init__(self, provider: _Optional[str] = ..., route: _Optional[str] = ..., rank: _Optional[int] = ..., eligible: _Optional[bool] = ..., exclusions: _Optional[_Iterable[_Union[Exclusion, _Mapping]]] = ..., expected: _Optional[_Union[_money_pb2.Money, _Mapping]] = ..., ceiling: _Optional[_Union[_money_pb2.Money, _Mapping]] = ..., certainty: _Optional[_Union[PriceCertainty, str]] = ..., lines: _Optional[_Iterable[_Union[_money_pb2.PriceLine, _Mapping]]] = ..., price: _Optional[_Union[_money_pb2.PriceSnapshot, _Mapping]] = ..., latency: _Optional[_Union[_money_pb2.Latency, _Mapping]] = ..., health: _Optional[_Union[RouteHealth, str]] = ..., explanation: _Optional[str] = ...) -> None: ...

class QuotedBudget(_message.Message):
    __slots__ = ("budget", "limit", "spent", "held", "left_after", "fits", "window_end_time")
    BUDGET_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    SPENT_FIELD_NUMBER: _ClassVar[int]
    HELD_FIELD_NUMBER: _ClassVar[int]
    LEFT_AFTER_FIELD_NUMBER: _ClassVar[int]
    FITS_FIELD_NUMBER: _ClassVar[int]
    WINDOW_END_TIME_FIELD_NUMBER: _ClassVar[int]
    budget: str
    limit: _money_pb2.Money
    spent: _money_pb2.Money
    held: _money_pb2.Money
    left_after: _money_pb2.Money
    fits: bool
    window_end_time: _timestamp_pb2.Timestamp
    def __init__(self, budget: _Optional[str] = ..., limit: _Optional[_Union[_money_pb2.Money, _Mapping]] = ..., spent: _Optional[_Union[_money_pb2.Money, _Mapping]] = ..., held: _Optional[_Union[_money_pb2.Money, _Mapping]] = ..., left_after: _Optional[_Union[_money_pb2.Money, _Mapping]] = ..., fits: _Optional[bool] = ..., window_end_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class QuoteResponse(_message.Message):
    __slots__ = ("cache", "due", "expected", "ceiling", "routes", "budgets", "effective_drawing", "fingerprint", "policy")
    CACHE_FIELD_NUMBER: _ClassVar[int]
    DUE_FIELD_NUMBER: _ClassVar[int]
    EXPECTED_FIELD_NUMBER: _ClassVar[int]
    CEILING_FIELD_NUMBER: _ClassVar[int]
    ROUTES_FIELD_NUMBER: _ClassVar[int]
    BUDGETS_FIELD_NUMBER: _ClassVar[int]
    EFFECTIVE_DRAWING_FIELD_NUMBER: _ClassVar[int]
    FINGERPRINT_FIELD_NUMBER: _ClassVar[int]
    POLICY_FIELD_NUMBER: _ClassVar[int]
    cache: QuoteCache
    due: _money_pb2.Money
    expected: _money_pb2.Money
    ceiling: _money_pb2.Money
    routes: _containers.RepeatedCompositeFieldContainer[QuotedRoute]
    budgets: _containers.RepeatedCompositeFieldContainer[QuotedBudget]
    effective_drawing: _drawing_pb2.Drawing
    fingerprint: str
    policy: str
    def __init__(self, cache: _Optional[_Union[QuoteCache, str]] = ..., due: _Optional[_Union[_money_pb2.Money, _Mapping]] = ..., expected: _Optional[_Union[_money_pb2.Money, _Mapping]] = ..., ceiling: _Optional[_Union[_money_pb2.Money, _Mapping]] = ..., routes: _Optional[_Iterable[_Union[QuotedRoute, _Mapping]]] = ..., budgets: _Optional[_Iterable[_Union[QuotedBudget, _Mapping]]] = ..., effective_drawing: _Optional[_Union[_drawing_pb2.Drawing, _Mapping]] = ..., fingerprint: _Optional[str] = ..., policy: _Optional[str] = ...) -> None: ...
