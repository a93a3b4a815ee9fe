"""The composition of the sandbox's doors into one ASGI application."""

from __future__ import annotations

from starlette.applications import Starlette

from sandbox.admin import Admin
from sandbox.fal_platform import FalPlatform
from sandbox.fal_queue import FalQueue
from sandbox.fal_uploads import FalUploads
from sandbox.files import Files
from sandbox.replicate_api import ReplicateApi
from sandbox.replicate_rest import ReplicateRest
from sandbox.world import World


def make_app(world: World) -> Starlette:
    """All doors of one sandbox. More specific addresses come before the ones that take any path."""
    doors = (
        Admin(world),
        Files(world),
        FalUploads(world),
        FalPlatform(world),
        FalQueue(world),
        ReplicateApi(world),
        ReplicateRest(world),
    )
    return Starlette(routes=[route for door in doors for route in door.routes()])
