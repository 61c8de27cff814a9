"""Stands between a host and its storage, and writes down what is asked for.

What a queue holds cannot be asked for while it is hidden; it is rebuilt here from what was put,
taken, rewritten and deleted.
"""

from __future__ import annotations

import base64
import json
import re
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import parse_qs, unquote
from xml.etree import ElementTree as ET

import aiohttp
from aiohttp import web
from yarl import URL

from func_host.clock import SystemClock

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

_HOP_BY_HOP = {"host", "connection", "transfer-encoding", "keep-alive", "content-length"}
_OWN_HEADERS = ("Content-Type", "Accept", "User-Agent", "Accept-Encoding")
_KEEP_ALIVE_S = 3.0  # below the five seconds after which the emulator closes what is idle
_ENDPOINT = re.compile(r"(Blob|Queue|Table)Endpoint=(http://[^/;]+)")
_PART = re.compile(
    r"(POST|PUT|PATCH|MERGE|DELETE) (\S+) HTTP/1\.1\r?\n(.*?)\r?\n\r?\n(.*?)"
    r"\r?\n?--(?:change|batch)",
    re.DOTALL,
)
_KEYS = re.compile(r"/(\w+)\(PartitionKey='(.*)',RowKey='(.*)'\)$")
_WRITES = {"POST": "insert", "PUT": "replace", "PATCH": "merge", "MERGE": "merge"}


@dataclass(frozen=True, slots=True)
class Put:
    """A message as it was put; `seq` orders messages and rows against each other."""

    seq: int
    queue: str
    text: str
    ttl: str
    invisible_s: int

    @property
    def envelope(self) -> dict[str, Any]:
        """What it says."""
        return decoded(self.text)


@dataclass(frozen=True, slots=True)
class RowWrite:
    """A row as it was written; `verb` is named as in the recordings."""

    seq: int
    table: str
    verb: str
    if_match: str | None
    row: Mapping[str, Any]


@dataclass(slots=True)
class Held:
    """A message that lies in a queue."""

    queue: str
    text: str
    visible_at: float

    @property
    def envelope(self) -> dict[str, Any]:
        """What it says."""
        return decoded(self.text)


