"""What can be chosen when the sandbox starts. Every limit has its name here."""

from __future__ import annotations

from dataclasses import dataclass

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class SandboxOptions:
    """The sandbox's settings; `python -m sandbox --help` shows the same names as flags.

    `speed` divides every duration of work, queueing and delivery (2.0 = twice as fast) but no lifetime:
    results and files expire after the providers' own hours, which `POST /admin/clock` lets pass at once.
    `instant` finishes each request before its submit is answered. `seed` makes ids and timings repeatable;
    without one, ids differ between two starts, as a service that keeps its database over a restart of the
    sandbox needs.
    """

    host: str = "127.0.0.1"
    port: int = 0
    speed: float = 1.0
    instant: bool = False
    seed: int | None = None
    prompt_faults: bool = False
    fal_validates_on_submit: bool = False
    """True: invalid input is answered 422 by the submit. False: 422 is the result, as documented."""
    fal_running_max: int = 40
    replicate_running_max: int = 200
    requests_kept_max: int = 100_000
    """Older requests are forgotten: their status is 404 and their files are gone. Totals still count them."""
    list_delay_seconds: float = 0.0
    """How long a started fal request stays out of the by-endpoint list."""
    billing_delay_seconds: float = 2.0
    """How long an ended fal request stays out of the billing events."""
    billing_gap_every: int = 0
    """Every n-th bill never shows up in the billing events; 0 = none is missing."""
    webhook_parallel_max: int = 64
    drawing_threads: int = 2
    pictures_cached_max_bytes: int = 64 * MIB
    uploads_kept_max_bytes: int = 512 * MIB
    upload_max_bytes: int = 100 * MIB
    body_max_bytes: int = 32 * MIB
    inputs_kept_max: int = 1024
    """Thumbnails of input pictures kept to redraw edits."""
    wait_max_seconds: float = 600.0
    """Longest time any connection is held open on purpose."""
    allowed_hosts: tuple[str, ...] = ()
    """Hosts besides loopback that webhooks may be sent to and input pictures fetched from."""
