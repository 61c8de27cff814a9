"""Group commit: who shares a transaction, and what happens where one fails."""

from __future__ import annotations

import asyncio
import sqlite3
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

import pytest

from func_bindings.errors import InstanceNotFoundError
from func_host.durable.backend import BackendError, BackendUnavailableError
from func_host.durable.backends.sqlite.opening import open_store
from func_host.durable.backends.sqlite.transaction import Effects
from func_host.durable.backends.sqlite.writer import GroupWriter

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from func_host.durable.backends.sqlite.transaction import Transaction

pytestmark = pytest.mark.anyio


@dataclass
class Note:
    """An operation that writes a row, and may fail before or after it."""

    text: str
    error: Exception | None = None
    breaks: bool = False
    size: int = 10
    is_heavy: bool = False

    def apply(self, transaction: Transaction) -> Effects:
        if self.error is not None and not self.breaks:
            raise self.error
        transaction.write("set_output", hash(self.text) % 10**9, self.text)
        if self.error is not None:
            raise self.error
        return Effects(ended=[self.text])


@dataclass
class Connection:
    """A real connection that counts transactions, and can fail to commit."""

    real: sqlite3.Connection
    commits: int = 0
    failures: list[sqlite3.Error] = field(default_factory=list[sqlite3.Error])

    @property
    def in_transaction(self) -> bool:
        return self.real.in_transaction

    def cursor(self) -> sqlite3.Cursor:
        return self.real.cursor()

    def execute(self, statement: str) -> sqlite3.Cursor:
        if statement == "COMMIT":
            self.commits += 1
            if self.failures:
                raise self.failures.pop(0)
        return self.real.execute(statement)


@dataclass
class Rig:
    """A writer over a file, and what it has told."""

    connection: Connection
    path: Path
    published: list[str] = field(default_factory=list[str])

    def __post_init__(self) -> None:
        connection = cast("sqlite3.Connection", self.connection)
        self.writer = GroupWriter(connection, self.path, self._publish)

    def _publish(self, effects: Effects) -> None:
        self.published += effects.ended

    def stored(self) -> set[str]:
        rows: list[tuple[str]] = self.connection.real.execute(
            "SELECT content FROM outputs"
        ).fetchall()
        return {text for (text,) in rows}

    async def submit(self, *notes: Note) -> list[Any]:
        return await asyncio.gather(*map(self.writer.submit, notes), return_exceptions=True)


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    connections = open_store(tmp_path / "hub.db")
    rig = Rig(Connection(connections.writer), tmp_path / "hub.db")
    yield rig
    await rig.writer.close()
    connections.close()


async def test_what_is_submitted_in_one_turn_shares_a_transaction(rig: Rig) -> None:
    await rig.submit(*(Note(str(number)) for number in range(50)))
    assert rig.connection.commits == 1
    assert rig.published == [str(number) for number in range(50)]
    assert rig.stored() == {str(number) for number in range(50)}


async def test_a_lone_operation_waits_for_nobody(rig: Rig) -> None:
    for number in range(3):
        await rig.writer.submit(Note(str(number)))
        assert rig.connection.commits == number + 1
        assert rig.published[-1] == str(number)


async def test_a_heavy_operation_is_a_group_of_its_own(rig: Rig) -> None:
    await rig.submit(Note("a"), Note("b"), Note("heavy", is_heavy=True), Note("c"), Note("d"))
    assert rig.connection.commits == 3
    assert rig.published == ["a", "b", "heavy", "c", "d"]


async def test_a_group_is_bounded(rig: Rig) -> None:
    await rig.submit(*(Note(str(number)) for number in range(300)))
    assert rig.connection.commits == 3
    await rig.submit(*(Note(f"large {number}", size=300_000) for number in range(4)))
    assert rig.connection.commits == 5


async def test_one_that_refuses_does_not_harm_the_others(rig: Rig) -> None:
    refusal = InstanceNotFoundError("x")
    outcomes = await rig.submit(Note("a"), Note("b", refusal), Note("c"))
    assert outcomes == [None, refusal, None]
    assert rig.connection.commits == 1
    assert (rig.published, rig.stored()) == (["a", "c"], {"a", "c"})


