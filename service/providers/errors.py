"""What foreign faults become: one context manager for exceptions, and the failures that both adapters speak
of.

Provider texts are kept apart in `Failure.provider_message`; those about accounts and balances are dropped
altogether.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

import httpx

from service.domain.errors import Reason
from service.domain.exchange import Refused
from service.domain.failure import Failure, Fault, ProviderUnavailable, RetryAdvice

PROVIDER_TEXT_CHARACTERS_MAX: Final = 500


class ForeignHost(httpx.RequestError):
    """A request was about to leave for a host that may not see our key. Nothing was sent."""


class AnswerTooLarge(httpx.RequestError):
    """An answer is longer than the bound of its kind."""


FOREIGN: Final[tuple[tuple[type[Exception], str], ...]] = (
    (ForeignHost, "refused to send the key to another host"),
    (AnswerTooLarge, "the answer is too large"),
    (httpx.TimeoutException, "no answer in time"),
    (httpx.ConnectError, "cannot be reached"),
    (httpx.HTTPError, "the connection broke"),
    (httpx.StreamError, "the connection broke"),
    (httpx.InvalidURL, "the address cannot be asked"),
    (TimeoutError, "no answer in time"),
    (OSError, "the connection broke"),
)
"""Foreign exceptions of calls that may be repeated, most special first: all become ProviderUnavailable."""

NOTHING_SENT: Final = (
    ForeignHost,
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.UnsupportedProtocol,
)
"""What a dispatch may raise before its first byte has left."""

PERHAPS_SENT: Final = (httpx.HTTPError, httpx.StreamError, httpx.InvalidURL, OSError, EOFError)
"""Whatever else the wire does to a dispatch; TimeoutError is an OSError."""


@contextmanager
def door(provider: str, table: tuple[tuple[type[Exception], str], ...] = FOREIGN) -> Iterator[None]:
    """Turn the foreign exceptions of `table` into ProviderUnavailable, the cause chained."""
    try:
        yield
    except tuple(foreign for foreign, _ in table) as error:
        words = next(words for foreign, words in table if isinstance(error, foreign))
        raise ProviderUnavailable(f"{provider}: {words}") from error


def clean(text: object) -> str:
    """A provider's text, bounded, without what a database or a terminal would trip over."""
    kept = "".join(
        letter if letter.isprintable() else " " for letter in str(text)[:PROVIDER_TEXT_CHARACTERS_MAX]
    )
    return kept.encode("utf-8", "replace").decode("utf-8")


def unreachable(provider: str) -> Refused:
    """No connection: not a byte of the request has left."""
    failure = route_refused("The provider could not be reached.", metadata={"provider": provider})
    return Refused(failure, "unreachable")


def route_refused(
    message: str,
    fault: Fault = Fault.PROVIDER,
    *,
    retry_delay_seconds: float | None = None,
    metadata: Mapping[str, str] | None = None,
) -> Failure:
    """The route does not take the request now, whatever the request says. Nothing was paid."""
    return Failure(
        Reason.ROUTES_UNAVAILABLE,
        message,
        fault,
        RetryAdvice.FREE,
        metadata=metadata or {},
        retry_delay_seconds=retry_delay_seconds,
    )


def route_unknown() -> Failure:
    """The provider does not know the endpoint: an operator must look at the catalog."""
    return route_refused("The provider does not know the route.", Fault.OPERATOR)


def account_blocked(message: str = "The provider does not serve our account at the moment.") -> Failure:
    """Key, credit or permission: an operator's business, and no word of it to callers."""
    return Failure(Reason.PROVIDER_ACCOUNT_BLOCKED, message, Fault.OPERATOR, RetryAdvice.NEVER)


def content_rejected(provider_message: str = "") -> Failure:
    """The provider refuses what the request asks to see."""
    return Failure(
        Reason.CONTENT_REJECTED,
        "The provider refuses the content of the request.",
        Fault.CALLER,
        RetryAdvice.NEVER,
        provider_message=clean(provider_message),
    )


def input_rejected(provider_message: str = "", fault: Fault = Fault.CALLER) -> Failure:
    """The provider finds the input malformed, out of range or unreadable."""
    return Failure(
        Reason.PROVIDER_REJECTED_INPUT,
        "The provider refuses the input.",
        fault,
        RetryAdvice.NEVER,
        provider_message=clean(provider_message),
    )


def provider_failed(
    provider_message: str = "",
    *,
    unbilled: bool = False,
    hopeless: bool = False,
    metadata: Mapping[str, str] | None = None,
) -> Failure:
    """The provider took the request and failed. `hopeless`: the same input would fail again."""
    advice = RetryAdvice.FREE if unbilled else RetryAdvice.MAY_PAY_AGAIN
    return Failure(
        Reason.PROVIDER_FAILED,
        "The provider failed after it had accepted the request.",
        Fault.PROVIDER,
        RetryAdvice.NEVER if hopeless else advice,
        metadata=metadata or {},
        provider_message=clean(provider_message),
    )


def no_images(provider_message: str = "") -> Failure:
    """The request ended without a picture."""
    return Failure(
        Reason.NO_IMAGES,
        "The provider returned no picture.",
        Fault.PROVIDER,
        RetryAdvice.MAY_PAY_AGAIN,
        provider_message=clean(provider_message),
    )


def result_lost() -> Failure:
    """The provider drew it and no longer has it."""
    return Failure(
        Reason.RESULT_LOST,
        "The provider no longer has the result.",
        Fault.PROVIDER,
        RetryAdvice.MAY_PAY_AGAIN,
    )
