"""Replicate's JSON: the prediction object, its logs, output addresses and metrics."""

from __future__ import annotations

import base64
from datetime import datetime
from typing import Any

from sandbox.book import Entry, Outcome, Phase
from sandbox.fal_shapes import listed_input, progress_line
from sandbox.pictures import CONTENT_KINDS, EXTENSIONS
from sandbox.world import World

REMOVED_SECONDS = 3600.0


def stamp(moment: datetime, digits: int = 9) -> str:
    """RFC 3339 with a Z and 2 to 9 fractional digits, as Replicate mixes them."""
    fraction = f"{moment.microsecond:06d}753"[:digits]
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{fraction}Z"


def is_removed(world: World, entry: Entry) -> bool:
    """Whether input, output, files and logs are gone: one hour after the end."""
    fault = entry.fault("result_expires")
    kept_seconds = REMOVED_SECONDS if fault is None else fault.number("seconds")
    return entry.ended_at is not None and world.clock.seconds() >= entry.ended_at + kept_seconds


def prediction(world: World, entry: Entry, *, early: bool = False) -> dict[str, Any]:
    """The prediction now; keys without a value yet are left out. `early`: output while processing."""
    version, model = entry.route.get("version", entry.model.version), entry.model.endpoint
    remapped = entry.fault("remapped")
    if remapped is not None:
        version, model = remapped.args["version"], remapped.args["model"]
    bare = entry.fault("null_version") is not None
    root = f"{world.replicate_url}/v1/predictions/{entry.id}"
    removed = is_removed(world, entry)
    body: dict[str, Any] = {
        "id": entry.id,
        "model": None if bare else model,
        "version": None if bare else version,
        "input": {} if removed else _redacted(entry),
        "logs": "" if removed else logs_of(world, entry),
        "error": _error(entry),
        "status": "processing" if early else status_of(entry),
        "created_at": stamp(world.clock.at(entry.accepted_at), 3),
        "source": "api",
        "urls": {
            "get": root,
            "cancel": f"{root}/cancel",
            "stream": f"{world.replicate_url}/stream/{entry.id}",
            "web": f"{world.url}/replicate/p/{entry.id}",
        },
    }
    if "deployment" in entry.route:
        body["deployment"] = entry.route["deployment"]
    if entry.deadline_at is not None:
        body["deadline"] = stamp(world.clock.at(entry.deadline_at), 6)
    if entry.started_at is not None:
        body["started_at"] = stamp(world.clock.at(entry.started_at), 9)
    if entry.phase is Phase.ENDED:
        _add_end(world, entry, body, early=early, removed=removed)
    odd = entry.fault("status_unknown_word")
    if odd is not None and entry.reads["odd word"] < odd.number("count"):
        entry.reads["odd word"] += 1
        body["status"] = odd.args["word"]
    return body


def listed(world: World, entry: Entry) -> dict[str, Any]:
    """The prediction as a list shows it."""
    body = prediction(world, entry)
    if entry.fault("list_respelled") is not None and not is_removed(world, entry):
        body["input"] = listed_input(entry)
    return body


def _add_end(world: World, entry: Entry, body: dict[str, Any], *, early: bool, removed: bool) -> None:
    assert entry.ended_at is not None
    body["output"] = None if removed or entry.outcome is not Outcome.SUCCEEDED else output_of(world, entry)
    if early:
        return
    body["data_removed"] = removed
    body["completed_at"] = stamp(world.clock.at(entry.ended_at), 2 if entry.number % 7 == 0 else 9)
    metrics = metrics_of(world, entry)
    if metrics is not None:
        body["metrics"] = metrics


def status_of(entry: Entry) -> str:
    """Replicate's word for where the prediction is."""
    if entry.phase is Phase.QUEUED:
        return "starting"
    if entry.phase is Phase.RUNNING:
        return "processing"
    assert entry.outcome is not None
    return entry.outcome.value


def output_of(world: World, entry: Entry) -> list[str] | str | None:
    """One address, a list of them, or nothing."""
    urls = [file_url(world, entry, index) for index in range(len(entry.pictures))]
    if entry.model.single:
        return urls[0] if urls else None
    return urls


def file_url(world: World, entry: Entry, index: int) -> str:
    """Where an output picture is served."""
    assert entry.ask is not None
    extension = EXTENSIONS[entry.ask.format]
    if entry.fault("wrong_extension") is not None:
        extension = "png" if extension != "png" else "jpg"
    path = f"/replicate/delivery/xezq/{entry.id}/out-{index}.{extension}"
    foreign = entry.fault("foreign_host_url")
    return f"https://{foreign.args['host']}{path}" if foreign is not None else f"{world.url}{path}"


async def inline_output(world: World, entry: Entry) -> list[str] | str | None:
    """The output as data URIs, which some answers in sync mode have."""
    assert entry.ask is not None
    kind = CONTENT_KINDS[entry.ask.format]
    found = []
    for index in range(len(entry.pictures)):
        data = await world.pictures.bytes_of(entry, index)
        found.append(f"data:{kind};base64,{base64.b64encode(data).decode()}")
    if entry.model.single:
        return found[0] if found else None
    return found


def logs_of(world: World, entry: Entry) -> str:
    """What the run has printed so far."""
    if entry.started_at is None:
        return ""
    steps = entry.model.pace.steps
    done = int(world.works.progress(entry) * steps)
    lines = [f"Using seed: {entry.seed}", *(progress_line(step, steps) for step in range(done + 1))]
    return "\n".join(lines) + "\n"


def metrics_of(world: World, entry: Entry) -> dict[str, Any] | None:
    """Times and what is counted for the price. There is no amount of money in it."""
    if entry.fault("bill_missing") is not None or entry.outcome is Outcome.ABORTED:
        return None
    assert entry.ended_at is not None
    metrics: dict[str, Any] = {}
    if entry.started_at is not None:
        metrics["predict_time"] = _predict_seconds(entry)
    metrics["total_time"] = round((entry.ended_at - entry.accepted_at) * world.clock.speed, 6)
    if entry.charge is not None:
        counted: dict[str, Any] = dict(entry.charge.metrics)
        if entry.fault("old_metrics") is not None and "image_output_count" in counted:
            counted["image_count"] = counted.pop("image_output_count")
        metrics |= dict.fromkeys(counted, 0) if entry.fault("bill_zero") is not None else counted
    return metrics


def _predict_seconds(entry: Entry) -> float:
    if entry.charge is not None and entry.charge.unit == "seconds":
        return float(entry.charge.units)
    return round(entry.run_seconds, 6)


def _error(entry: Entry) -> Any:
    if entry.phase is not Phase.ENDED or entry.outcome is not Outcome.FAILED or entry.failure is None:
        return None
    if entry.fault("dict_error") is not None:
        return {"message": entry.failure.error, "code": "E1000"}
    return entry.failure.error


def _redacted(entry: Entry) -> dict[str, Any]:
    secret = {one.name for one in entry.model.fields if one.secret}
    return {name: "[REDACTED]" if name in secret else value for name, value in entry.input.items()}
