"""The sandbox: fal and Replicate, played on loopback by one small HTTP server.

Lives here: everything that imitates the two providers (queues, results, bills, webhooks, uploads, request
lists, billing events), the pictures they would draw, and the faults that can be ordered from them. It is a
program of its own, started with ``python -m sandbox`` or, inside a test, with ``async with
Sandbox(SandboxOptions()) as sandbox``.

Never here: anything imported from ``service`` or ``lightmeter``; anything that leaves the loopback interface
unless a host was allowed by name; real money.

Who may come in: ``tests/``, ``benchmarks/`` and the run targets. The service never imports this package; it
talks to it over HTTP like to the real providers. What can be ordered from it and counted in it: docs/sandbox.md.
"""

from sandbox.options import SandboxOptions
from sandbox.server import Sandbox

__all__ = ["Sandbox", "SandboxOptions"]
