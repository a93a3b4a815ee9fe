"""The commands of those who run the service: switch, attempts, audit."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Final

import typer

from lightmeter.async_client import AsyncClient
from lightmeter.cli import words
from lightmeter.cli.asking import JsonFlag
from lightmeter.cli.session import session_of, show
from lightmeter.oversight import Attempt, AuditEvent, Switch

Scope = Annotated[
    str,
    typer.Argument(help="provider:fal, route:fal/flux-dev, project:growth or dispatch.", show_default=False),
]
Reason = Annotated[str, typer.Option(help="Why, for the audit and for those who are refused.")]
Lasts = Annotated[str, typer.Option("--for", help="On again by itself after this long: 30m, 2h.")]
Limit = Annotated[int, typer.Option("--limit", "-n", min=1, help="How many at most.")]
_AGAIN: Final = "If the provider has it after all, the picture is paid twice. Declare it not accepted?"


def switch_commands() -> typer.Typer:
    """`lightmeter switch off|drain|on|list`."""
    app = typer.Typer(
        no_args_is_help=True, help="Take providers, routes, projects or all dispatches out of use."
    )
    app.command("off")(off)
    app.command("drain")(drain)
    app.command("on")(on)
    app.command("list")(switches)
    return app


def off(
    context: typer.Context, scope: Scope, reason: Reason, lasts: Lasts = "", json: JsonFlag = False
) -> None:
    """Accept nothing new, and dispatch nothing more; what a provider has is finished."""
    _turn(context, scope, "off", reason, lasts, as_json=json)


def drain(
    context: typer.Context, scope: Scope, reason: Reason, lasts: Lasts = "", json: JsonFlag = False
) -> None:
    """Accept nothing new; what was accepted is dispatched and finished."""
    _turn(context, scope, "drain", reason, lasts, as_json=json)


def on(context: typer.Context, scope: Scope, reason: Reason, json: JsonFlag = False) -> None:
    """Back into use."""
    _turn(context, scope, "on", reason, "", as_json=json)


def _turn(context: typer.Context, scope: str, state: str, reason: str, lasts: str, *, as_json: bool) -> None:
    async def work(client: AsyncClient) -> None:
        span = words.parse_span(lasts) if lasts else None
        found = await client.set_switch(scope, state, reason=reason, lasts=span)
        show(found.proto, "  ".join(_switch_cells(found)).rstrip(), as_json=as_json)

    session_of(context).run(work, as_json=as_json)


def switches(context: typer.Context, json: JsonFlag = False) -> None:
    """List what is not on."""

    async def work(client: AsyncClient) -> None:
        found = await client.switches()
        text = words.columns([_switch_cells(one) for one in found]) or "everything is on"
        show(words.json_list("switches", (one.proto for one in found)), text, as_json=json)

    session_of(context).run(work, as_json=json)


def _switch_cells(switch: Switch) -> tuple[str, ...]:
    until = f"until {_seconds(switch.expire_time)} UTC" if switch.expire_time else ""
    return switch.scope, switch.state.lower(), until, f"{switch.reason} ({switch.setter})"


def _seconds(time: datetime | None) -> str:
    return words.clock(time).partition(".")[0]


def attempts_commands() -> typer.Typer:
    """`lightmeter attempts` and `lightmeter attempts resolve ID`."""
    app = typer.Typer(invoke_without_command=True)
    app.callback()(attempts)
    app.command("resolve")(resolve)
    return app


def attempts(
    context: typer.Context,
    state: Annotated[
        list[str] | None, typer.Option(help="By default unknown; repeatable.", show_default=False)
    ] = None,
    provider: Annotated[str, typer.Option(help="Only at this provider.")] = "",
    route: Annotated[str, typer.Option(help="Only by this route.")] = "",
    project: Annotated[str, typer.Option(help="Only what this project pays for.")] = "",
    job: Annotated[str, typer.Option(help="Only what this job pays for.")] = "",
    limit: Limit = 50,
    json: JsonFlag = False,
) -> None:
    """List dispatches whose fate is not known, oldest first; `attempts resolve ID` decides one."""
    if context.invoked_subcommand is not None:
        return

    async def work(client: AsyncClient) -> None:
        found = [
            one
            async for one in client.list_attempts(
                states=state or (),
                provider=provider,
                route=route,
                project=project,
                job=job or None,
                limit=limit,
            )
        ]
        text = words.columns([_attempt_cells(one) for one in found]) or "no such attempts"
        show(words.json_list("attempts", (one.proto for one in found)), text, as_json=json)

    session_of(context).run(work, as_json=json)


def _attempt_cells(attempt: Attempt) -> tuple[str, ...]:
    amount = f"{attempt.settled} {words.lower(attempt.settlement)}" if attempt.settled is not None else ""
    until = attempt.resolve_deadline_time
    return (
        attempt.attempt_id,
        _seconds(attempt.dispatch_time),
        words.lower(attempt.state),
        f"{attempt.provider}/{attempt.route}",
        attempt.project,
        f"job {attempt.job_id}",
        amount or f"held {attempt.held}",
        f"searched until {_seconds(until)}" if until else "",
        attempt.detail,
    )


def resolve(
    context: typer.Context,
    attempt_id: Annotated[str, typer.Argument(help="An attempt's id.", show_default=False)],
    reason: Annotated[str, typer.Option(help="Why, for the audit.")],
    adopt: Annotated[str, typer.Option(help="The provider has it under this id; go on from there.")] = "",
    not_accepted: Annotated[
        bool, typer.Option("--not-accepted", help="The provider does not have it: it may be sent again.")
    ] = False,
    amount: Annotated[str, typer.Option(help="The provider billed so many dollars, for no picture.")] = "",
    etag: Annotated[str, typer.Option(help="Only if the attempt is still as it was read.")] = "",
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Don't ask.")] = False,
    json: JsonFlag = False,
) -> None:
    """Decide an unknown attempt by what you found out at the provider."""
    if (bool(adopt), not_accepted, bool(amount)).count(True) != 1:
        raise typer.BadParameter("give exactly one of --adopt, --not-accepted and --amount")
    if not_accepted and not yes:
        typer.confirm(_AGAIN, abort=True, err=True)

    async def work(client: AsyncClient) -> None:
        found = await client.resolve_attempt(
            attempt_id,
            reason=reason,
            adopt=adopt,
            not_accepted=not_accepted,
            amount=amount or None,
            etag=etag,
        )
        show(found.proto, "  ".join(cell for cell in _attempt_cells(found) if cell), as_json=json)

    session_of(context).run(work, as_json=json)


def audit(
    context: typer.Context,
    actor: Annotated[str, typer.Option(help="Only what this one did.")] = "",
    action: Annotated[
        str, typer.Option(help="switch.set, attempt.resolve, budget.set, price.changed, …")
    ] = "",
    target: Annotated[str, typer.Option(help="provider:fal, …")] = "",
    limit: Limit = 50,
    json: JsonFlag = False,
) -> None:
    """List what was changed by hand, and prices that changed, newest first."""

    async def work(client: AsyncClient) -> None:
        found = [
            one async for one in client.audit_events(actor=actor, action=action, target=target, limit=limit)
        ]
        text = words.columns([_audit_cells(one) for one in found]) or "nothing was changed"
        show(words.json_list("events", (one.proto for one in found)), text, as_json=json)

    session_of(context).run(work, as_json=json)


def _audit_cells(event: AuditEvent) -> tuple[str, ...]:
    return _seconds(event.time), event.actor, event.action, event.target, event.reason, _details(event)


def _details(event: AuditEvent) -> str:
    return " ".join(f"{key}={value}" for key, value in sorted(event.details.items()))