@dataclass(slots=True)
class Wire:
    """What was asked of a storage account; `connection_string` leads through it.

    Args:
        target: The connection string of the account.
    """

    target: str
    connection_string: str = ""
    puts: list[Put] = field(default_factory=list[Put])
    writes: list[RowWrite] = field(default_factory=list[RowWrite])
    messages: dict[str, Held] = field(default_factory=dict[str, Held])
    _stack: AsyncExitStack = field(default_factory=AsyncExitStack)

    async def __aenter__(self) -> Self:
        """Listen, on a port for each service."""
        session = await self._stack.enter_async_context(
            aiohttp.ClientSession(
                auto_decompress=False,
                connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=_KEEP_ALIVE_S),
            )
        )
        self.connection_string = self.target
        for service, url in _ENDPOINT.findall(self.target):
            app = web.Application(client_max_size=100_000_000)
            app.router.add_route("*", "/{path:.*}", _Forward(self, session, service, url).handle)
            runner = web.AppRunner(app, access_log=None, auto_decompress=False)
            await runner.setup()
            self._stack.push_async_callback(runner.cleanup)
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            port = runner.addresses[0][1]
            ours = f"http://127.0.0.1:{port}"
            self.connection_string = self.connection_string.replace(url, ours)
        return self

    async def __aexit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Listen no more."""
        await self._stack.aclose()

    def note(self, service: str, asked: _Asked) -> None:
        """Write down what was done; what was refused was not."""
        if asked.status >= 300:
            return
        if service == "Queue" and "/messages" in asked.path:
            self._note_message(asked)
        elif service == "Table":
            self._note_rows(asked)

    def _next(self) -> int:
        return len(self.puts) + len(self.writes)

    def _note_message(self, asked: _Asked) -> None:
        _, queue, _, *rest = asked.path.strip("/").split("/")
        now = SystemClock().monotonic()
        seconds = int(asked.query.get("visibilitytimeout", ["0"])[0])
        if asked.method == "DELETE" and rest:
            self.messages.pop(unquote(rest[0]), None)
        elif asked.method == "PUT" and rest:
            held = self.messages.get(unquote(rest[0]))
            if held is not None:
                held.visible_at = now + seconds
                held.text = _text_of(asked.body) or held.text
        elif asked.method == "POST":
            text = _text_of(asked.body) or ""
            for message_id in _ids_of(asked.answer):
                self.messages[message_id] = Held(queue, text, now + seconds)
            ttl = asked.query.get("messagettl", [""])[0]
            self.puts.append(Put(self._next(), queue, text, ttl, seconds))
        elif asked.method == "GET" and "peekonly" not in asked.query:
            for message_id in _ids_of(asked.answer):
                if message_id in self.messages:
                    self.messages[message_id].visible_at = now + seconds

    def _note_rows(self, asked: _Asked) -> None:
        if asked.path.endswith("$batch"):
            for method, url, head, body in _PART.findall(asked.body.decode()):
                self._note_row(method, unquote(url), _headers(head), body)
        elif asked.method in _WRITES:
            self._note_row(asked.method, unquote(asked.path), asked.headers, asked.body.decode())

    def _note_row(self, method: str, url: str, headers: Mapping[str, str], body: str) -> None:
        keys = _KEYS.search(url)
        table = keys[1] if keys else url.rpartition("/")[2]
        if method not in _WRITES or table == "Tables":
            return
        row: dict[str, Any] = json.loads(body)
        if keys:
            row |= {"PartitionKey": keys[2], "RowKey": keys[3]}
        condition = headers.get("if-match")
        verb = _WRITES[method]
        if verb != "insert" and condition is None:
            verb = f"insert-or-{verb}"
        self.writes.append(RowWrite(self._next(), table, verb, condition, row))


@dataclass(frozen=True, slots=True)
class _Asked:
    method: str
    path: str
    query: Mapping[str, list[str]]
    headers: Mapping[str, str]
    body: bytes
    status: int
    answer: bytes


@dataclass(frozen=True, slots=True)
class _Forward:
    wire: Wire
    session: aiohttp.ClientSession
    service: str
    url: str

    async def handle(self, request: web.Request) -> web.Response:
        body = await request.read()
        headers = {k: v for k, v in request.headers.items() if k.lower() not in _HOP_BY_HOP}
        answer = await self.session.request(
            request.method,
            URL(f"{self.url}{request.raw_path}", encoded=True),
            headers=headers,
            data=body if body or request.method in {"POST", "PUT", "PATCH"} else None,
            skip_auto_headers=_OWN_HEADERS,
        )
        async with answer:
            content = await answer.read()
        path, _, query = request.raw_path.partition("?")
        asked = _Asked(
            method=request.method,
            path=path,
            query=parse_qs(query),
            headers={name.lower(): value for name, value in request.headers.items()},
            body=body,
            status=answer.status,
            answer=content,
        )
        self.wire.note(self.service, asked)
        kept = [(k, v) for k, v in answer.headers.items() if k.lower() not in _HOP_BY_HOP]
        return web.Response(status=answer.status, headers=kept, body=content)


def decoded(text: str) -> dict[str, Any]:
    """Read the envelope of a message."""
    return json.loads(base64.b64decode(text, validate=True))


def _headers(head: str) -> dict[str, str]:
    pairs = (line.partition(":") for line in head.splitlines())
    return {name.strip().lower(): value.strip() for name, _, value in pairs}


def _text_of(body: bytes) -> str | None:
    return ET.fromstring(body).findtext("MessageText") if body else None  # noqa: S314 -- our own


def _ids_of(answer: bytes) -> list[str]:
    if not answer:
        return []
    found = ET.fromstring(answer.decode("utf-8-sig")).iter("MessageId")  # noqa: S314 -- Azurite's
    return [each.text or "" for each in found]
