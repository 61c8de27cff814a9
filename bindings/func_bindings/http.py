"""HTTP requests and responses as functions see them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from enum import Enum
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from func_bindings.form import FormData, UploadedFile


class AuthLevel(Enum):
    """Which key a request must carry."""

    ANONYMOUS = "anonymous"
    FUNCTION = "function"
    ADMIN = "admin"

    @classmethod
    def parse(cls, level: AuthLevel | str) -> AuthLevel:
        """Read a level from its name in any case.

        Raises:
            ValueError: There is no such level.
        """
        if isinstance(level, AuthLevel):
            return level
        try:
            return cls[level.upper()]
        except (KeyError, AttributeError):
            names = ", ".join(member.name for member in cls)
            message = f"There is no auth level {level!r}: it is one of {names}."
            raise ValueError(message) from None


class HttpMethod(Enum):
    """The methods that a route may name."""

    GET = "GET"
    POST = "POST"
    DELETE = "DELETE"
    HEAD = "HEAD"
    PATCH = "PATCH"
    PUT = "PUT"
    OPTIONS = "OPTIONS"


class HttpHeaders(MutableMapping[str, str]):
    """Headers by name, whose case does not matter; a name may have several values."""

    __slots__ = ("_values",)

    def __init__(
        self, headers: Mapping[str, str] | Iterable[tuple[str, str]] | None = None
    ) -> None:
        """Take headers from a mapping, or from pairs where a name may come more than once."""
        self._values: dict[str, tuple[str, list[str]]] = {}
        for name, value in _pairs(headers):
            self.add(name, value)

    def __getitem__(self, name: str) -> str:
        return ", ".join(self._values[name.lower()][1])

    def __setitem__(self, name: str, value: str) -> None:
        self._values[name.lower()] = (name, [value])

    def __delitem__(self, name: str) -> None:
        del self._values[name.lower()]

    def __iter__(self) -> Iterator[str]:
        return (name for name, _ in self._values.values())

    def __len__(self) -> int:
        return len(self._values)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name.lower() in self._values

    def __repr__(self) -> str:
        return f"HttpHeaders({self.multi_items()!r})"

    def add(self, name: str, value: str) -> None:
        """Add a value and keep those that are there, as `Set-Cookie` needs it."""
        self._values.setdefault(name.lower(), (name, []))[1].append(value)

    def getlist(self, name: str) -> list[str]:
        """Give every value of a header; none where it is missing."""
        return list(self._values.get(name.lower(), ("", []))[1])

    def multi_items(self) -> list[tuple[str, str]]:
        """Give every value with its name, as they go over the wire."""
        return [(name, value) for name, values in self._values.values() for value in values]


def _pairs(
    headers: Mapping[str, str] | Iterable[tuple[str, str]] | None,
) -> Iterable[tuple[str, str]]:
    if isinstance(headers, HttpHeaders):
        return headers.multi_items()
    if isinstance(headers, Mapping):
        return cast("Mapping[str, str]", headers).items()
    return headers or ()


class HttpRequest:
    """A request that a function was called with."""

    def __init__(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | Iterable[tuple[str, str]] | None = None,
        params: Mapping[str, str] | None = None,
        route_params: Mapping[str, str] | None = None,
        body: bytes | str = b"",
    ) -> None:
        """Make a request, as the host and the tests of an app do."""
        self._method = method.upper()
        self._url = url
        self._headers = HttpHeaders(headers)
        self._params = dict(params or {})
        self._route_params = dict(route_params or {})
        self._body = body.encode() if isinstance(body, str) else bytes(body)
        self._form: FormData | None = None

    @property
    def method(self) -> str:
        """Method, upper-case."""
        return self._method

    @property
    def url(self) -> str:
        """Full URL, with its query."""
        return self._url

    @property
    def headers(self) -> HttpHeaders:
        """Headers, whatever the case of their names."""
        return self._headers

    @property
    def params(self) -> Mapping[str, str]:
        """Values of the query."""
        return self._params

    @property
    def route_params(self) -> Mapping[str, str]:
        """Values of the route template's parameters."""
        return self._route_params

    @property
    def form(self) -> FormData:
        """Fields of a submitted form, url-encoded or multipart; empty for any other body.

        Raises:
            ValueError: The body is not what its `Content-Type` says.
        """
        return self._parsed_form()

    @property
    def files(self) -> Mapping[str, UploadedFile]:
        """Files of a multipart form by the name of their field.

        Raises:
            ValueError: The body is not what its `Content-Type` says.
        """
        return self._parsed_form().files

    def get_body(self) -> bytes:
        """Give the body as it came."""
        return self._body

    def get_json(self) -> Any:
        """Decode the body as JSON.

        Raises:
            ValueError: The body is empty or not JSON.
        """
        if not self._body:
            message = "The request has no body, so there is no JSON in it."
            raise ValueError(message)
        try:
            return json.loads(self._body)
        except RecursionError as error:
            message = "The body is nested too deeply to be read as JSON."
            raise ValueError(message) from error

    def _parsed_form(self) -> FormData:
        if self._form is None:
            from func_bindings.form import parse_form  # noqa: PLC0415 -- most apps have no forms

            self._form = parse_form(self._headers.get("Content-Type", ""), self._body)
        return self._form

    def __repr__(self) -> str:
        return f"HttpRequest({self._method!r}, {self._url!r})"


class HttpResponse:
    """What an HTTP function answers with."""

    def __init__(
        self,
        body: str | bytes | bytearray | None = None,
        *,
        status_code: int = 200,
        headers: Mapping[str, str] | Iterable[tuple[str, str]] | None = None,
        mimetype: str | None = "text/plain",
        charset: str | None = "utf-8",
    ) -> None:
        """Make an answer; text is encoded with the charset.

        Raises:
            TypeError: The body is neither text nor bytes.
        """
        self.status_code: int = int(status_code)
        self.mimetype: str = mimetype or "text/plain"
        self.charset: str = charset or "utf-8"
        self.headers: HttpHeaders = HttpHeaders(headers)
        self._body = self._encode(body)

    @property
    def content_type(self) -> str:
        """The `Content-Type` to send: the header where it is set, else made of the mimetype."""
        explicit = self.headers.get("Content-Type")
        if explicit is not None:
            return explicit
        is_text = self.mimetype.startswith("text/")
        return f"{self.mimetype}; charset={self.charset}" if is_text else self.mimetype

    def get_body(self) -> bytes:
        """Give the body as it goes over the wire."""
        return self._body

    def _encode(self, body: object) -> bytes:
        match body:
            case None:
                return b""
            case str():
                return body.encode(self.charset)
            case bytes():
                return body
            case bytearray():
                return bytes(body)
            case _:
                message = (
                    f"The body of a response is str or bytes, not {type(body).__name__}: "
                    "pass json.dumps(…) of it, or return the value itself from the function."
                )
                raise TypeError(message)

    def __repr__(self) -> str:
        return f"HttpResponse({self._body[:80]!r}, status_code={self.status_code})"
