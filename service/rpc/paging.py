"""Opaque page tokens: the last row's key, and a hash of the project and query that it belongs to."""

from __future__ import annotations

import base64
import json
from hashlib import sha256
from typing import Any, Final

from google.protobuf.message import Message

from service.domain.errors import FieldInvalid, PageTokenInvalid
from service.domain.limits import page_size_default, page_size_max

_TOKEN_CHARACTERS_MAX: Final = 4_096
_PAGING_FIELDS: Final = ("page_size", "page_token")


class Cursor:
    """One page of one query: how many rows, and tokens that are bound to the project and the query."""

    def __init__(self, project: str, request: Message, page_size: int) -> None:
        """`page_size` is as it was asked for, 0 for the default. Raises FieldInvalid."""
        if not 0 <= page_size <= page_size_max:
            raise FieldInvalid.of(
                "page_size", f"must be 0 to {page_size_max}", limit=page_size_max, actual=page_size
            )
        self.size = page_size or page_size_default
        self._query = _query_hash(project, request)

    def token(self, key: list[Any]) -> str:
        """The token of the page after the row with this key."""
        content = json.dumps([self._query, key], separators=(",", ":")).encode()
        return base64.urlsafe_b64encode(content).decode().rstrip("=")

    def after(self, token: str, shape: tuple[type, ...]) -> Any:
        """The key in a token as a tuple, None for an empty one. Raises PageTokenInvalid unless all fits."""
        if not token:
            return None
        try:
            if len(token) > _TOKEN_CHARACTERS_MAX:
                raise ValueError("too long")
            content = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
            bound, key = json.loads(content)
            fits = (
                bound == self._query and isinstance(key, list) and [type(one) for one in key] == list(shape)
            )
        except (ValueError, TypeError, RecursionError) as error:
            raise PageTokenInvalid("this is no page token") from error
        if not fits:
            raise PageTokenInvalid("the page token belongs to another query or project")
        return tuple(key)


def _query_hash(project: str, request: Message) -> str:
    query = type(request)()
    query.CopyFrom(request)
    for name in _PAGING_FIELDS:
        query.ClearField(name)
    content = query.SerializeToString(deterministic=True)
    bound = f"{project}\0{query.DESCRIPTOR.full_name}\0".encode()
    return sha256(bound + content).hexdigest()[:32]
