"""Writing down what is unusual in the life of a render, for whoever asks later why it went that way."""

from __future__ import annotations

import hashlib

from service.domain.limits import event_cause_characters_max
from service.domain.oversight import Event
from service.domain.records import Render
from service.domain.world import World


def tell(world: World, render: Render, attempt_number: int, kind: str, cause: str) -> None:
    """Add an event. Its id follows from what it says and when: no command has to bring one, and ids of one moment keep
    the order of the batch.
    """
    place = len(world.events.entries)
    said = (render.id, render.version, render.fence, attempt_number, kind, cause)
    digest = hashlib.sha256(repr(said).encode("utf-8", "surrogatepass")).hexdigest()[:16]
    world.events.add(
        Event(
            id=f"{world.now:x}-{place:03x}-{digest}",
            render_id=render.id,
            attempt_number=attempt_number,
            at=world.now,
            kind=kind,
            cause=cause[:event_cause_characters_max],
        )
    )
