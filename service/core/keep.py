"""Bringing the pictures home: download, verify, store. Repeats until the provider's copies are about to expire."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import Any

from service.core.context import RunContext
from service.core.inputs import asset_of
from service.domain.catalog import Route
from service.domain.drawing import Drawing
from service.domain.errors import Overloaded, Reason, StorageUnavailable
from service.domain.exchange import Output, Result
from service.domain.failure import (
    DownloadFailed,
    Failure,
    Fault,
    PictureInvalid,
    PictureTooLarge,
    RetryAdvice,
)
from service.domain.limits import (
    download_bytes_max,
    output_pixels_max,
    result_margin_seconds,
)
from service.domain.records import Asset, Attempt
from service.ports import Picture

_KEPT_SECONDS_DEFAULT = 3_600.0
_PAUSE_SECONDS_MAX = 30.0
_PUT_AGAIN_TRIES = 20


@dataclass(frozen=True, slots=True)
class Kept:
    """Pictures that are in the store, as Finish wants them. `pictures` is by SHA-256, to be put again if need be."""

    assets: tuple[tuple[int, Asset, bool], ...]
    partial: bool
    cacheable: bool
    notices: str
    phases: str
    pictures: dict[str, Picture]


@dataclass(frozen=True, slots=True)
class _Fetched:
    """One picture at its place."""

    position: int
    flagged: bool
    picture: Picture
    asset: Asset
    download_seconds: float
    store_seconds: float


class Keeper:
    """Downloads and stores the outputs of an attempt."""

    def __init__(self, context: RunContext) -> None:
        self._context = context
        self.unstored_count = 0
        """How many paid results are not in the picture store yet."""

    async def keep(self, drawing: Drawing, attempt: Attempt, route: Route, result: Result) -> Kept | Failure:
        """The stored pictures, or why there is none."""
        self.unstored_count += 1
        try:
            return await self._keep(drawing, attempt, route, result)
        finally:
            self.unstored_count -= 1

    async def _keep(self, drawing: Drawing, attempt: Attempt, route: Route, result: Result) -> Kept | Failure:
        outputs = result.outputs[: route.images_max]
        told = result.expires_in_seconds
        kept_seconds = _KEPT_SECONDS_DEFAULT if told is None else told
        until = self._context.clock.monotonic() + max(
            result_margin_seconds, kept_seconds - result_margin_seconds
        )
        answers = await asyncio.gather(
            *(self._one(attempt.provider, index, output, until) for index, output in enumerate(outputs))
        )
        good = [one for one in answers if isinstance(one, _Fetched)]
        bad = [(index, one) for index, one in enumerate(answers) if isinstance(one, Failure)]
        if not good:
            return bad[0][1] if bad else _no_images(result)
        partial = len(good) < drawing.image_count
        flagged = any(one.flagged for one in good)
        return Kept(
            assets=tuple((one.position, one.asset, one.flagged) for one in good),
            partial=partial,
            cacheable=not partial and not flagged,
            notices=json.dumps(_notices(drawing, attempt, good, bad, result)),
            phases=json.dumps(
                {
                    "download_seconds": round(max(one.download_seconds for one in good), 6),
                    "store_seconds": round(max(one.store_seconds for one in good), 6),
                }
            ),
            pictures={one.asset.sha256: one.picture for one in good},
        )

    async def put_again(self, kept: Kept, sha256s: tuple[str, ...]) -> bool:
        """Store pictures once more that were about to be deleted; False when the picture store stays away."""
        for sha256 in sha256s:
            picture = kept.pictures[sha256]
            key = next(asset.key for _, asset, _ in kept.assets if asset.sha256 == sha256)
            if not await self._put(key, picture):
                return False
        return True

    async def _put(self, key: str, picture: Picture) -> bool:
        clock = self._context.clock
        pause = 0.5
        for _ in range(_PUT_AGAIN_TRIES):
            try:
                await self._context.blobs.put(key, picture.content, picture.mime_type)
            except (StorageUnavailable, Overloaded):
                await clock.sleep(pause * self._context.dice.jitter())
                pause = min(_PAUSE_SECONDS_MAX, pause * 2)
            else:
                return True
        return False

    async def _one(self, provider: str, position: int, output: Output, until: float) -> _Fetched | Failure:
        clock = self._context.clock
        pause = 0.5
        failure = _LOST
        while True:
            try:
                return await self._fetch(provider, position, output)
            except DownloadFailed as error:
                failure = _LOST
                if error.final:
                    return failure
            except (StorageUnavailable, Overloaded):
                failure = _NOT_STORED
            except (PictureInvalid, PictureTooLarge) as error:
                self._context.log.warning("result_invalid", provider=provider, error=repr(error))
                return _INVALID
            if clock.monotonic() + pause > until:
                return failure
            await clock.sleep(pause * self._context.dice.jitter())
            pause = min(_PAUSE_SECONDS_MAX, pause * 2)

    async def _fetch(self, provider: str, position: int, output: Output) -> _Fetched:
        context = self._context
        started = context.clock.monotonic()
        content = await context.downloads.fetch_result(provider, output.url)
        fetched = context.clock.monotonic()
        context.metrics.pictures.download_seconds.observe(fetched - started)
        picture = await context.pictures.inspect(
            content, bytes_max=download_bytes_max, pixels_max=output_pixels_max
        )
        asset = asset_of(picture, context.clock.now())
        await context.blobs.put(asset.key, picture.content, picture.mime_type)
        stored = context.clock.monotonic()
        return _Fetched(position, output.flagged, picture, asset, fetched - started, stored - fetched)


def _notices(
    drawing: Drawing,
    attempt: Attempt,
    good: list[_Fetched],
    bad: list[tuple[int, Failure]],
    result: Result,
) -> list[dict[str, Any]]:
    """What a caller should know beside the pictures: code, message, metadata."""
    notices: list[dict[str, Any]] = []
    if len(good) < drawing.image_count:
        missing = {"asked": str(drawing.image_count), "received": str(len(good))}
        notices.append(_notice("FEWER_IMAGES", "fewer pictures than asked for came back", missing))
    for index, failure in bad:
        notices.append(_notice("FEWER_IMAGES", failure.message, {"index": str(index)}))
    size = drawing.size.dimensions
    for one in good:
        if size is not None and (one.asset.width_px, one.asset.height_px) != (size.width_px, size.height_px):
            found = f"{one.asset.width_px}x{one.asset.height_px}"
            asked = f"{size.width_px}x{size.height_px}"
            notices.append(
                _notice(
                    "SIZE_DIFFERS",
                    f"the provider drew {found}",
                    {"index": str(one.position), "asked": asked, "received": found},
                )
            )
        if one.flagged:
            notices.append(
                _notice("CONTENT_FLAGGED", "the provider flagged this picture", {"index": str(one.position)})
            )
    if attempt.number > 1:
        route = {"provider": attempt.provider, "route": attempt.route}
        notices.append(_notice("FAILED_OVER", "an earlier route refused the request", route))
    if attempt.settled_nanos is not None and attempt.settled_nanos > attempt.hold_nanos:
        amounts = {"heldNanos": str(attempt.hold_nanos), "chargedNanos": str(attempt.settled_nanos)}
        notices.append(_notice("OVERRUN", "the provider billed more than its price rule allows", amounts))
    notices.extend(_notice("PROMPT_REWRITTEN", text, {}) for text in result.notices)
    return notices


def _notice(code: str, message: str, metadata: dict[str, str]) -> dict[str, Any]:
    return {"code": code, "message": message, "metadata": metadata}


def _no_images(result: Result) -> Failure:
    return result.failure or Failure(
        Reason.NO_IMAGES, "the provider returned no picture", Fault.PROVIDER, RetryAdvice.MAY_PAY_AGAIN
    )


_LOST = Failure(
    Reason.RESULT_LOST,
    "the picture was drawn and could not be fetched before it expired",
    Fault.PROVIDER,
    RetryAdvice.MAY_PAY_AGAIN,
)
_INVALID = Failure(
    Reason.RESULT_INVALID,
    "what the provider returned is not a whole picture",
    Fault.PROVIDER,
    RetryAdvice.MAY_PAY_AGAIN,
)
_NOT_STORED = Failure(
    Reason.STORAGE_UNAVAILABLE,
    "the picture store was away for longer than the provider keeps the result",
    Fault.OPERATOR,
    RetryAdvice.MAY_PAY_AGAIN,
)
