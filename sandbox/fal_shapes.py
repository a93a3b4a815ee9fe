"""fal's JSON: submit answers, status objects, results, webhook bodies, and addresses of files."""

from __future__ import annotations

import base64
import uuid
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from sandbox.book import Entry, Phase
from sandbox.pictures import CONTENT_KINDS, EXTENSIONS
from sandbox.world import World

NAMESPACES = ("workflows", "comfy")
EXPIRES_SECONDS = 3600.0
EXPIRES_LARGE_SECONDS = 360.0
LARGE_RESULT_BYTES = 10 * 1024
STORED_SECONDS = 30 * 86_400.0


def app_of(endpoint: str) -> str:
    """Owner and app of an endpoint id: what status, result and cancel addresses contain."""
    parts = endpoint.split("/")
    return "/".join(parts[: 3 if parts[0] in NAMESPACES else 2])


def stamp(moment: datetime) -> str:
    """fal's time format."""
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")


def urls(world: World, entry: Entry) -> dict[str, str]:
    """The three addresses of a request."""
    root = f"{world.fal_url}/queue/{app_of(entry.model.endpoint)}/requests/{entry.id}"
    return {"response_url": root, "status_url": f"{root}/status", "cancel_url": f"{root}/cancel"}


def submitted(world: World, entry: Entry) -> dict[str, Any]:
    """The answer to a submit."""
    return {
        "status": "IN_QUEUE",
        "request_id": entry.id,
        **urls(world, entry),
        "queue_position": entry.queue_depth,
        "gateway_request_id": entry.gateway_id,
        "logs": None,
        "metrics": {},
    }


def status_of(world: World, entry: Entry, *, with_logs: bool) -> dict[str, Any]:
    """The status object as it is now."""
    body: dict[str, Any] = {"request_id": entry.id, **urls(world, entry)}
    odd = entry.fault("status_unknown_word")
    if odd is not None and entry.reads["odd word"] < odd.number("count"):
        entry.reads["odd word"] += 1
        return {"status": odd.args["word"], **body, "logs": None}
    if entry.phase is Phase.QUEUED:
        return {"status": "IN_QUEUE", "queue_position": world.works.position(entry), **body}
    logs = log_lines(world, entry) if with_logs else None
    if entry.fault("missing_logs_key") is None:
        body["logs"] = logs
    if entry.phase is Phase.RUNNING:
        return {"status": "IN_PROGRESS", **body}
    body["metrics"] = {} if entry.started_at is None else {"inference_time": round(entry.run_seconds, 6)}
    if entry.failure is not None:
        body |= {"error": entry.failure.error, "error_type": entry.failure.error_type}
    return {"status": "COMPLETED", **body}


def log_lines(world: World, entry: Entry) -> list[dict[str, Any]]:
    """What the run has printed so far: one line per step."""
    if entry.started_at is None:
        return []
    steps = entry.model.pace.steps
    done = int(world.works.progress(entry) * steps)
    planned = world.clock.scaled(entry.run_seconds)
    return [
        {
            "message": progress_line(step, steps),
            "timestamp": stamp(world.clock.at(entry.started_at + planned * step / steps)),
            "level": "STDERR",
            "source": "USER",
        }
        for step in range(done + 1)
    ]


def progress_line(step: int, steps: int) -> str:
    """A line like tqdm prints it."""
    filled = 10 * step // steps
    return f"{100 * step // steps:3d}%|{'█' * filled}{' ' * (10 - filled)}| {step}/{steps}"


def file_url(world: World, entry: Entry, index: int) -> str:
    """Where an output picture is served."""
    assert entry.ask is not None
    extension = EXTENSIONS[entry.ask.format]
    if entry.fault("wrong_extension") is not None:
        extension = "png" if extension != "png" else "jpg"
    path = f"/fal/files/b/{entry.id}/{index}.{extension}"
    foreign = entry.fault("foreign_host_url")
    return f"https://{foreign.args['host']}{path}" if foreign is not None else f"{world.url}{path}"


