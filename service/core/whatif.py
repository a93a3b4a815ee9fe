"""Pricing what was paid anew, page by page, on a thread of its own: the event loop only waits for it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace

from service.core.pricing import Catalogs
from service.domain.catalog import PROVIDERS, Catalog
from service.domain.errors import FieldInvalid, Overloaded, ReportUnsupported, RouteNotFound
from service.domain.limits import (
    whatif_busy_seconds,
    whatif_page_rows,
    whatif_renders_max,
    whatif_running_max,
)
from service.domain.queries import PaidQuery
from service.domain.whatif import Change, Comparison
from service.ports import PaidReader


@dataclass(frozen=True, slots=True)
class WhatIfAsk:
    """Which renders, and what is to be different. Empty tuples mean no restriction; times as in PaidQuery."""

    used_from: int
    used_before: int
    change: Change
    catalog_text: str = ""
    """A catalog file that takes the place of the models in it."""
    projects: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    providers: tuple[str, ...] = ()
    routes: tuple[str, ...] = ()
    operations: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class WhatIfAnswer:
    """The comparison, and the version of the catalog that the new prices are from."""

    comparison: Comparison
    catalog_version: str


class WhatIf:
    """The use case of WhatIf. `amended` answers a catalog with the models of a file's text in place of its own, and raises
    FieldInvalid.
    """

    def __init__(
        self,
        paid: PaidReader,
        catalogs: Catalogs,
        amended: Callable[[Catalog, str], Catalog],
        renders_max: int = whatif_renders_max,
    ) -> None:
        self._paid = paid
        self._catalogs = catalogs
        self._amended = amended
        self._renders_max = renders_max
        self._running_count = 0

    async def ask(self, ask: WhatIfAsk) -> WhatIfAnswer:
        """Raises ModelNotFound or RouteNotFound for a change to what does not exist, FieldInvalid for a faulty file,
        ReportUnsupported for too many renders, Overloaded while another one runs.
        """
        if self._running_count >= whatif_running_max:
            raise Overloaded("another what-if is being worked out", retry_after_seconds=whatif_busy_seconds)
        self._running_count += 1
        try:
            return await self._ask(ask)
        finally:
            self._running_count -= 1

    async def _ask(self, ask: WhatIfAsk) -> WhatIfAnswer:
        catalog = self._catalogs.today()
        if ask.catalog_text:
            catalog = await asyncio.to_thread(self._amended, catalog, ask.catalog_text)
        change = checked(catalog, ask.change)
        comparison = Comparison(catalog, change)
        seen_count = 0
        for provider in ask.providers or PROVIDERS:
            query = PaidQuery(
                provider=provider,
                used_from=ask.used_from,
                used_before=ask.used_before,
                limit=whatif_page_rows,
                projects=ask.projects,
                models=ask.models,
                routes=ask.routes,
                operations=ask.operations,
            )
            while True:
                page = await self._paid.paid(query)
                seen_count += len(page)
                if seen_count > self._renders_max:
                    raise _too_many(self._renders_max)
                await asyncio.to_thread(comparison.add, page)
                if len(page) < query.limit:
                    break
                query = replace(query, after=(page[-1].usage_at, page[-1].attempt_id))
        return WhatIfAnswer(comparison, catalog.version)


def checked(catalog: Catalog, change: Change) -> Change:
    """The change with the model's own name in it. Raises ModelNotFound, or RouteNotFound where nothing has the pinned route."""
    if change.pin_route and not change.pin_provider:
        raise FieldInvalid.of("change.provider", "is required with a route")
    name = None if change.model is None else catalog.resolve(change.model, "change.model").name
    models = catalog.models.values() if name is None else (catalog.models[name],)
    if change.pin_provider and not any(
        change.pin_provider == route.provider and change.pin_route in (None, route.name)
        for model in models
        for route in model.routes
    ):
        pin = "/".join(part[:100] for part in (change.pin_provider, change.pin_route) if part)
        field = "change.route" if change.pin_route else "change.provider"
        raise RouteNotFound(f"nothing is drawn by {pin!r}", metadata={"field": field, "route": pin})
    return replace(change, model=name)


def _too_many(renders_max: int) -> ReportUnsupported:
    return ReportUnsupported(
        f"more than {renders_max} pictures were drawn; take a shorter range, or filter",
        metadata={"field": "range", "accepted": f"{renders_max} renders"},
    )
