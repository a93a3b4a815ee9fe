"""Removing what is old from the store in memory."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from service.domain.commands import Prune, Pruned

if TYPE_CHECKING:
    from tests.support.memory_store import Tables


def prune(tables: Tables, command: Prune) -> Pruned:
    """Empty the contents, remove the events, the jobs, and the renders that no job and no flight points at."""
    limit = command.limit
    renders_before = command.jobs_before if command.renders_before is None else command.renders_before
    content_before = max(command.content_before, command.jobs_before)
    emptied = [
        one
        for one in tables.renders.values()
        if one.content and one.finished_at is not None and one.finished_at < content_before
    ][:limit]
    for render in emptied:
        tables.renders[render.id] = replace(render, content="", progress="{}", notices="[]")
    events = [one for one in tables.events if one.at < command.events_before][:limit]
    tables.events = [one for one in tables.events if one not in events]
    jobs = [
        one for one in tables.jobs.values() if one.final_at is not None and one.final_at < command.jobs_before
    ][:limit]
    for job in jobs:
        del tables.jobs[job.id]
    shown = {one.render_id for one in tables.jobs.values()}
    shown |= {key for one in tables.flights.values() for key in (one.render_id, one.good_render_id) if key}
    renders = [
        one
        for one in tables.renders.values()
        if one.id not in shown and one.finished_at is not None and one.finished_at < renders_before
    ][:limit]
    for render in renders:
        del tables.renders[render.id]
    return Pruned(len(emptied), len(events), len(jobs), len(renders))
