"""`python -m sandbox`: play both providers, print one JSON line with the addresses, serve until told."""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sys
from collections.abc import Sequence

from sandbox.options import SandboxOptions
from sandbox.server import Sandbox

DEFAULT_PORT = 8090


def parse(argv: Sequence[str]) -> tuple[SandboxOptions, bool]:
    """The options that the command line names, and whether to end when stdin closes."""
    default = SandboxOptions()
    parser = argparse.ArgumentParser(
        prog="python -m sandbox", description="fal and Replicate, played on loopback."
    )
    parser.add_argument("--host", default=default.host, help="a loopback address")
    parser.add_argument("--port", type=int, default=DEFAULT_PORT, help="0 = any free port")
    parser.add_argument(
        "--speed", type=float, default=default.speed, help="2 = twice as fast as the real providers"
    )
    parser.add_argument("--instant", action="store_true", help="requests end before their submit is answered")
    parser.add_argument(
        "--seed", type=int, help="repeatable ids and timings; without it ids differ at each start"
    )
    parser.add_argument("--prompt-faults", action="store_true", help="obey [[fault:kind a=b]] in prompts")
    parser.add_argument(
        "--fal-validates-on-submit", action="store_true", help="fal answers invalid input at once"
    )
    parser.add_argument(
        "--fal-running-max", type=int, default=default.fal_running_max, help="fal's concurrency limit"
    )
    parser.add_argument("--requests-kept-max", type=int, default=default.requests_kept_max)
    parser.add_argument("--list-delay-seconds", type=float, default=default.list_delay_seconds)
    parser.add_argument("--billing-delay-seconds", type=float, default=default.billing_delay_seconds)
    parser.add_argument(
        "--billing-gap-every", type=int, default=default.billing_gap_every, help="every n-th bill is missing"
    )
    parser.add_argument("--drawing-threads", type=int, default=default.drawing_threads)
    parser.add_argument(
        "--allow-host", action="append", default=[], help="a host besides loopback for webhooks and inputs"
    )
    parser.add_argument(
        "--until-stdin-closes", action="store_true", help="end with the process that holds stdin"
    )
    args = vars(parser.parse_args(argv))
    args["allowed_hosts"] = tuple(args.pop("allow_host"))
    ends_with_stdin = args.pop("until_stdin_closes")
    return SandboxOptions(**args), ends_with_stdin


class UntilClosed(asyncio.Protocol):
    """Sets an event when a pipe is closed from the other side."""

    def __init__(self, closed: asyncio.Event) -> None:
        self._closed = closed

    def connection_lost(self, exc: Exception | None) -> None:
        """The other side is gone."""
        del exc
        self._closed.set()


async def serve(options: SandboxOptions, *, ends_with_stdin: bool = False) -> None:
    """Run until SIGINT or SIGTERM, or until whoever holds the other end of stdin is gone."""
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(name, stopped.set)
    if ends_with_stdin:
        await loop.connect_read_pipe(lambda: UntilClosed(stopped), sys.stdin)
    async with Sandbox(options) as sandbox:
        line = {"url": sandbox.url, "fal_url": sandbox.fal_url, "replicate_url": sandbox.replicate_url}
        print(json.dumps(line), flush=True)
        await stopped.wait()


def main() -> int:
    """Exit code 0 after a signal, 2 when the port is taken."""
    options, ends_with_stdin = parse(sys.argv[1:])
    try:
        asyncio.run(serve(options, ends_with_stdin=ends_with_stdin))
    except OSError as error:
        print(f"sandbox: cannot listen on {options.host}:{options.port}: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
