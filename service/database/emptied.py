"""What stays of texts about a request when its content is removed: figures and codes stay, what was drawn or said goes."""

from __future__ import annotations

import json
from typing import Any, Final

from service.domain.records import RenderState

_TELLING_NOTICES: Final = frozenset({"PROMPT_REWRITTEN"})
"""Codes whose text is a prompt."""


def emptied_progress(state: str, progress: str) -> str:
    """A succeeded render keeps the measured seconds of its storing there; any other has the provider's last log line."""
    return progress if state == RenderState.SUCCEEDED.value else "{}"


def emptied_notices(notices: str) -> str:
    """Those without anybody's prompt."""
    if notices == "[]":
        return notices
    kept = [one for one in json.loads(notices) if one.get("code") not in _TELLING_NOTICES]
    return json.dumps(kept) if kept else "[]"


def emptied_result(result: str | None) -> str | None:
    """The seed and the evidence of the charge, and as many outputs as there were, without their URLs: the receipt counts them."""
    if result is None:
        return None
    told: dict[str, Any] = json.loads(result)
    kept = {name: value for name, value in told.items() if name not in ("outputs", "notices")}
    if told.get("outputs"):
        kept["outputs"] = [{**one, "url": ""} for one in told["outputs"]]
    return json.dumps(kept)


def emptied_failure(failure: str | None) -> str | None:
    """Our own sentence, without the provider's."""
    if failure is None:
        return None
    told: dict[str, Any] = json.loads(failure)
    return json.dumps({**told, "provider_message": ""}) if told.get("provider_message") else failure
