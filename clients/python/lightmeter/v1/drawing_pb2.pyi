from google.protobuf import struct_pb2 as _struct_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Operation(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    OPERATION_UNSPECIFIED: _ClassVar[Operation]
    OPERATION_GENERATE: _ClassVar[Operation]
    OPERATION_EDIT: _ClassVar[Operation]

class Quality(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    QUALITY_UNSPECIFIED: _ClassVar[Quality]
    QUALITY_AUTO: _ClassVar[Quality]
    QUALITY_LOW: _ClassVar[Quality]
    QUALITY_MEDIUM: _ClassVar[Quality]
    QUALITY_HIGH: _ClassVar[Quality]
    QUALITY_XHIGH: _ClassVar[Quality]
    QUALITY_MAX: _ClassVar[Quality]

class ImageFormat(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    IMAGE_FORMAT_UNSPECIFIED: _ClassVar[ImageFormat]
    IMAGE_FORMAT_JPEG: _ClassVar[ImageFormat]
    IMAGE_FORMAT_PNG: _ClassVar[ImageFormat]
    IMAGE_FORMAT_WEBP: _ClassVar[ImageFormat]
    IMAGE_FORMAT_SVG: _ClassVar[ImageFormat]

class Background(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    BACKGROUND_UNSPECIFIED: _ClassVar[Background]
    BACKGROUND_AUTO: _ClassVar[Background]
    BACKGROUND_OPAQUE: _ClassVar[Background]
    BACKGROUND_TRANSPARENT: _ClassVar[Background]

class SizePreset(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SIZE_PRESET_UNSPECIFIED: _ClassVar[SizePreset]
    SIZE_PRESET_SQUARE: _ClassVar[SizePreset]
    SIZE_PRESET_SQUARE_HD: _ClassVar[SizePreset]
    SIZE_PRESET_PORTRAIT_4_3: _ClassVar[SizePreset]
    SIZE_PRESET_PORTRAIT_16_9: _ClassVar[SizePreset]
    SIZE_PRESET_LANDSCAPE_4_3: _ClassVar[SizePreset]
    SIZE_PRESET_LANDSCAPE_16_9: _ClassVar[SizePreset]

class Resolution(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    RESOLUTION_UNSPECIFIED: _ClassVar[Resolution]
    RESOLUTION_HALF_K: _ClassVar[Resolution]
    RESOLUTION_ONE_K: _ClassVar[Resolution]
    RESOLUTION_TWO_K: _ClassVar[Resolution]
    RESOLUTION_FOUR_K: _ClassVar[Resolution]
OPERATION_UNSPECIFIED: Operation
OPERATION_GENERATE: Operation
OPERATION_EDIT: Operation
QUALITY_UNSPECIFIED: Quality
QUALITY_AUTO: Quality
QUALITY_LOW: Quality
QUALITY_MEDIUM: Quality
QUALITY_HIGH: Quality
QUALITY_XHIGH: Quality
QUALITY_MAX: Quality
IMAGE_FORMAT_UNSPECIFIED: ImageFormat
IMAGE_FORMAT_JPEG: ImageFormat
IMAGE_FORMAT_PNG: ImageFormat
IMAGE_FORMAT_WEBP: ImageFormat
IMAGE_FORMAT_SVG: ImageFormat
BACKGROUND_UNSPECIFIED: Background
BACKGROUND_AUTO: Background
BACKGROUND_OPAQUE: Background
BACKGROUND_TRANSPARENT: Background
SIZE_PRESET_UNSPECIFIED: SizePreset
SIZE_PRESET_SQUARE: SizePreset
SIZE_PRESET_SQUARE_HD: SizePreset
SIZE_PRESET_PORTRAIT_4_3: SizePreset
SIZE_PRESET_PORTRAIT_16_9: SizePreset
SIZE_PRESET_LANDSCAPE_4_3: SizePreset
SIZE_PRESET_LANDSCAPE_16_9: SizePreset
RESOLUTION_UNSPECIFIED: Resolution
RESOLUTION_HALF_K: Resolution
RESOLUTION_ONE_K: Resolution
RESOLUTION_TWO_K: Resolution
RESOLUTION_FOUR_K: Resolution

class AutoSize(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Dimensions(_message.Message):
    __slots__ = ("width_px", "height_px")
    WIDTH_PX_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_PX_FIELD_NUMBER: _ClassVar[int]
    width_px: int
    height_px: int
    def __init__(self, width_px: _Optional[int] = ..., height_px: _Optional[int] = ...) -> None: ...

class AspectRatio(_message.Message):
    __slots__ = ("width", "height")
    WIDTH_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    width: int
    height: int
    def __init__(self, width: _Optional[int] = ..., height: _Optional[int] = ...) -> None: ...

class ImageSize(_message.Message):
    __slots__ = ("auto", "preset", "dimensions", "aspect_ratio", "resolution")
    AUTO_FIELD_NUMBER: _ClassVar[int]
    PRESET_FIELD_NUMBER: _ClassVar[int]
    DIMENSIONS_FIELD_NUMBER: _ClassVar[int]
    ASPECT_RATIO_FIELD_NUMBER: _ClassVar[int]
    RESOLUTION_FIELD_NUMBER: _ClassVar[int]
    auto: AutoSize
    preset: SizePreset
    dimensions: Dimensions
    aspect_ratio: AspectRatio
    resolution: Resolution
    def __init__(self, auto: _Optional[_Union[AutoSize, _Mapping]] = ..., preset: _Optional[_Union[SizePreset, str]] = ..., dimensions: _Optional[_Union[Dimensions, _Mapping]] = ..., aspect_ratio: _Optional[_Union[AspectRatio, _Mapping]] = ..., resolution: _Optional[_Union[Resolution, str]] = ...) -> None: ...

class Drawing(_message.Message):
    __slots__ = ("model", "prompt", "negative_prompt", "size", "image_count", "seed", "variation", "quality", "format", "background", "guidance", "steps", "safety_tolerance", "extra")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    PROMPT_FIELD_NUMBER: _ClassVar[int]
    NEGATIVE_PROMPT_FIELD_NUMBER: _ClassVar[int]
    SIZE_FIELD_NUMBER: _ClassVar[int]
    IMAGE_COUNT_FIELD_NUMBER: _ClassVar[int]
    SEED_FIELD_NUMBER: _ClassVar[int]
    VARIATION_FIELD_NUMBER: _ClassVar[int]
    QUALITY_FIELD_NUMBER: _ClassVar[int]
    FORMAT_FIELD_NUMBER: _ClassVar[int]
    BACKGROUND_FIELD_NUMBER: _ClassVar[int]
    GUIDANCE_FIELD_NUMBER: _ClassVar[int]
    STEPS_FIELD_NUMBER: _ClassVar[int]
    SAFETY_TOLERANCE_FIELD_NUMBER: _ClassVar[int]
    EXTRA_FIELD_NUMBER: _ClassVar[int]
    model: str
    prompt: str
    negative_prompt: str
    size: ImageSize
    image_count: int
    seed: int
    variation: int
    quality: Quality
    format: ImageFormat
    background: Background
    guidance: float
    steps: int
    safety_tolerance: int
    extra: _struct_pb2.Struct
    def __init__(self, model: _Optional[str] = ..., prompt: _Optional[str] = ..., negative_prompt: _Optional[str] = ..., size: _Optional[_Union[ImageSize, _Mapping]] = ..., image_count: _Optional[int] = ..., seed: _Optional[int] = ..., variation: _Optional[int] = ..., quality: _Optional[_Union[Quality, str]] = ..., format: _Optional[_Union[ImageFormat, str]] = ..., background: _Optional[_Union[Background, str]] = ..., guidance: _Optional[float] = ..., steps: _Optional[int] = ..., safety_tolerance: _Optional[int] = ..., extra: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ...) -> None: ...

class InputImage(_message.Message):
    __slots__ = ("asset_sha256", "url", "content")
    ASSET_SHA256_FIELD_NUMBER: _ClassVar[int]
    URL_FIELD_NUMBER: _ClassVar[int]
    CONTENT_FIELD_NUMBER: _ClassVar[int]
    asset_sha256: str
    url: str
    content: bytes
    def __init__(self, asset_sha256: _Optional[str] = ..., url: _Optional[str] = ..., content: _Optional[bytes] = ...) -> None: ...

class Expansion(_message.Message):
    __slots__ = ("left_px", "top_px", "right_px", "bottom_px")
    LEFT_PX_FIELD_NUMBER: _ClassVar[int]
    TOP_PX_FIELD_NUMBER: _ClassVar[int]
    RIGHT_PX_FIELD_NUMBER: _ClassVar[int]
    BOTTOM_PX_FIELD_NUMBER: _ClassVar[int]
    left_px: int
    top_px: int
    right_px: int
    bottom_px: int
    def __init__(self, left_px: _Optional[int] = ..., top_px: _Optional[int] = ..., right_px: _Optional[int] = ..., bottom_px: _Optional[int] = ...) -> None: ...

class EditInputs(_message.Message):
    __slots__ = ("images", "mask", "strength", "expansion")
    IMAGES_FIELD_NUMBER: _ClassVar[int]
    MASK_FIELD_NUMBER: _ClassVar[int]
    STRENGTH_FIELD_NUMBER: _ClassVar[int]
    EXPANSION_FIELD_NUMBER: _ClassVar[int]
    images: _containers.RepeatedCompositeFieldContainer[InputImage]
    mask: InputImage
    strength: float
    expansion: Expansion
    def __init__(self, images: _Optional[_Iterable[_Union[InputImage, _Mapping]]] = ..., mask: _Optional[_Union[InputImage, _Mapping]] = ..., strength: _Optional[float] = ..., expansion: _Optional[_Union[Expansion, _Mapping]] = ...) -> None: ...
