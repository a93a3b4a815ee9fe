"""The ledger's side and the providers' side of the books, read past every proxy."""

from __future__ import annotations

import json
from collections import defaultdict

from tests.chaos.compare import Books
from tests.chaos.deployment import Deployment


async def books_of(deployment: Deployment) -> Books:
    """The ledger's rows and the providers' requests."""
    ask = deployment.ask
    renders = {row["id"]: row for row in ask("SELECT id, state, finished_at, content FROM renders")}
    for row in renders.values():
        row["prompt"] = json.loads(row.pop("content"))["prompt"]
    pictures: dict[str, list[str]] = defaultdict(list)
    for row in ask("SELECT render_id, sha256 FROM render_assets ORDER BY render_id, position"):
        pictures[row["render_id"]].append(row["sha256"])
    return Books(
        jobs={
            row["id"]: row
            for row in ask("SELECT id, project, request_id, render_id, state, final_at FROM jobs")
        },
        renders=renders,
        attempts={row["id"]: row for row in ask("SELECT * FROM attempts")},
        transfers=ask("SELECT * FROM transfers ORDER BY booked_at, source, ordinal"),
        provider_ids={
            (row["provider"], row["provider_id"]): row["attempt_id"]
            for row in ask("SELECT * FROM provider_ids")
        },
        pictures=pictures,
        entries=await deployment.billed(),
    )
