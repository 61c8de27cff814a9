"""Mistakes once made at the socket."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, closing
from typing import TYPE_CHECKING

import pytest
from starlette.responses import PlainTextResponse

from func_host.server import HEAD_BYTES_MAX, HttpServer, ListeningSocket

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from starlette.types import Receive, Scope, Send

pytestmark = pytest.mark.anyio

Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@asynccontextmanager
async def connection() -> AsyncGenerator[Connection]:
    async def hello(scope: Scope, receive: Receive, send: Send) -> None:
        await PlainTextResponse("hello")(scope, receive, send)

    with closing(ListeningSocket("127.0.0.1", 0)) as listening:
        server = HttpServer(hello, listening, access_log=False, drain_timeout_s=1)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(server.run())
            await server.wait_started()
            reader, writer = await asyncio.open_connection("127.0.0.1", listening.port)
            yield reader, writer
            writer.close()
            await server.stop()


@pytest.mark.parametrize("endless", [b"GET /", b"GET / HTTP/1.1\r\n", b"GET / HTTP/1.1\r\nx-a: "])
async def test_headers_without_end_are_cut_off(endless: bytes) -> None:
    """They were kept in memory, as many as came."""
    filling = b"x-a: 1\r\n" if endless.endswith(b"\r\n") else b"a"
    async with connection() as (_, writer):
        writer.write(endless)
        with pytest.raises(OSError):  # noqa: PT011 -- reset or broken pipe, as the system likes
            await write_for_long(writer, filling * (64 * 1024 // len(filling)))


async def write_for_long(writer: asyncio.StreamWriter, part: bytes) -> None:
    for _ in range(1_000):
        writer.write(part)
        await writer.drain()


async def test_long_headers_and_those_behind_a_long_body_are_taken() -> None:
    long = (
        b"GET / HTTP/1.1\r\nhost: localhost\r\nx-a: " + b"a" * (HEAD_BYTES_MAX - 100) + b"\r\n\r\n"
    )
    body = b"POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: 3000000\r\n\r\n" + bytes(
        3_000_000
    )
    async with connection() as (reader, writer):
        for request in (long, body + long):
            writer.write(request)
            await writer.drain()
        answers = b""
        while answers.count(b"hello") < 3:
            part = await reader.read(1024)
            assert part, answers
            answers += part
    assert answers.count(b"HTTP/1.1 200") == 3
