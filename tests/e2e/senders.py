"""Clients, orchestrations and entities that send notes to recorders, each in its own order."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from func_host.clock import SystemClock
from tests.e2e.entity_runs import BASE, KEY, states
from tests.e2e.host_process import wait_until
from tests.e2e.insisting import kill_again_and_again

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from tests.e2e.chance import Chance
    from tests.e2e.insisting import Clients

KINDS = ("client", "orchestration", "entity")
SENDERS = [f"{kind}-{number}" for kind in KINDS for number in range(4)]
NOTES = 60
"""So many of each sender."""

_DELAYS_S = (1.5, 0.5, 2.0, 1.0)


class Note(NamedTuple):
    """What a recorder has noted: whose, which of its notes, when it was due and when noted."""

    sender: str
    number: int
    due: float | None
    at: float


@dataclass(frozen=True)
class Promise:
    """What a store promises of the order of notes.

    Args:
        each: So many notes of one execution of an orchestration are in order.
        granularity_s: How close together the moments may be that are not told apart.
        delayed: The senders whose notes for later come in the order of time.
    """

    each: int = 15
    granularity_s: float = 0.0
    delayed: Collection[str] = KINDS


EVERYTHING = Promise()


def record_in_order(
    clients: Clients, chance: Chance, kills: int, promise: Promise = EVERYTHING
) -> None:
    """Let all send while hosts are killed; of each the notes must be there once and in order."""
    mine = [sender for sender in SENDERS if sender.startswith("client-")]
    for sender in SENDERS:
        if sender not in mine:
            _start(clients, sender, promise.each)

    def send_all(number: int) -> None:
        for note in range(NOTES):
            _send(clients, mine[number], note)

    with clients.side_by_side(send_all, range(len(mine)), len(mine)) as tasks:
        kill_again_and_again(clients, tasks, len(mine) * NOTES, chance, kills)
    everything = len(SENDERS) * NOTES
    wait_until(lambda: len(_notes(clients)) >= everything, "all is noted", clients.timeout_s)
    check_notes(_notes(clients), promise)


def _start(clients: Clients, sender: str, each: int) -> None:
    """Let an orchestration or an entity begin to send."""
    plan = {"sender": sender, "recorder": _recorder_of(sender), "count": NOTES, "each": each}
    if sender.startswith("entity-"):
        path = f"{BASE}/entities/relay/{sender}?op=send"
        clients.ask("POST", path, json=plan, headers={KEY: sender})
    else:
        path = f"{BASE}/orchestrators/send_notes/{sender}"
        clients.ask("POST", path, json=plan)


def _send(clients: Clients, sender: str, number: int) -> None:
    """Send a note of a client, every fourth one for later, and wait until it is accepted."""
    due: float | None = None
    if number % 4 == 3:
        due = SystemClock().now().timestamp() + _DELAYS_S[number // 4 % len(_DELAYS_S)]
    note = {"sender": sender, "number": number, "due": due}
    path = f"/api/notes/{_recorder_of(sender)}"
    clients.ask("POST", path, json=note, headers={KEY: f"{sender}-{number}"})


def _recorder_of(sender: str) -> str:
    return "even" if int(sender[-1]) % 2 == 0 else "odd"


def _notes(clients: Clients) -> list[Note]:
    """Give what all recorders have noted; the notes of one sender lie in one of them."""
    recorders = states(clients, "recorder").values()
    return [Note(**note) for recorder in recorders for note in recorder["notes"]]


def check_notes(notes: Iterable[Note], promise: Promise) -> None:
    """Check that of each sender all notes are there once, in order, the delayed ones in time."""
    by_sender: dict[str, list[Note]] = {sender: [] for sender in SENDERS}
    for note in notes:
        by_sender[note.sender].append(note)
    for sender, own in by_sender.items():
        at_once = [note.number for note in own if note.due is None]

        times = Counter(note.number for note in own)
        wrong = {number: times[number] for number in range(NOTES) if times[number] != 1}
        assert not wrong, f"{sender}: noted so often: {wrong}"
        assert at_once == sorted(at_once), f"{sender}: out of order: {at_once}"
        is_in_time = sender.split("-")[0] in promise.delayed
        check_delayed(own, promise.granularity_s if is_in_time else math.inf)


def check_delayed(notes: list[Note], granularity_s: float) -> None:
    """Check that none is noted before it is due, nor before one that was due earlier.

    While hosts are down a note may be stored only after it is due; what was due in the meantime can
    have been noted before it. When something that its sender sent later has been noted, it was
    stored.
    """
    stored_by = [math.inf] * (NOTES + 1)
    at_once = {note.number: note.at for note in notes if note.due is None}
    for number in reversed(range(NOTES)):
        stored_by[number] = min(stored_by[number + 1], at_once.get(number, math.inf))
    delayed = [note for note in notes if note.due is not None]
    for place, note in enumerate(delayed):
        assert note.due is not None
        assert note.at >= note.due, f"before it was due: {note}"
        for after in delayed[place + 1 :]:
            assert after.due is not None
            is_late = stored_by[after.number + 1] > note.due
            assert is_late or after.due + granularity_s > note.due, f"out of order: {note}, {after}"
