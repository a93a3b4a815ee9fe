"""Prices that changed, or will: which are news, and what they do to a month like the last one."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from service.domain.catalog import Catalog, Route
from service.domain.errors import LightmeterError
from service.domain.fingerprint import drawing_from_canonical
from service.domain.price import PriceSnapshot
from service.domain.price_rules import Unpriced
from service.domain.routing import price_ask
from service.domain.value import value
from service.domain.whatif import PaidRender

_DATE_CHARACTERS = len("2026-11-21")


@value(frozen=True, slots=True)
class PricedWith:
    """So many requests of a route were held by one version of its price, the last one at that time."""

    model: str
    provider: str
    route: str
    version: str
    used_at: int
    count: int


@dataclass(frozen=True, slots=True)
class PriceMove:
    """A price that is another one than the route's requests were priced by; `announced`: from a day that is still to come."""

    model: str
    route: Route
    from_version: str
    price: PriceSnapshot
    summary: str
    announced: bool

    @property
    def target(self) -> str:
        """`fal/flux-dev`."""
        return f"{self.route.provider}/{self.route.name}"

    @property
    def action(self) -> str:
        """How the audit calls it."""
        return "price.announced" if self.announced else "price.changed"

    @property
    def event_id(self) -> str:
        """The same on every replica and after every start, so that it is told once."""
        parts = (self.action, self.model, self.target, self.from_version, self.price.version)
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]


def moves(catalog: Catalog, day: str, used: Iterable[PricedWith]) -> tuple[PriceMove, ...]:
    """What is news on a UTC day. `catalog` is that of the day; `used` is what was used lately."""
    newest: dict[tuple[str, str, str], PricedWith] = {}
    for one in sorted(used, key=lambda one: one.used_at):
        route = _route(catalog, one)
        if route is not None and _came_before(one, route):
            newest[one.model, one.provider, one.route] = one
    found = [
        PriceMove(one.model, route, one.version, route.price, route.price_summary, announced=False)
        for one in newest.values()
        if (route := _route(catalog, one)) is not None and route.price is not None
    ]
    for model in catalog.models.values():
        for route in model.routes:
            found += _announced(model.name, route, day)
    return tuple(found)


def _route(catalog: Catalog, used: PricedWith) -> Route | None:
    model = catalog.models.get(used.model)
    return None if model is None else model.route(used.provider, used.route)


def _came_before(used: PricedWith, route: Route) -> bool:
    """Whether the route went from that version to its present one, as far as their dates tell: during an upgrade of several
    replicas an older one sees requests with versions that it does not know yet.
    """
    price = route.price
    if price is None or used.version in (price.version, Unpriced.kind):
        return False
    return used.version[:_DATE_CHARACTERS] <= price.effective_on


def _announced(model: str, route: Route, day: str) -> list[PriceMove]:
    current = route.price
    if current is None:
        return []
    return [
        PriceMove(model, route, current.version, one.price, one.summary, announced=True)
        for one in route.price_versions
        if one.price.effective_on > day and not same_price(one.price, current)
    ]


def same_price(one: PriceSnapshot, other: PriceSnapshot) -> bool:
    """Whether two versions charge the same; their sources and dates may differ."""
    return (one.rule, one.billed_unit) == (other.rule, other.billed_unit)


@dataclass(slots=True)
class Effect:
    """What a price does to the renders of a month: expected amounts before and after, in nano-USD."""

    move: PriceMove
    renders: int = 0
    unpriced: int = 0
    before_nanos: int = 0
    after_nanos: int = 0
    differs: bool = False
    """Whether any of the renders was priced by another rule."""

    @property
    def nanos(self) -> int:
        """What the month would cost more; below zero: less."""
        return self.after_nanos - self.before_nanos

    def add(self, paid: Iterable[PaidRender]) -> None:
        """Count these. What was priced by the new version already moved nothing."""
        for one in paid:
            self._add(one)

    def _add(self, paid: PaidRender) -> None:
        move = self.move
        frozen = replace(PriceSnapshot.from_json(paid.price), metric_prices=())
        before = move.route.price if move.announced else frozen
        assert before is not None, "only what has a price can get another one"
        if not before.is_known:
            return
        self.renders += 1
        self.differs = self.differs or not same_price(before, move.price)
        old, new = self._expected(paid, before), self._expected(paid, move.price)
        if old is None or new is None:
            self.unpriced += 1
        else:
            self.before_nanos += old
            self.after_nanos += new

    def _expected(self, paid: PaidRender, price: PriceSnapshot) -> int | None:
        if not paid.content:
            return None
        try:
            drawing = drawing_from_canonical(paid.content)
        except (LightmeterError, ValueError, KeyError):
            return None
        return price.estimate(price_ask(replace(self.move.route, price=price), drawing)).expected_nanos

    def details(self, *, complete: bool) -> Mapping[str, str | int | bool]:
        """For the log and the audit. Amounts are text where a reader may take numbers for floats."""
        return {
            "model": self.move.model,
            "from_version": self.move.from_version,
            "to_version": self.move.price.version,
            "effective_on": self.move.price.effective_on,
            "monthly_effect_nanos": str(self.nanos),
            "before_nanos": str(self.before_nanos),
            "after_nanos": str(self.after_nanos),
            "render_count": self.renders,
            "unpriced_count": self.unpriced,
            "complete": complete,
        }
