"""The command line `lightmeter`: every call of the client for people and for scripts.

Lives here: arguments, the live progress line, and the words in which results are shown. Never: a call that
the client doesn't have, or a figure that the service didn't send. May come in: nobody; `main` is the entry
point.

Exit codes: 0 done, 1 the job failed, 2 wrong usage, 3 the service refused, 4 the service is away or too slow.
"""

from __future__ import annotations

import sys


def main() -> None:
    """Runs the command line; without typer and rich it says how to get them."""
    try:
        from lightmeter.cli.app import build  # noqa: PLC0415 - they are an extra of this package
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in {"typer", "rich"}:
            raise
        sys.stderr.write(f'lightmeter: {error.name} is missing; run: pip install "lightmeter[cli]"\n')
        sys.exit(2)
    build()()
