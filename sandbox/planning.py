"""How long an accepted request will queue and run, from its model, its faults and its id."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sandbox.catalog import Ask, Model
from sandbox.faults import Fault
from sandbox.world import World

QUALITY_PACE = {"low": 0.4, "medium": 0.7, "high": 1.0, "auto": 1.0}
COUNT_PACE = 0.35
"""How much longer each further picture takes, as a share of the first."""


@dataclass(frozen=True, slots=True)
class Plan:
    """`queue_seconds` are of the sandbox's clock; `run_seconds` are the provider's own, not yet scaled."""

    queue_seconds: float
    run_seconds: float
    queue_depth: int
    seed: int


def plan(world: World, model: Model, ask: Ask | None, request_id: str, faults: Iterable[Fault]) -> Plan:
    """Decide it once, when the request is accepted."""
    jitter = 1.0 if model.keeps_pace else 0.8 + 0.4 * world.dice.share(request_id, "pace")
    run_seconds = model.pace.run_seconds * jitter
    queue_seconds = model.pace.queue_seconds * jitter
    depth = int(world.dice.share(request_id, "depth") * 4 + model.pace.queue_seconds)
    seed = world.dice.picture_seed(request_id)
    if ask is not None:
        run_seconds *= QUALITY_PACE.get(ask.quality, 1.0) * (1 + COUNT_PACE * (ask.count - 1))
        seed = ask.seed if ask.seed is not None else seed
    waits_for_fault = False
    for fault in faults:
        if fault.kind == "slow":
            run_seconds += fault.number("seconds")
        elif fault.kind == "deep_queue":
            depth, queue_seconds, waits_for_fault = (
                int(fault.number("position")),
                fault.number("seconds"),
                True,
            )
    if world.options.instant and not waits_for_fault and not model.keeps_pace:
        return Plan(0.0, run_seconds, 0, seed)
    return Plan(world.clock.scaled(queue_seconds), run_seconds, depth, seed)
