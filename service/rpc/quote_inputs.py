"""The input pictures of a quoted edit, measured without a trace: nothing is fetched, stored or counted."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from service.core.requests import InputSource, Submission
from service.domain.drawing import EditInputs, InputPicture
from service.domain.errors import AssetNotFound, InputImageInvalid, InputImageTooLarge
from service.domain.failure import PictureInvalid, PictureTooLarge
from service.domain.limits import input_image_bytes_max, input_image_pixels_max
from service.ports import JobReader, Pictures

# What a picture that would have to be fetched may be at worst, so that the ceiling stays one.
_UNSEEN: Final = InputPicture(
    sha256="0" * 64,
    mime_type="image/png",
    size_bytes=0,
    width_px=math.isqrt(input_image_pixels_max),
    height_px=math.isqrt(input_image_pixels_max),
)


@dataclass(frozen=True, slots=True)
class Measured:
    """The inputs, and whether every picture was seen. If not, the fingerprint of the quote means nothing."""

    inputs: EditInputs
    complete: bool


class QuoteInputs:
    """Measures what can be measured here."""

    def __init__(self, jobs: JobReader, pictures: Pictures) -> None:
        self._jobs = jobs
        self._pictures = pictures

    async def measure(self, submission: Submission) -> Measured:
        """Raises AssetNotFound, InputImageInvalid, InputImageTooLarge."""
        images = [await self._picture(submission.project, one) for one in submission.images]
        mask = await self._picture(submission.project, submission.mask) if submission.mask else None
        return Measured(
            EditInputs(
                images=tuple(images),
                mask=mask,
                strength=submission.strength,
                expansion=submission.expansion,
            ),
            complete=not any(one is _UNSEEN for one in (*images, mask)),
        )

    async def _picture(self, project: str, source: InputSource) -> InputPicture:
        if source.sha256 is not None:
            asset = await self._jobs.asset(source.sha256, project)
            if asset is None:
                raise AssetNotFound(f"{source.field}: no such picture", metadata={"field": source.field})
            return InputPicture(
                asset.sha256, asset.mime_type, asset.size_bytes, asset.width_px, asset.height_px
            )
        if source.content is None:
            return _UNSEEN
        return await self._inspected(source.field, source.content)

    async def _inspected(self, field: str, content: bytes) -> InputPicture:
        metadata = {"field": field, "index": field.partition("[")[2].rstrip("]") or "0"}
        try:
            picture = await self._pictures.inspect(
                content, bytes_max=input_image_bytes_max, pixels_max=input_image_pixels_max
            )
        except PictureTooLarge as error:
            limits = {"limit": str(error.limit), "actual": str(error.actual)}
            raise InputImageTooLarge(f"{field}: {error}", metadata={**metadata, **limits}) from error
        except PictureInvalid as error:
            raise InputImageInvalid(f"{field}: {error}", metadata=metadata) from error
        return InputPicture(
            picture.sha256, picture.mime_type, len(content), picture.width_px, picture.height_px
        )
