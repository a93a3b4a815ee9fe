"""From a Quote of the core to the QuoteResponse."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from lightmeter.v1 import model_service_pb2 as pb

from service.core.requests import Quote, QuotedRoute, Submission
from service.domain.budget import budget_name, window_end, window_start
from service.domain.catalog import Model
from service.domain.errors import Reason
from service.domain.price import Certainty, PriceSnapshot
from service.domain.queries import BudgetState
from service.domain.routing import POLICIES
from service.rpc import enums
from service.rpc.drawing_out import write_drawing
from service.rpc.errors import cut
from service.rpc.instants import stamp
from service.rpc.model_out import Healths, health_of
from service.rpc.money_out import money, price_lines, price_snapshot

_FREE: Final = frozenset({"HIT", "RUNNING"})
_CACHES: Final[Mapping[str, Any]] = {
    name.removeprefix("QUOTE_CACHE_"): number for name, number in pb.QuoteCache.items()
}


def quote_message(
    submission: Submission, quote: Quote, model: Model, healths: Healths, now: int
) -> pb.QuoteResponse:
    """The answer; `now` is microseconds since 1970, for the windows of untouched budgets."""
    message = pb.QuoteResponse(
        cache=_CACHES[quote.cache],
        routes=[_route(one, model, healths) for one in quote.routes],
        effective_drawing=write_drawing(quote.effective),
        fingerprint=quote.fingerprint,
        policy="" if submission.pin_provider else submission.policy or POLICIES[0],
    )
    drawn = any(one.planned is not None for one in quote.routes)
    free = quote.cache in _FREE
    if free or drawn:
        message.due.CopyFrom(money(quote.due_nanos))
        message.ceiling.CopyFrom(money(quote.ceiling_nanos))
    if drawn:
        message.expected.CopyFrom(money(quote.expected_nanos))
    asked = quote.ceiling_nanos if drawn and not free else 0
    message.budgets.extend(_budget(one, asked, now) for one in quote.budgets)
    return message


def _route(route: QuotedRoute, model: Model, healths: Healths) -> pb.QuotedRoute:
    message = pb.QuotedRoute(
        provider=route.provider,
        route=route.route,
        rank=route.rank if route.planned is not None else 0,
        eligible=route.planned is not None,
        exclusions=[_exclusion(*cause) for cause in route.causes],
        certainty=pb.PRICE_CERTAINTY_UNKNOWN,
        health=health_of(healths, route.provider, route.endpoint, off=_is_off(route)),
        explanation=_explanation(route),
    )
    known = model.route(route.provider, route.route)
    if route.planned is not None:
        message.price.CopyFrom(price_snapshot(PriceSnapshot.from_json(route.planned.price_json)))
    elif known is not None and known.price is not None:
        message.price.CopyFrom(price_snapshot(known.price))
    estimate = route.estimate
    if estimate is None:
        return message
    message.certainty = enums.CERTAINTIES[estimate.certainty]
    message.lines.extend(price_lines(estimate.lines))
    if estimate.ceiling_nanos is not None:
        message.ceiling.CopyFrom(money(estimate.ceiling_nanos))
    if estimate.expected_nanos is not None and estimate.certainty in {Certainty.EXACT, Certainty.ESTIMATE}:
        message.expected.CopyFrom(money(estimate.expected_nanos))
    return message


def _exclusion(reason: str, field: str, text: str) -> pb.Exclusion:
    number: Any = enums.REASONS[Reason(reason)]
    return pb.Exclusion(reason=number, field=field, message=cut(text))


def _is_off(route: QuotedRoute) -> bool:
    return any(reason == Reason.PAUSED.value for reason, _, _ in route.causes)


def _explanation(route: QuotedRoute) -> str:
    if _is_off(route):
        return "switched off by an operator"
    if route.planned is None:
        return "can't take this request"
    if not PriceSnapshot.from_json(route.planned.price_json).is_known:
        return "no price is known: what this project allows for that is held"
    return "lowest ceiling" if route.rank == 1 else "tried if the ones before refuse the request"


def _budget(state: BudgetState, asked_nanos: int, now: int) -> pb.QuotedBudget:
    budget, window = state.budget, state.window
    start = window_start(budget.period, now)
    current = window if window is not None and window.window_start == start else None
    spent = 0 if current is None else current.spent_nanos
    held = 0 if current is None else current.held_nanos
    left = budget.limit_nanos - spent - held - asked_nanos
    message = pb.QuotedBudget(
        budget=budget_name(budget),
        limit=money(budget.limit_nanos),
        spent=money(spent),
        held=money(held),
        left_after=money(left),
        fits=left >= 0 or asked_nanos == 0,
    )
    end = window_end(budget.period, start)
    if end is not None:
        message.window_end_time.CopyFrom(stamp(end))
    return message