async def output_of(world: World, entry: Entry) -> dict[str, Any]:
    """The bare model output of a request that succeeded; pictures inline where the request asked for that."""
    images = [image_of(world, entry, index) for index in range(len(entry.pictures))]
    if entry.ask is not None and entry.ask.inline:
        for index, image in enumerate(images):
            data = await world.pictures.bytes_of(entry, index)
            kind = CONTENT_KINDS[entry.ask.format]
            image["url"] = f"data:{kind};base64,{base64.b64encode(data).decode()}"
    return output_with(entry, images)


def output_with(entry: Entry, images: list[dict[str, Any]]) -> dict[str, Any]:
    """The output with these image objects; which other fields it has depends on the model's family."""
    match entry.model.family:
        case "gpt":
            return {"images": images}
        case "banana":
            return {"images": images, "description": ""}
        case "seedream":
            return {"images": images, "seed": entry.seed}
        case _:
            return {
                "images": images,
                "timings": {"inference": round(entry.run_seconds, 6)},
                "seed": entry.seed,
                "has_nsfw_concepts": [picture.flagged for picture in entry.pictures],
                "prompt": entry.input.get("prompt", ""),
            }


def image_of(world: World, entry: Entry, index: int) -> dict[str, Any]:
    """One image object; every key but url may be null at fal."""
    assert entry.ask is not None
    picture = entry.pictures[index]
    url = file_url(world, entry, index)
    if entry.fault("null_sizes") is not None or entry.model.family == "banana":
        return {
            "url": url,
            "content_type": None,
            "file_name": None,
            "file_size": None,
            "width": None,
            "height": None,
        }
    kind = CONTENT_KINDS[entry.ask.format]
    return {"url": url, "content_type": kind, "width": picture.width_px, "height": picture.height_px}


def billable_units(entry: Entry) -> str | None:
    """The header's value, or None when there is no such header."""
    if entry.fault("bill_missing") is not None or entry.charge is None:
        return None
    if entry.fault("bill_zero") is not None:
        return "0"
    return plain(entry.charge.units)


def plain(value: Decimal) -> str:
    """A Decimal without exponent and without needless zeros."""
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def result_is_gone(world: World, entry: Entry, size_bytes: int) -> bool:
    """Whether the result has expired: 1 h, 6 minutes when large, 30 days when payloads are stored."""
    assert entry.ended_at is not None
    lifetime = EXPIRES_LARGE_SECONDS if size_bytes >= LARGE_RESULT_BYTES else EXPIRES_SECONDS
    lifetime = STORED_SECONDS if entry.stored_io else lifetime
    fault = entry.fault("result_expires")
    return world.clock.seconds() >= entry.ended_at + (lifetime if fault is None else fault.number("seconds"))


def listed_input(entry: Entry) -> dict[str, Any]:
    """The input as a request list shows it: as it was sent, unless a fault fills the defaults in."""
    if entry.fault("list_respelled") is None:
        return dict(entry.input)
    defaults = {one.name: one.default for one in entry.model.fields if one.default is not None}
    return {**defaults, **entry.input}


def webhook_body(world: World, entry: Entry) -> Mapping[str, Any]:
    """What fal posts to the caller when a request has ended; a result with inline pictures is left out."""
    tried = str(uuid.uuid5(uuid.UUID(entry.id), "try"))
    request_id = entry.id if entry.fault("gateway_webhook") is None else tried
    body: dict[str, Any] = {"request_id": request_id, "gateway_request_id": entry.gateway_id}
    unserializable = {"payload": None, "payload_error": "Response payload is not JSON serializable."}
    if entry.failure is not None:
        body |= {"status": "ERROR", "error": f"Invalid status code: {entry.failure.code}"}
        broken = entry.fault("null_payload_webhook") is not None
        return body | (unserializable if broken else {"payload": dict(entry.failure.body)})
    body |= {"status": "OK"}
    inline = entry.ask is not None and entry.ask.inline
    if entry.fault("null_payload_webhook") is not None or inline:
        return body | unserializable
    images = [image_of(world, entry, index) for index in range(len(entry.pictures))]
    return body | {"payload": output_with(entry, images)}
