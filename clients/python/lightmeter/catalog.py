"""What can be drawn and what it would cost: models, routes, quotes. Every value keeps its message in
`.proto`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from lightmeter import wire
from lightmeter.ledger import Latency, PriceLine
from lightmeter.money import Money
from lightmeter.v1 import drawing_pb2, errors_pb2
from lightmeter.v1 import model_service_pb2 as pb


@dataclass(frozen=True, slots=True)
class Route:
    """A model at a provider. An empty `price_summary` is a price that is not known, which is not free."""

    name: str
    provider: str
    endpoint: str
    operations: tuple[str, ...]
    accepted_fields: tuple[str, ...]
    price_kind: str
    price_summary: str
    health: str
    latency: Latency | None
    proto: pb.Route = field(repr=False, compare=False)

    @classmethod
    def from_proto(cls, message: pb.Route) -> Route:
        """Reads a message."""
        return cls(
            name=message.name,
            provider=message.provider,
            endpoint=message.endpoint,
            operations=_operations(message.operations),
            accepted_fields=tuple(message.limits.accepted_fields),
            price_kind=message.price.kind,
            price_summary=message.price.summary,
            health=wire.word(pb.RouteHealth, message.health),
            latency=Latency.from_proto(message.latency) if message.HasField("latency") else None,
            proto=message,
        )


@dataclass(frozen=True, slots=True)
class Model:
    """What a caller names in `Drawing.model`."""

    name: str
    title: str
    description: str
    operations: tuple[str, ...]
    routes: tuple[Route, ...]
    aliases: tuple[str, ...]
    deprecated: bool
    replacement: str
    terms_uri: str
    proto: pb.Model = field(repr=False, compare=False)

    @classmethod
    def from_proto(cls, message: pb.Model) -> Model:
        """Reads a message."""
        return cls(
            name=message.name,
            title=message.title,
            description=message.description,
            operations=_operations(message.operations),
            routes=tuple(Route.from_proto(route) for route in message.routes),
            aliases=tuple(message.aliases),
            deprecated=message.deprecated,
            replacement=message.replacement,
            terms_uri=message.terms_uri,
            proto=message,
        )


def _operations(numbers: Iterable[int]) -> tuple[str, ...]:
    return tuple(wire.word(drawing_pb2.Operation, number) for number in numbers)


@dataclass(frozen=True, slots=True)
class Exclusion:
    """One reason why a route can't take the request."""

    reason: str
    field: str
    message: str


@dataclass(frozen=True, slots=True)
class QuotedRoute:
    """What one route would cost. `certainty` is EXACT, ESTIMATE, CEILING_ONLY or UNKNOWN."""

    provider: str
    route: str
    rank: int
    eligible: bool
    exclusions: tuple[Exclusion, ...]
    expected: Money | None
    ceiling: Money | None
    certainty: str
    lines: tuple[PriceLine, ...]
    latency: Latency | None
    health: str
    explanation: str

    @property
    def price_text(self) -> str:
        """`$0.128`, `$0.165-0.170` between expected and ceiling, `up to $0.17`, or `unknown`."""
        if self.expected is None:
            return f"up to {self.ceiling}" if self.ceiling is not None else "unknown"
        if self.ceiling is None or self.ceiling == self.expected:
            return str(self.expected)
        low, high = str(self.expected), str(self.ceiling).removeprefix("$")
        places = max(len(text.partition(".")[2]) for text in (low, high))
        padded = [
            text if "." not in text else text + "0" * (places - len(text.partition(".")[2]))
            for text in (low, high)
        ]
        return "-".join(padded)

    @classmethod
    def from_proto(cls, message: pb.QuotedRoute) -> QuotedRoute:
        """Reads a message."""
        return cls(
            provider=message.provider,
            route=message.route,
            rank=message.rank,
            eligible=message.eligible,
            exclusions=tuple(
                Exclusion(wire.word(errors_pb2.ErrorReason, item.reason), item.field, item.message)
                for item in message.exclusions
            ),
            expected=wire.money(message, "expected"),
            ceiling=wire.money(message, "ceiling"),
            certainty=wire.word(pb.PriceCertainty, message.certainty),
            lines=tuple(PriceLine.from_proto(line) for line in message.lines),
            latency=Latency.from_proto(message.latency) if message.HasField("latency") else None,
            health=wire.word(pb.RouteHealth, message.health),
            explanation=message.explanation,
        )


