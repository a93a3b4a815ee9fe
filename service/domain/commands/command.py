"""What every command is: a value that names its lane."""

from __future__ import annotations

from enum import Enum
from typing import ClassVar

from service.domain.value import value


class Lane(Enum):
    """Which connection and thread carries a command out."""

    HEARTBEAT = "heartbeat"
    RUN = "run"
    ACCEPT = "accept"


@value(frozen=True, slots=True)
class Command:
    """Base of all commands. `patient` ones (evidence) are retried until committed, whatever the caller's deadline."""

    lane: ClassVar[Lane] = Lane.RUN
    patient: ClassVar[bool] = False
