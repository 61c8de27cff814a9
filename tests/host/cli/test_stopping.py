import os
import signal
import threading

import pytest

from func_host.cli.stopping import EXIT_QUIT, stop_signals

pytestmark = pytest.mark.anyio


@pytest.fixture
def exits(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    codes: list[int] = []
    monkeypatch.setattr(os, "_exit", codes.append)
    return codes


async def test_the_first_signal_sets_the_event_and_tells_it(exits: list[int]) -> None:
    told: list[str] = []
    with stop_signals(lambda: told.append("stopping"), deadline_s=60) as stop:
        signal.raise_signal(signal.SIGTERM)
        await stop.wait()

    assert told == ["stopping"]
    assert exits == []


async def test_the_second_signal_quits_at_once(exits: list[int]) -> None:
    with stop_signals(lambda: None, deadline_s=60) as stop:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        await stop.wait()

    assert exits == [EXIT_QUIT]


async def test_a_stop_that_does_not_end_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    ended = threading.Event()
    codes: list[int] = []

    def end(code: int) -> None:
        codes.append(code)
        ended.set()

    monkeypatch.setattr(os, "_exit", end)
    with stop_signals(lambda: None, deadline_s=0.0):
        signal.raise_signal(signal.SIGINT)

        assert ended.wait(10)
        assert codes == [1]


async def test_signals_are_handled_as_before_afterwards() -> None:
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)

    with stop_signals(lambda: None, deadline_s=60):
        pass

    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before
