"""Taking a request in. In this order: the same request_id, a fresh result, a running render, a new render with its hold."""

from __future__ import annotations

import json
from dataclasses import replace

from service.domain import ledger
from service.domain.commands import (
    Accept,
    AcceptOutcome,
    CacheMode,
    Existing,
    Hit,
    Joined,
    MarkGone,
    MarkSeen,
    NeedsCheck,
    New,
)
from service.domain.errors import RequestIdReused
from service.domain.limits import MICROS_PER_SECOND, asset_check_seconds, pending_seconds_max
from service.domain.records import (
    FOREVER,
    Asset,
    AssetState,
    Flight,
    Job,
    JobState,
    Origin,
    Render,
    RenderInput,
    RenderState,
)
from service.domain.totals import TotalsDelta
from service.domain.view import drawn_by, worth
from service.domain.world import World


def accept(world: World, command: Accept) -> AcceptOutcome:
    """Answer a request: Existing, Hit, NeedsCheck, Joined or New; RequestIdReused or BudgetExceeded when refused."""
    known = world.job_by_request(command.project, command.request_id)
    if known is not None:
        return _recorded(world, known) if known.id == command.job_id else _existing(world, command, known)
    newest, older = _pointed_at(world, command)
    if newest is not None and not _is_fresh(world, command, newest):
        if newest.joinable and newest.project == command.project:
            return _join(world, command, newest)
        newest = None
    render = newest or older
    if render is not None and _is_fresh(world, command, render):
        stale = _unseen(world, command, render)
        return NeedsCheck(stale) if stale else _hit(world, command, render)
    return _new(world, command)


def may_hold(world: World, command: Accept) -> tuple[tuple[str, ledger.Labels], ...]:
    """Everything but a repeated request and a clean hit may need room in the budgets."""
    if world.job_by_request(command.project, command.request_id) is not None:
        return ()
    if command.refusal is not None or any(
        one is not None and _is_fresh(world, command, one) for one in _pointed_at(world, command)
    ):
        return ()
    return ((command.project, command.labels),)


def _recorded(world: World, job: Job) -> Hit | Joined | New:
    """What this very command did when it ran before: its commit was not known, and whoever asked still has to act on it."""
    view = world.view(job)
    if job.origin is Origin.CACHE:
        return Hit(view)
    first = next(iter(view.attempts), None)
    return New(view) if first is not None and first.payer_job == job.id else Joined(view)


def _existing(world: World, command: Accept, job: Job) -> Existing:
    if job.request_digest == command.request_digest:
        return Existing(world.view(job))
    raise RequestIdReused.of(job.id, job.request_digest, command.request_digest)


def _pointed_at(world: World, command: Accept) -> tuple[Render | None, Render | None]:
    """The renders that may answer this request: the newest, finished or running, and the one that it took the place of."""
    if command.cache_mode is not CacheMode.USE:
        return None, None
    flight = world.flights.get((command.scope, command.fingerprint))
    if flight is None:
        return None, None
    return _render_at(world, flight.render_id), _render_at(world, flight.good_render_id)


def _render_at(world: World, render_id: str | None) -> Render | None:
    return world.renders.get(render_id) if render_id is not None else None


def is_kept(render: Render | None, now: int) -> bool:
    """Whether its result may be served now, as far as its own row tells."""
    return (
        render is not None
        and render.state is RenderState.SUCCEEDED
        and render.fresh_until is not None
        and render.fresh_until > now
    )


def _is_fresh(world: World, command: Accept, render: Render) -> bool:
    if not is_kept(render, world.now):
        return False
    assert render.finished_at is not None, "a succeeded render has its time"
    age = world.now - render.finished_at
    if command.cache_max_age_micros is not None and age > command.cache_max_age_micros:
        return False
    pictures = world.assets_of(render.id)
    return bool(pictures) and all(asset.state is AssetState.PRESENT for _, asset in pictures)


def _unseen(world: World, command: Accept, render: Render) -> tuple[Asset, ...]:
    oldest = world.now - asset_check_seconds * MICROS_PER_SECOND
    return tuple(
        asset
        for _, asset in world.assets_of(render.id)
        if asset.seen_at < oldest and asset.sha256 not in command.checked
    )


def _job(world: World, command: Accept, render_id: str, origin: Origin) -> Job:
    timeout = command.job_timeout_micros
    return Job(
        id=command.job_id,
        project=command.project,
        request_id=command.request_id,
        request_digest=command.request_digest,
        render_id=render_id,
        origin=origin,
        state=JobState.QUEUED,
        version=1,
        operation=command.operation,
        model=command.model,
        image_count=command.image_count,
        fingerprint=command.fingerprint,
        avoided_nanos=None,
        max_cost_nanos=command.max_cost_nanos,
        deadline_at=None if timeout is None else world.now + timeout,
        accepted_at=world.now,
        final_at=None,
        labels=command.labels,
        options=command.options,
        failure=None,
        input_seconds=command.input_seconds,
    )


