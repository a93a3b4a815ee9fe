"""One render in the hands of its owner."""

from __future__ import annotations

from dataclasses import dataclass

from service.domain.drawing import Drawing
from service.domain.records import Attempt, Render

Fence = tuple[str, str, str, int]


@dataclass(frozen=True, slots=True)
class Errand:
    """What stays the same over all attempts of a render."""

    render: Render
    drawing: Drawing

    def fence(self, attempt: Attempt) -> Fence:
        """What every fenced command about this attempt begins with."""
        return self.render.id, attempt.id, self.render.owner, self.render.fence
