"""`python -m service`: serve until told to stop. Exit codes: 0 stopped, 1 could not start, 2 wrong settings."""

from __future__ import annotations

import asyncio
import shutil
import signal
import sys
from pathlib import Path

import uvloop

from service.app import Application
from service.clock import SystemClock
from service.log import configure_logging, get_logger
from service.settings import Configuration, SettingsInvalid, load

_BANNER = """Lightmeter is ready.
{facts}
Try it:
  {command} generate "a fox in snow" -m flux-schnell --out fox.jpg
"""
_CLIENT_ADDRESS = "127.0.0.1:50051"


async def serve(configuration: Configuration) -> None:
    """Run one replica until SIGTERM or SIGINT; a second signal does not wait for the drain."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    application = Application(configuration)
    await application.start()
    try:
        width = max(map(len, application.facts))
        facts = "\n".join(f"  {name:<{width}}  {fact}" for name, fact in application.facts.items())
        sys.stderr.write(_BANNER.format(facts=facts, command=_command(application.grpc_address)))
        sys.stderr.flush()
        await stop.wait()
        log = get_logger("main")
        log.info("draining", seconds_max=configuration.settings.drain_seconds)
        stop.clear()
        draining = loop.create_task(application.drain())
        again = loop.create_task(stop.wait())
        await asyncio.wait({draining, again}, return_when=asyncio.FIRST_COMPLETED)
        again.cancel()
        if draining.done():
            log.info("drained", renders_left=draining.result())
        else:
            draining.cancel()
        await asyncio.gather(draining, again, return_exceptions=True)
    finally:
        await application.stop()


def _command(address: str) -> str:
    """How the command line is called from here: the one that lies beside this Python, with the address where it differs."""
    beside = Path(sys.executable).with_name("lightmeter")
    name = "lightmeter"
    if shutil.which(name) is None and beside.exists():
        name = str(beside.relative_to(Path.cwd()) if beside.is_relative_to(Path.cwd()) else beside)
    return name if address == _CLIENT_ADDRESS else f"{name} --address {address}"


def main() -> int:
    """Load the settings, run, answer the exit code."""
    try:
        configuration = load()
    except SettingsInvalid as error:
        sys.stderr.write("".join(f"{line}\n" for line in error.lines))
        return 2
    settings = configuration.settings
    configure_logging(
        level=settings.log_level,
        stream=sys.stderr,
        now=SystemClock().now,
        as_json={"auto": None, "json": True, "text": False}[settings.log_format],
    )
    log = get_logger("main")
    for remark in configuration.remarks:
        log.warning("setting_unread", remark=remark)
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(serve(configuration))
    except Exception as error:
        log.exception("stopped", error=str(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
