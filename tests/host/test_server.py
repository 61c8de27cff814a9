import asyncio
import os
import socket

import httpx
import pytest
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from func_host.server import HostFaultError, HttpServer, ListeningSocket, is_loopback

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("address", ["localhost", "LOCALHOST", "127.0.0.1", "127.8.8.8", "::1"])
def test_loopback_is_what_only_this_machine_reaches(address: str) -> None:
    assert is_loopback(address)


@pytest.mark.parametrize("address", ["0.0.0.0", "::", "192.168.1.1", "example.com", ""])  # noqa: S104 -- compared
def test_any_other_address_is_not_loopback(address: str) -> None:
    assert not is_loopback(address)


def test_port_0_takes_a_free_one() -> None:
    listening = ListeningSocket("127.0.0.1", 0)
    try:
        assert listening.port > 0
        assert listening.origin == f"http://localhost:{listening.port}"
    finally:
        listening.close()


def test_a_port_in_use_is_told_with_the_remedy() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]

        with pytest.raises(HostFaultError, match=f"Port {port} .* --port N"):
            ListeningSocket("127.0.0.1", port)


@pytest.mark.skipif(os.name != "posix", reason="elsewhere a port is free at once")
def test_a_port_can_be_taken_again_at_once() -> None:
    first = ListeningSocket("127.0.0.1", 0)
    first.socket.listen()
    with socket.create_connection(("127.0.0.1", first.port)) as client:
        accepted, _ = first.socket.accept()
        accepted.close()  # this side waits in TIME_WAIT then
        first.close()
        client.recv(1)

    ListeningSocket("127.0.0.1", first.port).close()


def test_an_address_that_is_not_this_machines_is_told() -> None:
    with pytest.raises(HostFaultError, match=r"192\.0\.2\.1"):
        ListeningSocket("192.0.2.1", 0)


class Slow:
    """Answers `/slow` once it is let go on."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.go_on = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/slow":
            self.begun.set()
            await self.go_on.wait()
        await PlainTextResponse("done")(scope, receive, send)


@pytest.mark.parametrize(("drain_timeout_s", "expected"), [(30.0, 200), (0.0, 503)])
async def test_a_stop_waits_for_a_request_in_flight_as_long_as_it_may(
    drain_timeout_s: float, expected: int
) -> None:
    app = Slow()
    listening = ListeningSocket("127.0.0.1", 0)
    server = HttpServer(app, listening, access_log=False, drain_timeout_s=drain_timeout_s)
    async with asyncio.TaskGroup() as tasks, httpx.AsyncClient(base_url=listening.origin) as http:
        running = tasks.create_task(server.run())
        await server.wait_started()
        assert (await http.get("/")).text == "done"
        asked = tasks.create_task(http.get("/slow"))
        await app.begun.wait()
        stopping = tasks.create_task(server.stop())
        if expected == 200:
            app.go_on.set()
        answer = await asked
        await stopping

        assert answer.status_code == expected
        assert running.done()
        await server.stop()  # a second time does no harm
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", listening.port))
