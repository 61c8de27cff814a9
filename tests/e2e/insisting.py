"""Clients that ask hosts until they are answered, and somebody who kills those hosts meanwhile."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Any

import httpx

from tests.e2e.host_process import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
    from concurrent.futures import Future

    from tests.e2e.chance import Chance
    from tests.e2e.host_process import HostProcess

_SILENT_STORAGE = "Azure Storage does not answer"
"""What a host says that ends, because an emulator answers nobody for a while."""

_PAUSE_S = 0.05
"""Nobody asks more often while no host answers: that would keep it from starting."""


@dataclass
class Clients:
    """Ask one host after another until one answers, side by side.

    Args:
        hosts: Hosts of one hub; each may be killed and started again at any moment.
        timeout_s: After this long without an answer the test has failed.
    """

    hosts: Sequence[HostProcess]
    timeout_s: float
    is_over: threading.Event = field(default_factory=threading.Event)
    answered: int = 0
    unanswered: int = 0
    """How many requests got no answer, and so were made again."""
    _turns: Iterator[int] = field(default_factory=count)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def ask(
        self,
        method: str,
        path: str,
        *,
        json: Any = None,
        headers: Mapping[str, str] | None = None,
        expected: int = 202,
        again_on: int | None = None,
    ) -> httpx.Response:
        """Make a request until it is answered with the expected status; with no other but one."""

        def answer() -> httpx.Response | None:
            assert not self.is_over.is_set(), "the test is over"
            host = self.hosts[next(self._turns) % len(self.hosts)]
            try:
                given = host.client.request(method, path, json=json, headers=headers)
            except httpx.TransportError:
                given = None
                self.is_over.wait(_PAUSE_S)
            with self._lock:
                self.answered += given is not None
                self.unanswered += given is None
            return None if given is not None and given.status_code == again_on else given

        given = wait_until(lambda: _one(answer()), f"{method} {path}", self.timeout_s)[0]
        assert given.status_code == expected, f"{method} {path}: {given.status_code} {given.text}"
        return given

    @contextmanager
    def side_by_side(
        self, work: Callable[[int], None], numbers: Iterable[int], clients: int
    ) -> Generator[list[Future[None]]]:
        """Let so many clients work off the numbers; all are done when this is left."""
        with ThreadPoolExecutor(clients) as pool:
            tasks = [pool.submit(work, number) for number in numbers]
            try:
                yield tasks
                for task in tasks:
                    task.result(self.timeout_s)
            except BaseException:
                self.is_over.set()
                raise


def _one(answer: httpx.Response | None) -> list[httpx.Response]:
    """Wrap an answer: one with an error status counts as false by itself."""
    return [] if answer is None else [answer]


def kill_again_and_again(
    clients: Clients, tasks: Sequence[Future[None]], requests: int, chance: Chance, kills: int
) -> None:
    """Kill a host so often, each time after a random part of the requests; start it again.

    A host comes up while the others go on; one that is alone is waited for.
    """
    before = clients.answered

    def are_answered(enough: int) -> bool:
        for task in tasks:
            if task.done():
                task.result()
        return clients.answered - before >= enough

    for number in range(kills):
        enough = int(requests / (kills + 1) * (number + chance.random()))
        wait_until(partial(are_answered, enough), f"{enough} answers", clients.timeout_s)
        host = chance.choice(clients.hosts)
        if host.is_running:
            host.kill()
        host.start(wait=len(clients.hosts) == 1)
    for host in clients.hosts:
        wait_until(partial(_is_up, host), "the host answers", clients.timeout_s)


def _is_up(host: HostProcess) -> bool:
    """Tell whether a host answers; start it again where its storage gave no answer to it."""
    if not host.is_running:
        printed = host.printed()
        assert _SILENT_STORAGE in printed, f"the host has ended:\n{printed}"
        host.start(wait=False)
    try:
        return host.client.get("/admin/host/ping").status_code == 200
    except httpx.TransportError:
        return False
