"""How an accepted job fails, and what the doors below raise to the core. None of these reach a caller as an RPC error."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from service.domain.errors import Reason


class Fault(Enum):
    """Who has to change something."""

    NONE = "NONE"
    CALLER = "CALLER"
    PROVIDER = "PROVIDER"
    OPERATOR = "OPERATOR"
    SERVICE = "SERVICE"


class RetryAdvice(Enum):
    """Whether asking again makes sense, and whether it may cost again."""

    NEVER = "NEVER"
    FREE = "FREE"
    MAY_PAY_AGAIN = "MAY_PAY_AGAIN"


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a job ended without a picture. `provider_message` is the provider's own text, shown only on request."""

    reason: Reason
    message: str
    fault: Fault
    retry_advice: RetryAdvice
    metadata: Mapping[str, str] = field(default_factory=dict)
    retry_delay_seconds: float | None = None
    provider_message: str = ""


class DoorError(Exception):
    """Base of what a door raises to the core."""


class ProviderUnavailable(DoorError):
    """No usable answer (timeout, 5xx, 429, broken body); ask again later."""

    def __init__(self, text: str, *, retry_after_seconds: float | None = None) -> None:
        super().__init__(text)
        self.retry_after_seconds = retry_after_seconds


class ProviderDenied(DoorError):
    """401, 402 or 403 while following a request: the account is blocked, the request is not lost."""


class PictureInvalid(DoorError):
    """The bytes are not a whole picture of a kind that we take."""


class PictureTooLarge(DoorError):
    """More bytes or pixels than the limit. `limit` names it."""

    def __init__(self, text: str, *, limit: int, actual: int) -> None:
        super().__init__(text)
        self.limit = limit
        self.actual = actual


class DownloadFailed(DoorError):
    """A result could not be fetched. `final` when repeating is useless (gone, foreign host, too large)."""

    def __init__(self, text: str, *, final: bool) -> None:
        super().__init__(text)
        self.final = final


class WebhookForged(DoorError):
    """A webhook whose signature, time or shape shows that the provider did not send it now. `kind` for metrics."""

    def __init__(self, text: str, *, kind: str) -> None:
        super().__init__(text)
        self.kind = kind
