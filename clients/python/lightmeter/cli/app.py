"""Puts the commands together."""

from __future__ import annotations

from typing import Annotated

import typer

from lightmeter.cli import (
    cost_commands,
    drawing_commands,
    finance_commands,
    looking_commands,
    operating_commands,
    whatif_command,
)
from lightmeter.cli.session import Session


def connect(
    context: typer.Context,
    address: Annotated[
        str | None, typer.Option(envvar="LIGHTMETER_ADDRESS", help="host:port; default localhost:50051.")
    ] = None,
    project: Annotated[
        str | None, typer.Option(envvar="LIGHTMETER_PROJECT", help="Who pays, where there are no API keys.")
    ] = None,
    tls: Annotated[bool, typer.Option("--tls", help="Encrypt the connection.")] = False,
) -> None:
    """Pictures from fal and Replicate, never paid twice, each with its exact bill.

    The API key is read from LIGHTMETER_API_KEY. Exit codes: 0 done, 1 the job failed, 2 wrong usage, 3
    refused, 4 the service is away or too slow.
    """
    context.obj = Session(address, project, tls)


def build() -> typer.Typer:
    """The command line."""
    app = typer.Typer(
        name="lightmeter", no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False
    )
    app.callback()(connect)
    for command in (
        drawing_commands.generate,
        drawing_commands.edit,
        drawing_commands.watch,
        drawing_commands.quote,
        looking_commands.jobs,
        looking_commands.job,
        looking_commands.cancel,
        looking_commands.models,
        looking_commands.explain,
        cost_commands.costs,
        cost_commands.receipt,
        whatif_command.whatif,
        finance_commands.statement,
        finance_commands.reconciliations,
        finance_commands.discrepancies,
        operating_commands.audit,
    ):
        app.command()(command)
    app.command("get", hidden=True)(looking_commands.job)
    app.add_typer(operating_commands.switch_commands(), name="switch")
    app.add_typer(operating_commands.attempts_commands(), name="attempts")
    app.add_typer(finance_commands.budget_commands(), name="budget")
    app.add_typer(finance_commands.export_commands(), name="export")
    return app
