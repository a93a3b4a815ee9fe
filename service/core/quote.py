"""What a request would cost now, without any side effect: cache, routes, prices, budgets."""

from __future__ import annotations

from dataclasses import replace

from service.core.pricing import Catalogs
from service.core.requests import Quote, QuotedRoute, Submission
from service.core.switches import SwitchBoard
from service.domain.budget import covering
from service.domain.commands import CacheMode
from service.domain.drawing import Drawing, EditInputs
from service.domain.errors import FieldInvalid, Reason
from service.domain.fingerprint import canonical, fingerprint
from service.domain.limits import MICROS_PER_SECOND
from service.domain.price import Estimate, PriceSnapshot
from service.domain.records import RenderState
from service.domain.routing import RoutePlan, effective, price_ask, survey
from service.ports import Clock, JobReader, LedgerReader


class Quotes:
    """The use case of Quote. Takes the very request that one would send; inputs by asset only."""

    def __init__(
        self, catalogs: Catalogs, jobs: JobReader, ledger: LedgerReader, switches: SwitchBoard, clock: Clock
    ) -> None:
        self._catalogs = catalogs
        self._switches = switches
        self._jobs = jobs
        self._ledger = ledger
        self._clock = clock

    async def quote(self, submission: Submission, inputs: EditInputs | None = None) -> Quote:
        """Raises ModelNotFound, RouteNotFound; a request that no route takes is a quote without eligible routes."""
        asked = replace(submission.drawing, inputs=inputs) if inputs else submission.drawing
        if submission.images and inputs is None:
            raise FieldInvalid.of("edit.inputs", "the inputs of a quote were not measured")
        model = self._catalogs.today().resolve(asked.model)
        drawing = effective(model, asked)
        plan = survey(
            model,
            drawing,
            pin_provider=submission.pin_provider,
            pin_route=submission.pin_route,
            policy=submission.policy,
            max_cost_nanos=submission.max_cost_nanos,
            unpriced_nanos=self._catalogs.unpriced_nanos(submission.project),
        )
        routes = self._routes(plan, drawing, submission.project)
        key = fingerprint(canonical(drawing, revision=model.revision, pin_provider=submission.pin_provider))
        cache = await self._cache(submission, key)
        first = routes[0].planned if routes else None
        states = {state.budget.id: state for state in await self._ledger.budgets(submission.project)}
        covered = covering((state.budget for state in states.values()), submission.project, submission.labels)
        expected = first.expected_nanos if first else 0
        return Quote(
            cache=cache,
            due_nanos=0 if cache in ("HIT", "RUNNING") else expected,
            expected_nanos=expected,
            ceiling_nanos=first.ceiling_nanos if first else 0,
            routes=routes,
            budgets=tuple(states[one.id] for one in covered),
            effective=drawing,
            fingerprint=key,
        )

    def _routes(self, plan: RoutePlan, drawing: Drawing, project: str) -> tuple[QuotedRoute, ...]:
        """Those that would be tried, in their order; then those that are switched off; then those that can't."""
        tried: list[QuotedRoute] = []
        paused: list[QuotedRoute] = []
        for one in plan.routes:
            estimate = self._estimate(drawing, one.provider, one.route, one.price_json)
            switch = self._switches.against(one.provider, one.route, project)
            if switch is None:
                rank = len(tried) + 1
                tried.append(QuotedRoute(one.provider, one.route, one.endpoint, rank, one, estimate, ()))
            else:
                cause = (Reason.PAUSED.value, "", f"{switch.name} is switched off: {switch.reason}")
                paused.append(QuotedRoute(one.provider, one.route, one.endpoint, 0, None, estimate, (cause,)))
        unfit = []
        for route, exclusions in plan.excluded:
            causes = tuple((one.reason.value, one.field, one.message) for one in exclusions)
            ask = route.price.estimate(price_ask(route, drawing)) if route.price else None
            unfit.append(QuotedRoute(route.provider, route.name, route.endpoint, 0, None, ask, causes))
        return (*tried, *paused, *unfit)

    def _estimate(self, drawing: Drawing, provider: str, route_name: str, price_json: str) -> Estimate:
        route = self._catalogs.today().resolve(drawing.model).route(provider, route_name)
        assert route is not None, "a planned route is in the catalog"
        return PriceSnapshot.from_json(price_json).estimate(price_ask(route, drawing))

    async def _cache(self, submission: Submission, key: str) -> str:
        if submission.cache_mode is CacheMode.BYPASS:
            return "BYPASSED"
        if submission.cache_mode is CacheMode.REFRESH:
            return "MISS"
        pointed = await self._jobs.flight(submission.project, key)
        if pointed is None:
            return "MISS"
        render, _ = pointed
        if render.joinable:
            return "RUNNING"
        now = self._clock.now()
        fresh = (
            render.state is RenderState.SUCCEEDED
            and render.fresh_until is not None
            and render.fresh_until > now
        )
        if fresh and submission.cache_max_age_seconds is not None and render.finished_at is not None:
            fresh = now - render.finished_at <= submission.cache_max_age_seconds * MICROS_PER_SECOND
        return "HIT" if fresh else "MISS"
