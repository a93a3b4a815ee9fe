"""What pictures that were paid would cost with another model, quality, route or price: each request is routed and priced anew.

Nothing is guessed: a request that the change cannot honour is counted with the reason, and left out of the comparison.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from service.domain.catalog import Catalog
from service.domain.drawing import Drawing, Quality
from service.domain.errors import LightmeterError, NoEligibleRoute, Reason
from service.domain.fingerprint import drawing_from_canonical
from service.domain.limits import whatif_cause_characters_max, whatif_causes_count_max, whatif_causes_shown
from service.domain.routing import PlannedRoute, effective, refusal, survey
from service.domain.value import value


@value(frozen=True, slots=True)
class Change:
    """What is to be different; None keeps what each request had."""

    model: str | None = None
    quality: Quality | None = None
    pin_provider: str | None = None
    pin_route: str | None = None


@value(frozen=True, slots=True)
class PaidRender:
    """A picture that an attempt drew and that was charged."""

    attempt_id: str
    usage_at: int
    project: str
    model: str
    provider: str
    route: str
    operation: str
    price: str
    """The frozen snapshot, as JSON."""
    net_nanos: int
    content: str
    """The canonical request; empty once pruned."""


@dataclass(frozen=True, slots=True)
class Cause:
    """Why requests cannot be priced: the reason with which they would be refused, and its sentence."""

    reason: Reason
    text: str


Place = tuple[str, str, str]
"""Model, provider, route; three empty texts where there is none."""

NOWHERE: Place = ("", "", "")


@dataclass(slots=True)
class Sums:
    """What the renders of a row come to; amounts in nano-USD. `expected` and `ceiling` are of those that are priced."""

    renders: int = 0
    unpriced: int = 0
    actual_nanos: int = 0
    actual_priced_nanos: int = 0
    expected_nanos: int = 0
    ceiling_nanos: int = 0
    causes: Counter[Cause] = field(default_factory=Counter)

    def add(self, other: Sums) -> None:
        """Make it the sum of both."""
        self.renders += other.renders
        self.unpriced += other.unpriced
        self.actual_nanos += other.actual_nanos
        self.actual_priced_nanos += other.actual_priced_nanos
        self.expected_nanos += other.expected_nanos
        self.ceiling_nanos += other.ceiling_nanos
        self.causes.update(other.causes)

    @property
    def commonest(self) -> tuple[tuple[Cause, int], ...]:
        """The causes to show, the most frequent first."""
        ordered = sorted(self.causes.items(), key=lambda one: (-one[1], one[0].reason.value, one[0].text))
        return tuple(ordered[:whatif_causes_shown])


class Comparison:
    """Adds renders up as they are read. Holds no more than a row per pair of routes."""

    def __init__(self, catalog: Catalog, change: Change) -> None:
        self._catalog = catalog
        self._change = change
        self._rows: dict[tuple[Place, Place], Sums] = {}
        self.pruned_count = 0
        self.pruned_nanos = 0

    def add(self, renders: Iterable[PaidRender]) -> None:
        """Price these anew."""
        for one in renders:
            if one.content:
                self._add(one)
            else:
                self.pruned_count += 1
                self.pruned_nanos += one.net_nanos

    def _add(self, paid: PaidRender) -> None:
        found = reprice(self._catalog, self._change, paid)
        old = (paid.model, paid.provider, paid.route)
        if isinstance(found, Cause):
            sums = self._rows.setdefault((old, NOWHERE), Sums())
            sums.unpriced += 1
            known = found in sums.causes or len(sums.causes) < whatif_causes_count_max
            sums.causes[found if known else _MANY] += 1
        else:
            model, planned = found
            sums = self._rows.setdefault((old, (model, planned.provider, planned.route)), Sums())
            sums.actual_priced_nanos += paid.net_nanos
            sums.expected_nanos += planned.expected_nanos
            sums.ceiling_nanos += planned.ceiling_nanos
        sums.renders += 1
        sums.actual_nanos += paid.net_nanos

    @property
    def rows(self) -> tuple[tuple[Place, Place, Sums], ...]:
        """(old place, new place, sums), in the order of the places."""
        return tuple((old, new, sums) for (old, new), sums in sorted(self._rows.items()))

    @property
    def total(self) -> Sums:
        """The sum of all rows."""
        total = Sums()
        for sums in self._rows.values():
            total.add(sums)
        return total


_MANY = Cause(Reason.NO_ELIGIBLE_ROUTE, "further causes")


def reprice(catalog: Catalog, change: Change, paid: PaidRender) -> tuple[str, PlannedRoute] | Cause:
    """The model and the route that would be tried first, at its price; or why there is none."""
    try:
        asked = drawing_from_canonical(paid.content)
        pinned = json.loads(paid.content).get("pin_provider")
        model = catalog.resolve(change.model or paid.model)
        drawing = effective(model, _changed(asked, model.name, change))
        plan = survey(model, drawing, pin_provider=change.pin_provider or pinned, pin_route=change.pin_route)
        if not plan.routes:
            raise refusal(plan, drawing)
    except LightmeterError as error:
        return Cause(error.reason, error.text[:whatif_cause_characters_max])
    except (ValueError, KeyError):
        return _cause_of_content()
    return model.name, plan.routes[0]


def _changed(asked: Drawing, model: str, change: Change) -> Drawing:
    return replace(asked, model=model, quality=change.quality or asked.quality)


def _cause_of_content() -> Cause:
    """A request in a canonical form that is not ours any more."""
    error = NoEligibleRoute("the request is kept in a form that is not read any more")
    return Cause(error.reason, error.text)
