"""Reading multipart/form-data, as far as a file upload needs it (RFC 7578)."""

from __future__ import annotations

from dataclasses import dataclass
from email.message import Message

PARTS_MAX = 16


class MultipartError(ValueError):
    """The body is not what its Content-Type says."""


@dataclass(frozen=True, slots=True)
class Part:
    """One field of a form; `file_name` is None for plain values."""

    name: str
    file_name: str | None
    content_type: str
    data: bytes


def parse_form(content_type: str, body: bytes) -> dict[str, Part]:
    """The fields of a form by name. Raises MultipartError."""
    header = Message()
    header["Content-Type"] = content_type
    boundary = header.get_param("boundary")
    if header.get_content_type() != "multipart/form-data" or not isinstance(boundary, str):
        raise MultipartError("expected multipart/form-data with a boundary")
    pieces = (b"\r\n" + body).split(b"\r\n--" + boundary.encode())
    if len(pieces) < 2 or not pieces[-1].startswith(b"--"):
        raise MultipartError("the form does not end")
    if len(pieces) - 2 > PARTS_MAX:
        raise MultipartError(f"at most {PARTS_MAX} fields")
    parts = (_part(piece) for piece in pieces[1:-1])
    return {part.name: part for part in parts}


def _part(piece: bytes) -> Part:
    head, found, data = piece.partition(b"\r\n\r\n")
    if not found:
        raise MultipartError("a field has no end of headers")
    headers = Message()
    for line in head.decode("utf-8", "replace").strip().split("\r\n"):
        title, _, value = line.partition(":")
        headers[title.strip()] = value.strip()
    name = headers.get_param("name", header="content-disposition")
    if not isinstance(name, str):
        raise MultipartError("a field has no name")
    file_name = headers.get_param("filename", header="content-disposition")
    shown = file_name if isinstance(file_name, str) else None
    return Part(name, shown, headers.get("Content-Type", "application/octet-stream"), data)
