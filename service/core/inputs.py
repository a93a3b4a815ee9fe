"""Input pictures: fetched once, measured, stored as assets, before anything is decided about the request."""

from __future__ import annotations

from dataclasses import dataclass, replace

from service.core.requests import InputSource, Submission
from service.domain.drawing import Drawing, EditInputs, InputPicture
from service.domain.errors import (
    AssetNotFound,
    InputImageInvalid,
    InputImageTooLarge,
    InputUrlRefused,
    InputUrlUnreachable,
)
from service.domain.failure import PictureInvalid, PictureTooLarge
from service.domain.limits import input_image_bytes_max, input_image_pixels_max
from service.domain.records import Asset, AssetState
from service.ports import Blobs, Clock, Downloads, JobReader, Picture, Pictures


@dataclass(frozen=True, slots=True)
class Gathered:
    """The drawing with its inputs, their rows, and how long it took."""

    drawing: Drawing
    assets: tuple[Asset, ...]
    positions: tuple[tuple[str, int, str], ...]
    """(role, position, sha256)."""
    seconds: float


class Inputs:
    """Turns what a caller names into measured pictures that are in the store."""

    def __init__(
        self, jobs: JobReader, blobs: Blobs, pictures: Pictures, downloads: Downloads, clock: Clock
    ) -> None:
        self._jobs = jobs
        self._blobs = blobs
        self._pictures = pictures
        self._downloads = downloads
        self._clock = clock

    async def gather(self, submission: Submission) -> Gathered:
        """The measured inputs; stored.

        Raises AssetNotFound, InputImageInvalid, InputImageTooLarge, InputUrlRefused, InputUrlUnreachable.
        """
        started = self._clock.monotonic()
        found = [await self._asset(submission.project, source) for source in submission.images]
        mask = await self._asset(submission.project, submission.mask) if submission.mask else None
        if mask is not None and submission.mask is not None:
            _check_mask(submission.mask, mask, found[0])
        inputs = EditInputs(
            images=tuple(_measured(asset) for asset in found),
            mask=_measured(mask) if mask else None,
            strength=submission.strength,
            expansion=submission.expansion,
        )
        positions = [("IMAGE", index, asset.sha256) for index, asset in enumerate(found)]
        if mask is not None:
            positions.append(("MASK", 0, mask.sha256))
        every = {asset.sha256: asset for asset in (*found, *([mask] if mask else []))}
        return Gathered(
            drawing=replace(submission.drawing, inputs=inputs),
            assets=tuple(every.values()),
            positions=tuple(positions),
            seconds=self._clock.monotonic() - started,
        )

    async def _asset(self, project: str, source: InputSource) -> Asset:
        if source.sha256 is not None:
            asset = await self._jobs.asset(source.sha256, project)
            if asset is None:
                raise AssetNotFound(f"{source.field}: no such picture", metadata={"field": source.field})
            return asset
        content = source.content if source.content is not None else await self._fetch(source)
        picture = await self._inspect(source, content)
        asset = asset_of(picture, self._clock.now())
        await self._blobs.put(asset.key, picture.content, picture.mime_type)
        return asset

    async def _fetch(self, source: InputSource) -> bytes:
        try:
            return await self._downloads.fetch_input(source.url or "")
        except (InputUrlRefused, InputUrlUnreachable, InputImageTooLarge) as error:
            # Whoever fetches does not know which of the request's pictures it is.
            metadata = {**_place(source), **error.metadata}
            raise type(error)(f"{source.field}: {error.text}", metadata=metadata) from error

    async def _inspect(self, source: InputSource, content: bytes) -> Picture:
        metadata = _place(source)
        try:
            return await self._pictures.inspect(
                content, bytes_max=input_image_bytes_max, pixels_max=input_image_pixels_max
            )
        except PictureTooLarge as error:
            limits = {"limit": str(error.limit), "actual": str(error.actual)}
            raise InputImageTooLarge(f"{source.field}: {error}", metadata={**metadata, **limits}) from error
        except PictureInvalid as error:
            raise InputImageInvalid(f"{source.field}: {error}", metadata=metadata) from error


def _place(source: InputSource) -> dict[str, str]:
    return {"field": source.field, "index": source.field.partition("[")[2].rstrip("]") or "0"}


def _check_mask(source: InputSource, mask: Asset, picture: Asset) -> None:
    if (mask.width_px, mask.height_px) != (picture.width_px, picture.height_px):
        expected = f"{picture.width_px}x{picture.height_px}"
        raise InputImageInvalid(
            f"{source.field}: the mask must have the size of the first picture, {expected}",
            metadata={
                "field": source.field,
                "limit": expected,
                "actual": f"{mask.width_px}x{mask.height_px}",
            },
        )


def _measured(asset: Asset) -> InputPicture:
    return InputPicture(asset.sha256, asset.mime_type, asset.size_bytes, asset.width_px, asset.height_px)


def asset_of(picture: Picture, now: int) -> Asset:
    """The row of a picture that is in the store."""
    return Asset(
        sha256=picture.sha256,
        extension=picture.extension,
        mime_type=picture.mime_type,
        size_bytes=len(picture.content),
        width_px=picture.width_px,
        height_px=picture.height_px,
        has_alpha=picture.has_alpha,
        average_color=picture.average_color,
        state=AssetState.PRESENT,
        seen_at=now,
    )
