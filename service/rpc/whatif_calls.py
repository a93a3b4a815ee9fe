"""The call of the LedgerService that prices anew what was paid."""

from __future__ import annotations

from typing import Any, Final, Protocol

from lightmeter.v1 import ledger_service_pb2 as pb
from lightmeter.v1 import ledger_service_pb2_grpc

from service.core.whatif import WhatIfAnswer, WhatIfAsk
from service.domain.errors import ReportUnsupported
from service.domain.limits import MICROS_PER_SECOND, catalog_file_bytes_max, whatif_range_hours_max
from service.domain.whatif import Change, Place, Sums
from service.rpc import enums, syntax
from service.rpc.errors import cut
from service.rpc.identity import Caller, Callers
from service.rpc.money_out import money
from service.rpc.syntax import Faults

_HOUR: Final = 3_600 * MICROS_PER_SECOND
_NAME_CHARACTERS_MAX: Final = 200
_QUALITIES: Final = enums.members(enums.QUALITIES)
_OPERATIONS: Final = dict(enums.members(enums.OPERATIONS))
_UNSUPPORTED_FILTERS: Final = ("origins", "outcomes", "evidences", "faults", "labels")


class Questions(Protocol):
    """`service.core.whatif.WhatIf`."""

    async def ask(self, ask: WhatIfAsk) -> WhatIfAnswer:
        """Price anew."""
        ...


class WhatIfCalls(ledger_service_pb2_grpc.LedgerServiceServicer):
    """WhatIf. An admin sees every project, everybody else the own one; a file with prices is an admin's to try."""

    _callers: Callers
    _whatif: Questions

    async def WhatIf(self, request: pb.WhatIfRequest, context: Any) -> pb.WhatIfResponse:
        """What the pictures of a range would cost with a change."""
        answer = await self._whatif.ask(_read(self._callers.identify(context), request))
        comparison = answer.comparison
        return pb.WhatIfResponse(
            rows=[_row(*row) for row in comparison.rows],
            total=_figures(comparison.total),
            pruned_count=comparison.pruned_count,
            pruned_actual=money(comparison.pruned_nanos),
            catalog_version=answer.catalog_version,
        )


def _read(caller: Caller, request: pb.WhatIfRequest) -> WhatIfAsk:
    """Raises FieldInvalid with every fault, RoleInsufficient or ReportUnsupported."""
    faults = Faults()
    start, end = syntax.hours(faults, "range", request.range)
    asked, change = request.filter, request.change
    for name in _UNSUPPORTED_FILTERS:
        if getattr(asked, name):
            faults.add(f"filter.{name}", "does not apply here")
    projects = faults.names("filter.projects", asked.projects)
    models = faults.names("filter.models", asked.models)
    providers = faults.names("filter.providers", asked.providers)
    routes = faults.names("filter.routes", asked.routes)
    operations = faults.chosen("filter.operations", asked.operations, _OPERATIONS)
    for name in ("model", "provider", "route"):
        faults.text(f"change.{name}", getattr(change, name), _NAME_CHARACTERS_MAX)
    quality = faults.choice("change.quality", change.quality, _QUALITIES)
    if change.route and not change.provider:
        faults.add("change.provider", "is required with a route")
    size_bytes = len(change.catalog_yaml.encode())
    if size_bytes > catalog_file_bytes_max:
        text = f"at most {catalog_file_bytes_max} bytes"
        faults.add("change.catalog_yaml", text, limit=catalog_file_bytes_max, actual=size_bytes)
    if not (change.model or change.quality or change.provider or change.catalog_yaml):
        faults.add("change", "at least one field must be set")
    faults.refuse()
    if change.catalog_yaml:
        caller.require_admin()
    _check_span(start, end)
    return WhatIfAsk(
        used_from=start,
        used_before=end,
        change=Change(change.model or None, quality, change.provider or None, change.route or None),
        catalog_text=change.catalog_yaml,
        projects=_seen(caller, projects),
        models=models,
        providers=providers,
        routes=routes,
        operations=tuple(one.value for one in operations),
    )


def _check_span(start: int, end: int) -> None:
    hours = (end - start) // _HOUR
    if hours > whatif_range_hours_max:
        raise ReportUnsupported(
            f"range: at most {whatif_range_hours_max} hours",
            metadata={"field": "range", "accepted": f"{whatif_range_hours_max} hours", "actual": str(hours)},
        )


def _seen(caller: Caller, projects: tuple[str, ...]) -> tuple[str, ...]:
    """The projects to look at; empty for all, which an admin sees."""
    if projects:
        return tuple(caller.seeing(one) for one in projects)
    own = caller.sees_all_or_own()
    return () if own is None else (own,)


def _row(old: Place, new: Place, sums: Sums) -> pb.WhatIfRow:
    return pb.WhatIfRow(
        model=old[0],
        provider=old[1],
        route=old[2],
        new_model=new[0],
        new_provider=new[1],
        new_route=new[2],
        figures=_figures(sums),
        causes=[
            pb.WhatIfCause(reason=enums.REASONS[cause.reason], message=cut(cause.text), render_count=count)
            for cause, count in sums.commonest
        ],
    )


def _figures(sums: Sums) -> pb.WhatIfFigures:
    return pb.WhatIfFigures(
        render_count=sums.renders,
        unpriced_count=sums.unpriced,
        actual=money(sums.actual_nanos),
        actual_priced=money(sums.actual_priced_nanos),
        expected=money(sums.expected_nanos),
        ceiling=money(sums.ceiling_nanos),
    )
