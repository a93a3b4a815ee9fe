"""The composition of the sandbox's doors into one ASGI application."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.types import ASGIApp

from sandbox.admin import Admin
from sandbox.fal_platform import FalPlatform
from sandbox.fal_queue import FalQueue
from sandbox.fal_uploads import FalUploads
from sandbox.files import Files
from sandbox.gate import Gate
from sandbox.replicate_api import ReplicateApi
from sandbox.replicate_rest import ReplicateRest
from sandbox.troubles import Troubles
from sandbox.world import World


def make_app(world: World) -> ASGIApp:
    """All doors of one sandbox, the busiest first: addresses are tried in this order."""
    doors = (
        FalQueue(world),
        ReplicateApi(world),
        Files(world),
        FalUploads(world),
        FalPlatform(world),
        ReplicateRest(world),
        Admin(world),
        Troubles(world),
    )
    return Gate(Starlette(routes=[route for door in doors for route in door.routes()]), world.outages)
