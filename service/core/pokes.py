"""The wake-up of a render's owner: evidence has come that is worth a look at the provider now."""

from __future__ import annotations


def poke_key(render_id: str) -> str:
    """The key of `Hints` by which a webhook wakes the follower of this render. A render's own id says that its row changed."""
    return f"poke:{render_id}"
