"""The doctor's checks of what belongs to the service itself: settings, catalog, database."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from service.app.findings import Finding, cause_of, clock_finding, fail, ok, warn
from service.catalog.loader import CatalogInvalid, load_catalog, price_readings
from service.database.checkup import Checkup, checkup
from service.database.snapshots import ReadFailed
from service.domain.errors import LightmeterError
from service.domain.limits import MICROS_PER_SECOND
from service.ports import Clock
from service.settings import Configuration, Settings

PRICE_DAYS_MAX: Final = 90
"""Prices that were read longer ago should be read again at their source."""
_NAMED_MAX: Final = 3


async def check_settings(configuration: Configuration) -> list[Finding]:
    """Variables that nobody reads."""
    if not configuration.remarks:
        return [ok("settings", "every variable is understood")]
    return [warn("settings", remark) for remark in configuration.remarks]


async def check_catalog(settings: Settings, clock: Clock) -> list[Finding]:
    """Whether the catalog can be used, and how old its prices are."""
    try:
        catalog = load_catalog(sandbox=settings.fal_sandboxed or settings.replicate_sandboxed)
    except CatalogInvalid as error:
        return [fail("catalog", "; ".join(error.problems)[:500])]
    today = datetime.fromtimestamp(clock.now() / MICROS_PER_SECOND, UTC).date()
    ages = {route: (today - read_on).days for route, read_on in price_readings().items()}
    old = sorted((route for route, days in ages.items() if days > PRICE_DAYS_MAX), key=lambda one: -ages[one])
    found = [ok("catalog", f"{len(catalog.models)} models, version {catalog.version[:12]}")]
    if old:
        named = ", ".join(f"{route} ({ages[route]} days)" for route in old[:_NAMED_MAX])
        more = f" and {len(old) - _NAMED_MAX} more" if len(old) > _NAMED_MAX else ""
        text = f"not read for more than {PRICE_DAYS_MAX} days: {named}{more}; compare them with their sources"
        found.append(warn("prices", text))
    else:
        found.append(ok("prices", f"the oldest was read {max(ages.values(), default=0)} days ago"))
    return found


async def check_database(settings: Settings, clock: Clock) -> list[Finding]:
    """Whether it answers, which schema it has, what time it is there, and who else is on it. Nothing is migrated."""
    try:
        seen = await checkup(settings.database, clock)
    except (LightmeterError, ReadFailed) as error:
        return [fail("database", f"can't be read: {cause_of(error)}")]
    if not seen.there:
        return [ok("database", f"{seen.described} is not there yet; the first start makes it")]
    found = [ok("database", f"{seen.described} answers"), _schema(seen)]
    if seen.now is not None:
        found.append(clock_finding("the database", seen.now, clock.now()))
    found.append(_process(seen, settings.replica_id))
    return found


def _schema(seen: Checkup) -> Finding:
    if seen.missing == 0:
        return ok("schema", f"is the newest, {seen.head}")
    if seen.missing is None:
        text = f"revision {seen.revision} is not known here: a newer release has migrated it; start that one"
        return fail("schema", text)
    if seen.revision is None:
        return ok("schema", "there is none yet; the first start makes it")
    plural = "s" if seen.missing > 1 else ""
    text = f"{seen.missing} migration{plural} behind {seen.head}; the next start applies them: back up before"
    return warn("schema", text)


def _process(seen: Checkup, replica_id: str | None) -> Finding:
    if replica_id is not None and replica_id in seen.living:
        text = f"a replica called {replica_id} lives; a second one must have another LIGHTMETER_REPLICA_ID"
        return ok("processes", text)
    if seen.in_use:
        return ok("processes", "one serves this file; a second one would not start")
    if seen.embedded:
        return ok("processes", "none serves this file")
    return ok("processes", f"{len(seen.living)} replicas live")
