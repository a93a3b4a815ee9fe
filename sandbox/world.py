"""Everything that the sandbox's doors share, built once per sandbox."""

from __future__ import annotations

from dataclasses import dataclass, field

from sandbox.book import Book
from sandbox.catalog import Model
from sandbox.catalog_fal import fal_models
from sandbox.catalog_replicate import replicate_models
from sandbox.chores import Chores
from sandbox.clock import SandboxClock
from sandbox.dice import Dice
from sandbox.faults import FaultBoard
from sandbox.options import SandboxOptions
from sandbox.outages import Outages
from sandbox.outgoing import Outgoing
from sandbox.pictures import Pictures
from sandbox.uploads import Uploads
from sandbox.webhooks import Webhooks
from sandbox.works import Works


@dataclass(slots=True)
class World:
    """The parts of one sandbox. `url` is its own address, without a slash at the end."""

    options: SandboxOptions
    url: str
    clock: SandboxClock
    dice: Dice
    book: Book
    faults: FaultBoard
    uploads: Uploads
    pictures: Pictures
    webhooks: Webhooks
    works: Works
    chores: Chores
    outgoing: Outgoing
    outages: Outages
    fal: dict[str, Model] = field(default_factory=fal_models)
    replicate: dict[str, Model] = field(default_factory=replicate_models)

    @property
    def fal_url(self) -> str:
        """The root of everything that plays fal."""
        return f"{self.url}/fal"

    @property
    def replicate_url(self) -> str:
        """The root of everything that plays Replicate."""
        return f"{self.url}/replicate"

    async def close(self) -> None:
        """End the background work, then let go of connections and threads."""
        await self.chores.stop()
        await self.outgoing.close()
        self.pictures.close()

    def reset(self) -> None:
        """Forget requests, orders for faults and uploads. Requests that still run end unseen."""
        for provider in ("fal", "replicate"):
            for entry in tuple(self.book.newest_first(provider)):
                self.works.cancel(entry)
        self.book.clear()
        self.faults.withdraw()
        self.outages.withdraw()
        self.uploads.clear()
        self.webhooks.sent.clear()


def make_world(options: SandboxOptions, url: str) -> World:
    """Build the parts, leaves first."""
    clock = SandboxClock(options.speed)
    dice = Dice(options.seed)
    book = Book(options.requests_kept_max)
    chores = Chores()
    uploads = Uploads(clock, options.uploads_kept_max_bytes)
    outgoing = Outgoing(options.allowed_hosts)
    pictures = Pictures(options, uploads, outgoing)
    webhooks = Webhooks(options, clock, dice, book, chores, outgoing)
    works = Works(clock, options, book, pictures, chores, webhooks.announce)
    return World(
        options=options,
        url=url,
        clock=clock,
        dice=dice,
        book=book,
        faults=FaultBoard(options.prompt_faults),
        uploads=uploads,
        pictures=pictures,
        webhooks=webhooks,
        works=works,
        chores=chores,
        outgoing=outgoing,
        outages=Outages(clock, book, options.wait_max_seconds),
    )
