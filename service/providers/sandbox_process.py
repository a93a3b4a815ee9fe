"""The sandbox as a child of the service: started where a provider has no key, ended with the service.

It is another program; all that is known of it here is how it is started and the line that it prints when it is ready.
"""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import dataclass

_READY_SECONDS_MAX = 20.0
_END_SECONDS_MAX = 5.0


class SandboxFailed(Exception):
    """The sandbox did not come up."""


@dataclass(frozen=True, slots=True)
class SandboxAddress:
    """Where the child plays the providers."""

    url: str
    fal_url: str
    replicate_url: str


class SandboxProcess:
    """Starts `python -m sandbox` on a free loopback port. `stop` is legal twice and before `start`."""

    def __init__(self, *, instant: bool, speed: float) -> None:
        self._arguments = ["--port", "0", "--until-stdin-closes", "--speed", str(speed)]
        if instant:
            self._arguments.append("--instant")
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> SandboxAddress:
        """Start it and wait until it listens."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "sandbox",
            *self._arguments,
            # The child ends when this pipe closes, however the service dies.
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        self._process = process
        assert process.stdout is not None, "it was asked for"
        try:
            async with asyncio.timeout(_READY_SECONDS_MAX):
                line = await process.stdout.readline()
            data = json.loads(line)
            return SandboxAddress(data["url"], data["fal_url"], data["replicate_url"])
        except (TimeoutError, ValueError, KeyError) as error:
            await self.stop()
            raise SandboxFailed("the sandbox (python -m sandbox) did not start") from error

    async def stop(self) -> None:
        """End it."""
        process, self._process = self._process, None
        if process is None or process.returncode is not None:
            return
        assert process.stdin is not None, "it was asked for"
        process.stdin.close()
        try:
            async with asyncio.timeout(_END_SECONDS_MAX):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()
