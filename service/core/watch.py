"""Watching jobs: every visible version once, the newest first for slow readers, on any replica.

Hints only wake; the row is read again each time, and a slow poll finds what a lost hint missed.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

from service.core.logfeed import LogFeed, LogReader
from service.core.requests import WatchEvent, WatchHeartbeat, WatchLogs
from service.domain.errors import JobNotFound, TooManyWatches, VersionAhead
from service.domain.limits import (
    MICROS_PER_SECOND,
    poll_seconds_max,
    watch_heartbeat_seconds,
    watch_poll_seconds,
    watches_open_max,
)
from service.domain.view import JobView
from service.metrics import Metrics
from service.ports import Clock, Hints, HintSubscription, JobReader

_POLL_GROWTH = 1.5


class Watches:
    """The use case of WatchJob, and of waiting inside Generate and Edit."""

    def __init__(
        self,
        jobs: JobReader,
        hints: Hints,
        feed: LogFeed,
        clock: Clock,
        metrics: Metrics,
        *,
        open_max: int = watches_open_max,
    ) -> None:
        self._jobs = jobs
        self._hints = hints
        self._feed = feed
        self._clock = clock
        self._metrics = metrics
        self._open_max = open_max
        self._open_count = 0

    async def watch(
        self, job_id: str, project: str | None, after_version: int, *, logs: bool = False
    ) -> AsyncIterator[WatchEvent]:
        """The job's versions after `after_version` until it is final; a heartbeat where there is nothing to say.

        The first event comes at once. Raises JobNotFound, VersionAhead or TooManyWatches before it.
        """
        if self._open_count >= self._open_max:
            raise TooManyWatches(
                "too many watches are open here",
                metadata={"limit": str(self._open_max)},
                retry_after_seconds=5.0,
            )
        self._open_count += 1
        self._metrics.watches.open.inc()
        subscription: HintSubscription | None = None
        reader: LogReader | None = None
        try:
            # Listen before reading: a change between the two would wake nobody.
            subscription = self._hints.subscribe(job_id)
            view = await self._read(job_id, project)
            if after_version > view.version:
                raise VersionAhead(
                    "after_version is newer than the job",
                    metadata={
                        "field": "after_version",
                        "limit": str(view.version),
                        "actual": str(after_version),
                    },
                )
            subscription.add(view.job.render_id)
            reader = self._feed.open(view.job.render_id) if logs and not view.job.is_final else None
            async for event in self._follow(view, after_version, subscription, reader):
                yield event
        finally:
            self._open_count -= 1
            self._metrics.watches.open.dec()
            if subscription is not None:
                subscription.close()
            if reader is not None:
                self._feed.close(reader)

    async def _follow(
        self, view: JobView, after_version: int, subscription: HintSubscription, reader: LogReader | None
    ) -> AsyncIterator[WatchEvent]:
        sent = after_version
        spoke = self._clock.monotonic()
        if view.version > sent or view.job.is_final:
            sent = view.version
            yield view
        else:
            yield WatchHeartbeat(sent, self._clock.now())
        pause = watch_poll_seconds
        while not view.job.is_final:
            silence = watch_heartbeat_seconds - (self._clock.monotonic() - spoke)
            woken = await subscription.wait(max(0.0, min(pause, silence)))
            pause = watch_poll_seconds if woken else min(poll_seconds_max, pause * _POLL_GROWTH)
            view = await self._read(view.job.id, None)
            if reader is not None and reader.lines:
                lines, dropped = reader.take()
                attempt = view.winning
                yield WatchLogs(attempt.number if attempt else 0, lines, dropped)
            now = self._clock.monotonic()
            if view.version > sent:
                sent, spoke = view.version, now
                self._observe(view)
                yield view
            elif now - spoke >= watch_heartbeat_seconds:
                spoke = now
                yield WatchHeartbeat(sent, self._clock.now())

    def _observe(self, view: JobView) -> None:
        """How long the last version took to get here: the only one that carries the time of its commit."""
        if view.job.final_at is not None:
            late = (self._clock.now() - view.job.final_at) / MICROS_PER_SECOND
            self._metrics.watches.delivery_seconds.observe(max(0.0, late))

    async def _read(self, job_id: str, project: str | None) -> JobView:
        view = await self._jobs.view(job_id)
        if view is None or (project is not None and view.job.project != project):
            raise JobNotFound("no such job")
        return view

    async def wait_final(self, view: JobView, seconds: float) -> JobView:
        """The job once it is final, or as it is after this many seconds."""
        until = self._clock.monotonic() + seconds
        subscription = self._hints.subscribe(view.job.id)
        try:
            pause = watch_poll_seconds
            while not view.job.is_final:
                view = await self._read(view.job.id, None)
                left = until - self._clock.monotonic()
                if view.job.is_final or left <= 0:
                    break
                await subscription.wait(min(pause, left))
                pause = min(poll_seconds_max, pause * _POLL_GROWTH)
            return view
        finally:
            subscription.close()