def _hit(world: World, command: Accept, render: Render) -> Hit:
    attempts = world.attempts_of(render.id)
    avoided = worth(attempts)
    job = replace(
        _job(world, command, render.id, Origin.CACHE),
        state=JobState.SUCCEEDED,
        avoided_nanos=avoided,
        final_at=world.now,
    )
    world.put_job(job)
    images = len(world.assets_of(render.id))
    delta = TotalsDelta(jobs=1, images=images, avoided_nanos=avoided or 0, buckets={0: 1})
    ledger.count_job(world, job, drawn_by(attempts), delta)
    return Hit(world.view(job))


def _join(world: World, command: Accept, render: Render) -> Joined:
    job = world.put_job(_job(world, command, render.id, Origin.SHARED))
    return Joined(world.view(job))


def _new(world: World, command: Accept) -> New:
    if command.refusal is not None:
        raise command.refusal
    for asset in command.input_assets:
        if _is_news(asset, world.assets.get(asset.sha256)):
            world.assets.put(asset.sha256, replace(asset, seen_at=world.now))
    good_render_id = _leave(world, command)
    render = world.put_render(_render(world, command))
    job = world.put_job(_job(world, command, render.id, Origin.PROVIDER))
    first = ledger.new_attempt(world, command.attempt_id, command.token, render.id, 1, job, command.plan[0])
    ledger.take_hold(world, first, command.labels)
    for role, position, sha256 in command.inputs:
        world.render_inputs.put((render.id, role, position), RenderInput(render.id, role, position, sha256))
    if command.has_flight:
        key = (command.scope, command.fingerprint)
        world.flights.put(key, Flight(*key, render.id, good_render_id))
    return New(world.view(job))


def _render(world: World, command: Accept) -> Render:
    plan = {
        "routes": [route.to_dict() for route in command.plan],
        "fresh_micros": command.fresh_micros,
        "keeps": command.has_flight,
    }
    return Render(
        id=command.render_id,
        project=command.project,
        scope=command.scope,
        fingerprint=command.fingerprint,
        state=RenderState.PENDING,
        version=1,
        joinable=command.has_flight,
        cancel_requested_at=None,
        owner=command.owner,
        fence=1,
        next_step_at=world.now + int(pending_seconds_max * MICROS_PER_SECOND),
        operation=command.operation,
        model=command.model,
        image_count=command.image_count,
        plan=json.dumps(plan),
        content=command.content,
        progress="{}",
        created_at=world.now,
        finished_at=None,
        fresh_until=None,
    )


def _is_news(asset: Asset, known: Asset | None) -> bool:
    """Whether the request's picture says more than its row: a new one, or one that was gone and was just stored again."""
    if known is None:
        return True
    return (
        known.state is AssetState.GONE and asset.state is AssetState.PRESENT and asset.seen_at > known.seen_at
    )


def _leave(world: World, command: Accept) -> str | None:
    """Let nobody join the render that the flight pointed at: at most one render of a fingerprint can be joined. Answers which
    older render stays good for an answer, should the new one bring none.
    """
    flight = world.flights.get((command.scope, command.fingerprint)) if command.has_flight else None
    if flight is None:
        return None
    old = _render_at(world, flight.render_id)
    if old is not None and old.joinable:
        world.put_render(replace(old, joinable=False))
    kept = (key for key in (flight.render_id, flight.good_render_id) if key is not None)
    return next((key for key in kept if is_kept(world.renders.get(key), world.now)), None)


def fresh_until(render: Render, now: int) -> int | None:
    """Until when its result may be served; None when the request asked to keep nothing."""
    plan = json.loads(render.plan)
    if not plan["keeps"]:
        return None
    return FOREVER if plan["fresh_micros"] is None else now + int(plan["fresh_micros"])


def mark_seen(world: World, command: MarkSeen) -> None:
    """Remember that these pictures are there."""
    for sha256 in command.sha256s:
        asset = world.assets.get(sha256)
        if asset is not None:
            world.assets.put(sha256, replace(asset, state=AssetState.PRESENT, seen_at=world.now))


def mark_gone(world: World, command: MarkGone) -> None:
    """Promise these pictures to nobody any more."""
    for sha256 in command.sha256s:
        asset = world.assets.get(sha256)
        if asset is not None:
            world.assets.put(sha256, replace(asset, state=AssetState.GONE))
