"""The program. `python -m service` serves until told to stop; its other works, such as `ledger verify` and `doctor`, are in
`service.app.works`.

Exit codes: 0 done, 1 could not start, or what was checked is not in order, 2 wrong settings or arguments.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import shutil
import signal
import sys
from pathlib import Path

import uvloop

from service.app import REFUSALS, Application, UsageWrong, add_works
from service.clock import SystemClock
from service.log import configure_logging, get_logger
from service.settings import Configuration, SettingsInvalid, load

_BANNER = """Lightmeter is ready.
{facts}
Try it:
  {command} generate "a fox in snow" -m flux-schnell --out fox.jpg
"""
_CLIENT_ADDRESS = "127.0.0.1:50051"
_COLLECTOR_THRESHOLDS = (20_000, 25, 25)
"""Rows and messages have no cycles, and a batch makes thousands of them: the default of 700 looks far too often."""


async def serve(configuration: Configuration) -> int:
    """Run one replica until SIGTERM or SIGINT; a second signal does not wait for the drain. Answers the exit code: 1 when it
    stopped because a duty of its own had ended by a fault.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    application = Application(configuration)
    await application.start()
    # What was built so far lives as long as the process: the collector need not look at it again and again.
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_COLLECTOR_THRESHOLDS)
    try:
        width = max(map(len, application.facts))
        facts = "\n".join(f"  {name:<{width}}  {fact}" for name, fact in application.facts.items())
        sys.stderr.write(_BANNER.format(facts=facts, command=_command(application.grpc_address)))
        sys.stderr.flush()
        await _first(stop, application.broken)
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
    return 1 if application.broken.is_set() else 0


async def _first(*events: asyncio.Event) -> None:
    """Wait until one of them is set."""
    loop = asyncio.get_running_loop()
    waits = [loop.create_task(event.wait()) for event in events]
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
        await asyncio.gather(*waits, return_exceptions=True)


def _command(address: str) -> str:
    """How the command line is called from here: the one that lies beside this Python, with the address where it differs."""
    beside = Path(sys.executable).with_name("lightmeter")
    name = "lightmeter"
    if shutil.which(name) is None and beside.exists():
        name = str(beside.relative_to(Path.cwd()) if beside.is_relative_to(Path.cwd()) else beside)
    return name if address == _CLIENT_ADDRESS else f"{name} --address {address}"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m service", description="Lightmeter, the image-generation gateway."
    )
    add_works(parser)
    return parser.parse_args()


def main() -> int:
    """Load the settings, run, answer the exit code."""
    arguments = _arguments()
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
            if arguments.work is not None:
                return int(runner.run(arguments.work(configuration, arguments)))
            return runner.run(serve(configuration))
    except UsageWrong as error:
        sys.stderr.write(f"{error}\n")
        return 2
    except REFUSALS as error:
        sys.stderr.write(f"{error}\n")
        return 1
    except Exception as error:
        log.exception("stopped", error=str(error))
        return 1


if __name__ == "__main__":
    sys.exit(main())