async def test_where_all_refuse_nothing_is_committed(rig: Rig) -> None:
    await rig.submit(Note("a", InstanceNotFoundError("a")), Note("b", InstanceNotFoundError("b")))
    assert rig.connection.commits == 0
    await rig.writer.submit(Note("c"))
    assert rig.stored() == {"c"}


@pytest.mark.parametrize("is_heavy", [False, True])
async def test_one_that_breaks_half_way_does_not_harm_the_others(
    rig: Rig, *, is_heavy: bool
) -> None:
    broken = Note("b", sqlite3.OperationalError("it broke"), breaks=True, is_heavy=is_heavy)
    bug = Note("c", ZeroDivisionError(), breaks=True, is_heavy=is_heavy)
    outcomes = await rig.submit(Note("a"), broken, bug, Note("d"))

    assert [type(outcome) for outcome in outcomes] == [
        type(None),
        BackendUnavailableError,
        ZeroDivisionError,
        type(None),
    ]
    assert (rig.published, rig.stored()) == (["a", "d"], {"a", "d"})


@pytest.mark.parametrize("is_heavy", [False, True])
async def test_a_commit_that_fails_fails_its_group_and_no_other(
    rig: Rig, *, is_heavy: bool
) -> None:
    rig.connection.failures.append(sqlite3.OperationalError("database or disk is full"))
    outcomes = await rig.submit(Note("a", is_heavy=is_heavy), Note("b", is_heavy=is_heavy))
    failed = [outcome for outcome in outcomes if outcome is not None]
    assert len(failed) == (1 if is_heavy else 2)
    assert all(isinstance(outcome, BackendUnavailableError) for outcome in failed)
    assert "disk is full" in str(failed[0])
    assert rig.stored() == set(rig.published) == ({"b"} if is_heavy else set())

    await rig.submit(Note("c"))
    assert "c" in rig.stored()


async def test_a_disk_that_is_full_does_not_end_the_store(rig: Rig) -> None:
    (pages,) = rig.connection.real.execute("PRAGMA page_count").fetchall()[0]
    rig.connection.real.execute(f"PRAGMA max_page_count = {pages + 5}").close()
    (outcome,) = await rig.submit(Note("x" * 100_000))
    assert isinstance(outcome, BackendUnavailableError)
    assert await rig.submit(Note("small")) == [None]

    rig.connection.real.execute("PRAGMA max_page_count = 1000000").close()
    assert await rig.submit(Note("x" * 100_000)) == [None]
    assert rig.published == ["small", "x" * 100_000]


async def test_damage_is_no_passing_fault(rig: Rig) -> None:
    damage = sqlite3.DatabaseError("database disk image is malformed")
    damage.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
    (outcome,) = await rig.submit(Note("a", damage, breaks=True))
    assert isinstance(outcome, BackendError)
    assert not isinstance(outcome, BackendUnavailableError)


async def test_another_program_that_writes_is_waited_for(rig: Rig) -> None:
    other = sqlite3.connect(rig.path, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE").close()
    async with asyncio.TaskGroup() as group:
        submitted = group.create_task(rig.writer.submit(Note("a")))
        await asyncio.to_thread(other.execute, "INSERT INTO outputs VALUES (1, 'of another')")
        assert not submitted.done()
        await asyncio.to_thread(other.execute, "COMMIT")
    other.close()
    assert rig.stored() == {"of another", "a"}


async def test_who_stops_waiting_disturbs_nobody(rig: Rig) -> None:
    async with asyncio.TaskGroup() as group:
        impatient = group.create_task(rig.writer.submit(Note("a")))
        patient = group.create_task(rig.writer.submit(Note("b")))
        group.create_task(_cancel(impatient))
    assert patient.exception() is None
    assert rig.stored() == {"a", "b"}


async def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()


async def test_closing_finishes_what_was_submitted(rig: Rig) -> None:
    async with asyncio.TaskGroup() as group:
        for number in range(300):
            group.create_task(rig.writer.submit(Note(str(number))))
        group.create_task(rig.writer.close())
    await rig.writer.close()

    assert len(rig.stored()) == 300
    with pytest.raises(BackendUnavailableError, match="closed"):
        await rig.writer.submit(Note("late"))
