"""Submitted forms: url-encoded and multipart bodies."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from email.message import Message
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

if TYPE_CHECKING:
    from os import PathLike


class UploadedFile:
    """One file of a multipart form."""

    def __init__(self, name: str, filename: str, content_type: str, content: bytes) -> None:
        """Keep the file in memory: the whole body is there already."""
        self.name = name
        self.filename = filename
        self.content_type = content_type
        self.stream: BytesIO = BytesIO(content)

    def read(self, size: int = -1) -> bytes:
        """Read on from where the last read ended."""
        return self.stream.read(size)

    def save(self, destination: str | PathLike[str]) -> None:
        """Write the whole file to a path of the caller's choice."""
        Path(destination).write_bytes(self.stream.getvalue())

    def __repr__(self) -> str:
        return f"UploadedFile({self.name!r}, {self.filename!r}, {self.content_type!r})"


class FormData(Mapping[str, str]):
    """Fields of a form: the first value of each, `getlist` for all of them."""

    def __init__(
        self, fields: list[tuple[str, str]], files: Mapping[str, UploadedFile] | None = None
    ) -> None:
        """Take the fields in the order they came."""
        self._fields: dict[str, list[str]] = {}
        for name, value in fields:
            self._fields.setdefault(name, []).append(value)
        self.files: Mapping[str, UploadedFile] = dict(files or {})

    def __getitem__(self, name: str) -> str:
        return self._fields[name][0]

    def __iter__(self) -> Iterator[str]:
        return iter(self._fields)

    def __len__(self) -> int:
        return len(self._fields)

    def getlist(self, name: str) -> list[str]:
        """Give every value of a field; none where it is missing."""
        return list(self._fields.get(name, ()))


def parse_form(content_type: str, body: bytes) -> FormData:
    """Read a form by what its content type says; any other body has no fields.

    Raises:
        ValueError: The body is not what its content type says.
    """
    header = _header(content_type)
    match header.get_content_type() if content_type else "":
        case "application/x-www-form-urlencoded":
            return FormData(parse_qsl(body.decode(), keep_blank_values=True))
        case "multipart/form-data":
            return _parse_multipart(header.get_boundary(), body)
        case _:
            return FormData([])


def _parse_multipart(boundary: str | None, body: bytes) -> FormData:
    if not boundary:
        message = "The multipart body names no boundary in its Content-Type."
        raise ValueError(message)
    fields: list[tuple[str, str]] = []
    files: dict[str, UploadedFile] = {}
    for head, content in _parts(boundary.encode(), body):
        name = str(head.get_param("name", header="content-disposition") or "")
        filename = head.get_filename()
        if filename is None:
            fields.append((name, content.decode(head.get_content_charset("utf-8"))))
        else:
            files.setdefault(name, UploadedFile(name, filename, head.get_content_type(), content))
    return FormData(fields, files)


def _parts(boundary: bytes, body: bytes) -> Iterator[tuple[Message, bytes]]:
    """Split at the boundary lines: between two of them stand headers, a blank line, content."""
    pieces = (b"\r\n" + body).split(b"\r\n--" + boundary)
    if not pieces[-1].startswith(b"--"):
        message = "The multipart body ends before its last boundary."
        raise ValueError(message)
    for piece in pieces[1:-1]:
        head, separator, content = piece.partition(b"\r\n\r\n")
        if not separator:
            message = "A part of the multipart body has no headers."
            raise ValueError(message)
        yield _headers(head), content


def _headers(head: bytes) -> Message:
    message = Message()
    for line in head.decode("utf-8", "replace").splitlines():
        name, _, value = line.partition(":")
        if name.strip():
            message[name.strip()] = value.strip()
    return message


def _header(content_type: str) -> Message:
    message = Message()
    message["Content-Type"] = content_type
    return message
