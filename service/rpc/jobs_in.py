"""From a ListJobsRequest to a JobQuery."""

from __future__ import annotations

from typing import Final

from lightmeter.v1 import image_service_pb2 as pb
from lightmeter.v1 import money_pb2

from service.domain.queries import JobQuery
from service.domain.view import JobView
from service.rpc import enums, syntax
from service.rpc.identity import Caller
from service.rpc.paging import Cursor
from service.rpc.syntax import Faults

_STATES: Final = enums.members(enums.JOB_STATES)
_OPERATIONS: Final = enums.members(enums.OPERATIONS)
_ORIGINS: Final = enums.members(enums.ORIGINS)
_REASONS: Final = {number: one for number, one in enums.members(enums.REASONS).items() if number}
_SETTLEMENTS: Final = {
    number: name.removeprefix("SETTLEMENT_") for name, number in money_pb2.Settlement.items() if number
}


def cursor_of(view: JobView) -> list[int | str]:
    """The key of a row of a page."""
    return [view.job.accepted_at, view.job.id]


def read_job_query(caller: Caller, request: pb.ListJobsRequest) -> tuple[JobQuery, Cursor]:
    """The query, which asks for one row more than the page has, and the page's cursor.

    Raises FieldInvalid, RoleInsufficient or PageTokenInvalid.
    """
    faults = Faults()
    asked = request.filter
    named = syntax.project(faults, "filter.project", asked.project)
    for field, number, known in (("order", request.order, pb.JobOrder), ("view", request.view, pb.JobView)):
        if number not in known.values():
            faults.add(field, f"unknown value {number}", actual=number)
    states = faults.chosen("filter.states", asked.states, _STATES)
    operations = faults.chosen("filter.operations", asked.operations, _OPERATIONS)
    origins = faults.chosen("filter.origins", asked.origins, _ORIGINS)
    reasons = faults.chosen("filter.failure_reasons", asked.failure_reasons, _REASONS)
    settlements = [one for one in asked.settlements if one in _SETTLEMENTS]
    if len(settlements) < len(asked.settlements):
        faults.add("filter.settlements", "has an unknown value")
    times = {
        name: syntax.micros(faults, f"filter.{name}", getattr(asked, name))
        for name in ("create_time_from", "create_time_before")
        if asked.HasField(name)
    }
    models = faults.names("filter.models", asked.models)
    providers = faults.names("filter.providers", asked.providers)
    for name in ("fingerprint", "asset_sha256"):
        if getattr(asked, name):
            syntax.sha256(faults, f"filter.{name}", getattr(asked, name))
    labels = syntax.labels(faults, "filter.labels", asked.labels)
    faults.refuse()
    project = caller.seeing(named)
    cursor = Cursor(project, request, request.page_size)
    query = JobQuery(
        project=project,
        limit=cursor.size + 1,
        after=cursor.after(request.page_token, (int, str)),
        newest_first=request.order != pb.JOB_ORDER_OLDEST_FIRST,
        states=tuple(one.value for one in states),
        operations=tuple(one.value for one in operations),
        models=models,
        providers=providers,
        origins=tuple(one.value for one in origins),
        failure_reasons=tuple(one.value for one in reasons),
        settlements=tuple(_SETTLEMENTS[one] for one in settlements),
        labels=labels,
        accepted_from=times.get("create_time_from"),
        accepted_before=times.get("create_time_before"),
        fingerprint=asked.fingerprint or None,
        asset_sha256=asked.asset_sha256 or None,
    )
    return query, cursor
