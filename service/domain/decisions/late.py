"""Pictures that come after their render ended. They are paid for, so the next request for them finds them; what was told to
anybody stays as it was told.
"""

from __future__ import annotations

from dataclasses import replace

from service.domain.commands import LateResult, PutAgain
from service.domain.decisions.accept import fresh_until, is_kept
from service.domain.decisions.end import not_promised, put_pictures
from service.domain.decisions.events import tell
from service.domain.records import AttemptState, Flight, Render, RenderState
from service.domain.render import RENDER_FINAL, revive
from service.domain.world import World


def late_result(world: World, command: LateResult) -> bool | PutAgain:
    """Give an ended render the pictures that one of its attempts drew. Answers whether the render has them now."""
    attempt = world.attempts.get(command.attempt_id)
    render = world.renders.get(attempt.render_id) if attempt else None
    assert attempt is not None, "evidence names an attempt that we made"
    assert render is not None, "an attempt has its render"
    if render.state is RenderState.SUCCEEDED:
        has = {row.sha256 for row, _ in world.assets_of(render.id)}
        return bool(command.assets) and {asset.sha256 for _, asset, _ in command.assets} <= has
    drawn = attempt.state is AttemptState.SUCCEEDED and bool(command.assets)
    if render.state not in RENDER_FINAL or not drawn:
        return False
    again = not_promised(world, command.assets, command.put_again)
    if again:
        return PutAgain(again)
    put_pictures(world, render.id, command.assets)
    partial = len(command.assets) < render.image_count
    kept = fresh_until(render, world.now) if command.keep and not partial else None
    render = world.put_render(
        revive(render, finished_at=world.now, fresh_until=kept, partial=partial, notices=command.notices)
    )
    tell(world, render, attempt.number, "LATE", f"{len(command.assets)} pictures came after the end")
    if kept is not None:
        _point(world, render)
    return True


def _point(world: World, render: Render) -> None:
    """Let the next request find it, unless a newer render answers that one better."""
    key = (render.scope, render.fingerprint)
    flight = world.flights.get(key)
    current = world.renders.get(flight.render_id) if flight is not None and flight.render_id else None
    if flight is None or current is None:
        world.flights.put(key, Flight(*key, render.id))
    elif current.id == render.id or is_kept(current, world.now):
        return
    elif current.state in RENDER_FINAL:
        world.flights.put(key, replace(flight, render_id=render.id))
    else:
        world.flights.put(key, replace(flight, good_render_id=render.id))