@dataclass(frozen=True, slots=True)
class QuotedBudget:
    """A budget that the request would count against. `left_after` is negative if it does not fit."""

    budget: str
    limit: Money
    spent: Money
    held: Money
    left_after: Money
    fits: bool
    window_end: datetime | None

    @classmethod
    def from_proto(cls, message: pb.QuotedBudget) -> QuotedBudget:
        """Reads a message."""
        return cls(
            message.budget,
            Money.from_proto(message.limit),
            Money.from_proto(message.spent),
            Money.from_proto(message.held),
            Money.from_proto(message.left_after),
            message.fits,
            wire.time(message, "window_end_time"),
        )


@dataclass(frozen=True, slots=True)
class Quote:
    """What a request would cost if it were sent now. It binds nobody; `max_cost=quote.ceiling` does.

    `cache` is HIT, RUNNING, MISS or BYPASSED. Amounts are None where they are not known or no route is
    eligible.
    """

    cache: str
    due: Money | None
    expected: Money | None
    ceiling: Money | None
    routes: tuple[QuotedRoute, ...]
    budgets: tuple[QuotedBudget, ...]
    fingerprint: str
    policy: str
    proto: pb.QuoteResponse = field(repr=False, compare=False)

    def explain(self) -> str:
        """A few lines for people: one per route in its order, then what the cache and the budgets say."""
        rows = [_route_cells(route) for route in self.routes]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = [
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
            for row in rows
        ]
        if not any(route.eligible for route in self.routes):
            lines.append("no route can take this request")
        if self.cache in {"HIT", "RUNNING"}:
            source = "the cache has it" if self.cache == "HIT" else "the same request is being drawn"
            lines.append(f"{source}: due now {self.due if self.due is not None else 'unknown'}")
        for budget in self.budgets:
            verdict = "fits" if budget.fits else "does not fit"
            lines.append(
                f"budget {budget.budget}: {verdict}, {budget.left_after} of {budget.limit} left after it"
            )
        return "\n".join(lines)

    @classmethod
    def from_proto(cls, message: pb.QuoteResponse) -> Quote:
        """Reads a message."""
        return cls(
            cache=wire.word(pb.QuoteCache, message.cache),
            due=wire.money(message, "due"),
            expected=wire.money(message, "expected"),
            ceiling=wire.money(message, "ceiling"),
            routes=tuple(QuotedRoute.from_proto(route) for route in message.routes),
            budgets=tuple(QuotedBudget.from_proto(budget) for budget in message.budgets),
            fingerprint=message.fingerprint,
            policy=message.policy,
            proto=message,
        )


def _route_cells(route: QuotedRoute) -> tuple[str, str, str, str, str]:
    half = route.latency.p50 if route.latency else None
    why = route.explanation or route.health.lower()
    if not route.eligible:
        why = "; ".join(item.message or item.reason.lower() for item in route.exclusions) or "not eligible"
    return (
        f"{route.rank or '-'} {route.provider}/{route.route}",
        route.price_text,
        route.certainty.lower().replace("_", " "),
        f"p50 {seconds_text(half)}" if half is not None else "",
        why,
    )


def seconds_text(span: timedelta) -> str:
    """A length of time for people: `6 ms`, `0.8 s`, `21 s`, `3 min`, `2 h`, `4 d`."""
    seconds = span.total_seconds()
    if seconds < 0.1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.0f} h" if seconds < 172_800 else f"{seconds / 86_400:.0f} d"
