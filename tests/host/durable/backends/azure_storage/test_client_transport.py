"""Requests that failed in passing are repeated, each is counted, and all else is left alone."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast

import aiohttp
import pytest
from azure.core.exceptions import IncompleteReadError, ServiceRequestError, ServiceResponseError

from func_host.durable.backends.azure_storage.client_transport import (
    RetrySettings,
    StorageTransport,
    proxy_for,
)
from func_host.durable.backends.azure_storage.request_count import (
    EMPTY_POLL,
    NO_ANSWER,
    RequestCounter,
    RequestKind,
    StorageService,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.anyio


@dataclass
class Request:
    method: str = "PUT"
    url: str = "http://127.0.0.1/acct/hub-control-00"
    headers: dict[str, str] = field(default_factory=dict[str, str])


@dataclass
class Response:
    status_code: int
    content: bytes = b""
    headers: dict[str, str] = field(default_factory=dict[str, str])
    is_read: bool = False

    async def read(self) -> bytes:
        self.is_read = True
        return self.content


class Sender:
    """Answers as it was told, one after the other."""

    def __init__(self, *answers: Response | Exception) -> None:
        self.answers = deque(answers)
        self.requests: list[Request] = []
        self.proxies: list[str | None] = []

    async def send(self, request: Request, *, proxy: str | None = None) -> Response:
        self.requests.append(request)
        self.proxies.append(proxy)
        answer = self.answers.popleft()
        if isinstance(answer, Exception):
            raise answer
        return answer


class NotedSleep:
    def __init__(self) -> None:
        self.slept: list[float] = []

    def now(self) -> datetime:
        return datetime(2026, 1, 1, tzinfo=UTC)

    def monotonic(self) -> float:
        return 0.0

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)


class NoChance:
    def new_id(self) -> str:
        return "0" * 32

    def jitter(self) -> float:
        return 0.999


class World:
    def __init__(self, session: aiohttp.ClientSession, *, proxy: str | None = None) -> None:
        self.clock = NotedSleep()
        self.counter = RequestCounter()
        self.transport = StorageTransport(
            StorageService.QUEUE,
            session,
            counter=self.counter,
            retry=RetrySettings(attempts=4, delay_first_s=1.0, delay_max_s=3.0),
            clock=self.clock,
            ids=NoChance(),
            proxy=proxy,
        )

    async def send(self, sender: Sender, request: Request | None = None) -> Response:
        self.transport._sender = cast("Any", sender)
        response: Response = await self.transport.send(request or Request())
        return response


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with aiohttp.ClientSession() as session:
        yield World(session)


@pytest.mark.parametrize("status", [200, 201, 204, 304, 400, 401, 403, 404, 409, 412, 413])
async def test_an_answer_that_a_repetition_would_not_change_is_given_at_once(
    world: World, status: int
) -> None:
    response = await world.send(Sender(Response(status)))

    assert response.status_code == status
    assert world.clock.slept == []


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
async def test_what_passes_is_asked_again_after_longer_and_longer_times(
    world: World, status: int
) -> None:
    sender = Sender(*(Response(status) for _ in range(3)), Response(201))

    assert (await world.send(sender)).status_code == 201
    assert world.clock.slept == pytest.approx([1.0, 2.0, 3.0], rel=0.01)
    assert dict(world.counter.snapshot()) == {
        RequestKind("queue", "CreateQueue", 201): 1,
        RequestKind("queue", "CreateQueue", status): 3,
    }


async def test_an_answer_that_was_refused_is_read_so_that_its_connection_serves_again(
    world: World,
) -> None:
    refused = Response(503)
    await world.send(Sender(refused, Response(200)))

    assert refused.is_read


async def test_the_last_answer_is_given_as_it_is(world: World) -> None:
    response = await world.send(Sender(*(Response(503) for _ in range(4))))

    assert response.status_code == 503
    assert world.counter.total() == 4


@pytest.mark.parametrize(
    "error",
    [ServiceRequestError("refused"), ServiceResponseError("cut off"), IncompleteReadError("half")],
)
async def test_a_connection_that_breaks_is_tried_again(world: World, error: Exception) -> None:
    assert (await world.send(Sender(error, Response(201)))).status_code == 201
    assert world.counter.snapshot()[RequestKind("queue", "CreateQueue", NO_ANSWER)] == 1


async def test_a_connection_that_never_works_is_an_error(world: World) -> None:
    with pytest.raises(ServiceRequestError):
        await world.send(Sender(*(ServiceRequestError("refused") for _ in range(4))))


async def test_an_answer_that_always_breaks_off_is_no_answer(world: World) -> None:
    with pytest.raises(ServiceResponseError, match="broke off"):
        await world.send(Sender(*(IncompleteReadError("half") for _ in range(4))))


@pytest.mark.parametrize("proxy", [None, "http://proxy.example:3128"])
async def test_every_attempt_goes_through_the_proxy(proxy: str | None) -> None:
    sender = Sender(Response(503), Response(200))
    async with aiohttp.ClientSession() as session:
        await World(session, proxy=proxy).send(sender)

    assert sender.proxies == [proxy, proxy]


@pytest.mark.parametrize(
    ("url", "proxy"),
    [
        ("https://shop.table.core.windows.net", "http://proxy.example:3128"),
        ("https://inside.example/table", None),
        ("http://shop.table.core.windows.net", None),
        ("", None),
    ],
)
def test_the_environment_names_the_proxy_of_an_address(
    monkeypatch: pytest.MonkeyPatch, url: str, proxy: str | None
) -> None:
    monkeypatch.delenv("http_proxy", raising=False)
    monkeypatch.delenv("HTTP_PROXY", raising=False)
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example:3128")
    monkeypatch.setenv("https_proxy", "http://proxy.example:3128")
    monkeypatch.setenv("no_proxy", "inside.example")

    assert proxy_for(url) == proxy


@pytest.mark.parametrize(("asked", "waited"), [("7", 7.0), ("1000", 60.0), ("soon", 1.0)])
async def test_the_service_may_ask_to_wait_longer(world: World, asked: str, waited: float) -> None:
    await world.send(Sender(Response(503, headers={"Retry-After": asked}), Response(200)))

    assert world.clock.slept == pytest.approx([waited], rel=0.01)


@pytest.mark.parametrize(
    ("body", "operation"),
    [
        (b"<QueueMessagesList />", EMPTY_POLL),
        (b"<QueueMessagesList><QueueMessage>..</QueueMessage></QueueMessagesList>", "GetMessages"),
    ],
)
async def test_a_poll_that_finds_nothing_is_counted_as_such(
    world: World, body: bytes, operation: str
) -> None:
    poll = Request("GET", "http://127.0.0.1/acct/hub-control-00/messages?numofmessages=32")
    await world.send(Sender(Response(200, body)), poll)

    assert list(world.counter.snapshot()) == [RequestKind("queue", operation, 200)]


def test_delays_are_spread_by_chance_and_have_an_end() -> None:
    retry = RetrySettings(delay_first_s=0.5, delay_max_s=8.0)

    assert retry.delay_s(0, 0.0) == 0.25
    assert retry.delay_s(1, 0.5) == 0.75
    assert retry.delay_s(99, 0.999) <= 8.0
