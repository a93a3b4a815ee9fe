"""One run of the command line: which service, in words or JSON, and which exit code an error becomes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, NoReturn, Self

import typer
from google.protobuf.message import Message
from rich.console import Console
from rich.live import Live
from rich.text import Text

from lightmeter.async_client import AsyncClient
from lightmeter.cli import words
from lightmeter.errors import (
    BudgetExceeded,
    JobFailed,
    LightmeterError,
    NotFound,
    Refused,
    TransportError,
    Unavailable,
    WaitTimeout,
)
from lightmeter.job import Job, Progress

FAILED: Final = 1
USAGE: Final = 2
REFUSED: Final = 3
AWAY: Final = 4


@dataclass(frozen=True, slots=True)
class Session:
    """What the arguments before the command say."""

    address: str | None
    project: str | None
    tls: bool

    def run(self, work: Callable[[AsyncClient], Awaitable[None]], *, as_json: bool) -> None:
        """Does the work with a connected client; errors become a sentence (or JSON) and an exit code."""
        try:
            asyncio.run(self._with_client(work))
        except LightmeterError as error:
            _fail(error, as_json=as_json)
        except (ValueError, TypeError, OSError, ModuleNotFoundError) as error:
            typer.echo(f"lightmeter: {error}", err=True)
            raise typer.Exit(USAGE) from None
        except KeyboardInterrupt:
            typer.echo("lightmeter: interrupted; what was submitted goes on", err=True)
            raise typer.Exit(130) from None

    async def _with_client(self, work: Callable[[AsyncClient], Awaitable[None]]) -> None:
        async with AsyncClient(self.address, project=self.project, tls=self.tls) as client:
            await work(client)


def session_of(context: typer.Context) -> Session:
    """The session that the arguments before the command made."""
    found: Session = context.obj
    return found


def show(message: Message | dict[str, Any], text: str, *, as_json: bool) -> None:
    """Prints an answer, as JSON or in words."""
    typer.echo(words.as_json(message) if as_json else text)


def _exit_code(error: LightmeterError) -> int:
    if isinstance(error, WaitTimeout | TransportError | Unavailable):
        return AWAY
    return REFUSED if isinstance(error, Refused) else FAILED


def _fail(error: LightmeterError, *, as_json: bool) -> NoReturn:
    if as_json:
        typer.echo(words.as_json(error.job.proto if isinstance(error, JobFailed) else _error_json(error)))
    else:
        typer.echo(f"lightmeter: {error}", err=True)
        for line in _details(error):
            typer.echo(f"  {line}", err=True)
    raise typer.Exit(_exit_code(error)) from None


def _error_json(error: LightmeterError) -> dict[str, Any]:
    content: dict[str, Any] = {
        "reason": error.reason,
        "code": error.code.name,
        "message": error.message,
        "metadata": error.metadata,
        "violations": [{"field": item.field, "text": item.text} for item in error.violations],
    }
    if error.retry_after is not None:
        content["retryAfterSeconds"] = error.retry_after
    if isinstance(error, WaitTimeout):
        content |= {"requestId": error.request_id, "jobId": error.job.job_id if error.job else ""}
    return {"error": content}


def _details(error: LightmeterError) -> list[str]:
    lines = [f"{item.field}: {item.text}" for item in error.violations]
    if isinstance(error, BudgetExceeded):
        lines.append(
            f"budget {error.budget}: {error.spent} spent and {error.held} held of {error.limit}; "
            f"{error.asked} asked"
        )
        if error.window_end is not None:
            lines.append(f"the window ends at {words.clock(error.window_end)} UTC")
    if isinstance(error, NotFound) and error.suggestion:
        lines.append(f"did you mean {error.suggestion}?")
    if isinstance(error, JobFailed):
        lines.append(f"{words.price(error.job)} · job {error.job.job_id}")
        if error.retry_advice:
            lines.append(f"fault {error.fault.lower()}, try again: {words.lower(error.retry_advice)}")
    if isinstance(error, WaitTimeout) and error.request_id:
        lines.append(f"request_id {error.request_id}: the same command with it never pays twice")
    if error.retry_after is not None:
        lines.append(f"try again in {error.retry_after:.0f} s")
    return lines


class ProgressLine:
    """The steps of a job on stderr: one line that changes on a terminal, a line per step elsewhere."""

    def __init__(self, *, silent: bool = False) -> None:
        self._console = Console(stderr=True, quiet=silent, highlight=False)
        self._live: Live | None = None
        self._steps: list[tuple[object, str]] = []

    def tell(self, progress: Progress) -> None:
        """Shows a step; a later word on the same step replaces the earlier one."""
        self._step((progress.stage, progress.attempt_number), words.phrase(progress))

    def end(self, job: Job) -> None:
        """Shows how the job ended."""
        self._step("end", words.ending(job))

    def note(self, text: str) -> None:
        """Shows a line that is no step, above the changing one."""
        self._console.print(text, markup=False)

    def _step(self, key: object, text: str) -> None:
        if self._steps and self._steps[-1] == (key, text):
            return
        if self._steps and self._steps[-1][0] == key:
            self._steps[-1] = (key, text)
        else:
            self._steps.append((key, text))
        if self._live is not None:
            line = " · ".join(step for _, step in self._steps)
            self._live.update(Text(line, no_wrap=True, overflow="ellipsis"), refresh=True)
        else:
            self._console.print(text, markup=False)

    def __enter__(self) -> Self:
        if self._console.is_terminal and not self._console.quiet:
            self._live = Live(console=self._console, auto_refresh=False)
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()
