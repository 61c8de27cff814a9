"""How often an empty queue is looked into."""

from __future__ import annotations

from func_host.durable.backends.azure_storage.polling import PollingRhythm
from tests.host.durable.worker.world import CountingIds


class Chance(CountingIds):
    """Chance that is told."""

    def __init__(self, value: float) -> None:
        super().__init__()
        self.value = value

    def jitter(self) -> float:
        return self.value


def pauses(rhythm: PollingRhythm, count: int, longest_s: float = 30.0) -> list[float]:
    return [round(rhythm.after(0, longest_s=longest_s), 3) for _ in range(count)]


def test_an_idle_queue_is_looked_into_ever_less_often() -> None:
    found = pauses(PollingRhythm(CountingIds()), 12)

    assert found[:4] == [0.05, 0.1, 0.2, 0.4]
    assert found[-2:] == [30.0, 30.0]


def test_after_work_a_queue_is_looked_into_at_once_and_then_soon() -> None:
    rhythm = PollingRhythm(CountingIds())
    pauses(rhythm, 9)

    assert rhythm.after(3, longest_s=30.0) == 0.0
    assert pauses(rhythm, 4) == [0.0, 0.0, 0.05, 0.1]


def test_a_rhythm_that_begins_anew_pauses_a_moment() -> None:
    rhythm = PollingRhythm(CountingIds())
    pauses(rhythm, 9)
    rhythm.begin_anew()
    assert pauses(rhythm, 2) == [0.05, 0.1]


def test_hosts_do_not_look_in_step() -> None:
    assert pauses(PollingRhythm(Chance(0.0)), 20)[-1] == 24.0
    assert pauses(PollingRhythm(Chance(0.99)), 20)[-1] < 36.0


def test_a_queue_that_is_empty_for_a_year_breaks_nothing() -> None:
    assert pauses(PollingRhythm(CountingIds()), 5000, 5.0)[-1] == 5.0
