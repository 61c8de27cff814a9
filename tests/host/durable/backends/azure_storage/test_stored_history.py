"""Whole histories: the recorded ones are loaded, and written in the pieces they were written in."""

from __future__ import annotations

from datetime import UTC, datetime
from operator import itemgetter

import pytest

from func_host.durable import history
from func_host.durable.backends.azure_storage.history_rows import history_rows
from func_host.durable.backends.azure_storage.keys import SENTINEL, escape_key
from func_host.durable.backends.azure_storage.stored_history import (
    ROWS_MAX,
    Sentinel,
    read_history,
    read_sentinel,
    sentinel_row,
    transactions,
)
from func_host.durable.backends.azure_storage.table_rows import Row, read_row, row_body
from func_host.durable.engine.state import OrchestrationState
from tests.host.durable.backends.azure_storage.golden import (
    HistoryWrite,
    comparable,
    history_writes,
    scenario,
    scenario_names,
    whole,
    with_blobs,
)

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
APPENDING = {"insert-or-replace", "merge", "insert"}
STARTED = history.OrchestratorStarted(timestamp=NOW)


def rows_of(count: int, execution_id: str = "e1", first_ordinal: int = 0) -> list[Row]:
    return history_rows(
        [STARTED] * count, instance_id="a", execution_id=execution_id, first_ordinal=first_ordinal
    )


def fence(execution_id: str = "e1") -> Row:
    return sentinel_row("a", Sentinel(execution_id=execution_id))


def final_rows(name: str) -> dict[str, list[Row]]:
    rows: dict[str, list[Row]] = {}
    for body in whole(scenario(name).get("final_history", [])):
        row = read_row(body) if body["RowKey"] == SENTINEL else with_blobs(body)
        rows.setdefault(body["PartitionKey"], []).append(row)
    return rows


@pytest.mark.parametrize("name", scenario_names())
def test_a_recorded_history_is_in_the_state_of_its_status_row(name: str) -> None:
    statuses = {row["PartitionKey"]: row for row in scenario(name).get("final_instances", ())}
    for key, rows in final_rows(name).items():
        stored = read_history(reversed(rows))

        state = OrchestrationState(stored.events)
        status = statuses[key]
        assert stored.sentinel is not None
        assert stored.sentinel.execution_id == status["ExecutionId"]
        assert state.status.value == status["RuntimeStatus"]
        assert state.started is not None
        assert state.started.name == status["Name"]
        if state.completed is not None and not str(status.get("Output")).startswith("http"):
            assert state.output == status.get("Output")


@pytest.mark.parametrize("name", scenario_names())
def test_a_fence_is_written_as_the_provider_writes_it(name: str) -> None:
    for write in history_writes(name):
        for verb, key, body in zip(write.verbs, write.keys, write.bodies, strict=True):
            if key != SENTINEL or verb == "delete":
                continue
            row = read_row(body)
            ours = row_body(
                sentinel_row(
                    write.instance,
                    read_sentinel(row),
                    is_checkpoint_complete=bool(body["IsCheckpointComplete"]),
                )
            )
            theirs = comparable(body)
            assert {name: comparable(ours)[name] for name in theirs} == theirs
            assert set(ours) - set(theirs) <= {"PartitionKey", "RowKey"}


def test_a_large_fan_out_is_cut_where_the_provider_cuts_it() -> None:
    writes = scenario("fan-out-120")["history"][:2]
    recorded = [
        sum(
            int(operation["note"].split()[0]) if "note" in operation else 1
            for operation in write["operations"]
        )
        for write in writes
    ]

    cut = transactions([row] for row in rows_of(123))

    assert [len(rows) + 1 for rows in cut] == recorded == [100, 25]


def test_rows_that_belong_together_are_not_divided() -> None:
    rows = rows_of(120)
    pairs = [rows[at : at + 2] for at in range(0, 120, 2)]

    cut = transactions([*pairs])

    assert [len(piece) for piece in cut] == [98, 22]
    assert [row for piece in cut for row in piece] == rows


@pytest.mark.parametrize(("text", "pieces"), [("x", [51, 48]), ("語", [34, 34, 31])])
def test_rows_with_much_text_are_cut_earlier(text: str, pieces: list[int]) -> None:
    """The provider counts two bytes for a letter; on the wire it may have three."""
    rows = rows_of(99)
    for row in rows:
        row["Input"] = text * 30_000

    cut = transactions([row] for row in rows)

    assert [len(piece) for piece in cut] == pieces


def test_no_rows_need_no_transaction() -> None:
    assert transactions([]) == []


def test_a_group_that_fits_no_transaction_is_refused() -> None:
    with pytest.raises(ValueError, match="100 rows"):
        transactions([rows_of(ROWS_MAX + 1)])


def test_rows_of_an_earlier_execution_are_left_out() -> None:
    rows = [*rows_of(3, "new"), *rows_of(4, "old", first_ordinal=3), fence("new")]

    stored = read_history(rows)

    assert stored.events == (STARTED,) * 3
    assert stored.next_ordinal == 3


def test_a_history_ends_where_another_execution_begins() -> None:
    rows = [
        *rows_of(2, "new"),
        *rows_of(1, "old", first_ordinal=2),
        *rows_of(1, "new", first_ordinal=3),
    ]

    assert read_history([*rows, fence("new")]).next_ordinal == 2


def test_another_execution_than_the_fences_has_no_history_but_its_fence() -> None:
    stored = read_history([*rows_of(3, "new"), fence("new")], "gone")

    assert stored.events == ()
    assert stored.next_ordinal == 0
    assert stored.sentinel == Sentinel(execution_id="new")


def test_no_rows_are_an_empty_history() -> None:
    stored = read_history([])

    assert (stored.events, stored.next_ordinal, stored.sentinel) == ((), 0, None)


def test_rows_without_a_fence_are_of_the_execution_of_the_first() -> None:
    stored = read_history([*rows_of(2, "new"), *rows_of(2, "old", first_ordinal=2)])

    assert stored.next_ordinal == 2


def test_the_token_of_a_commit_is_read_from_the_fence() -> None:
    sentinel = Sentinel(execution_id="e1", checkpoint_completed=NOW, token="t")  # noqa: S106 -- no password

    assert read_sentinel(sentinel_row("a", sentinel)) == sentinel
    assert "CheckpointCompletedTimestamp" not in sentinel_row(
        "a", sentinel, is_checkpoint_complete=False
    )


@pytest.mark.parametrize("name", scenario_names())
def test_every_recorded_checkpoint_is_in_the_state_of_the_status_it_was_followed_by(
    name: str,
) -> None:
    """The history as it was in the middle of a scenario, as a takeover would have found it."""
    rows: dict[tuple[str, str], Row] = {}
    for step in steps(name):
        if isinstance(step, HistoryWrite):
            for key, body in zip(step.keys, step.bodies, strict=True):
                place = {"PartitionKey": escape_key(step.instance), "RowKey": key}
                before = rows.get((step.instance, key), {}) if key == SENTINEL else {}
                row = {**body, **place}
                read = read_row(row) if key == SENTINEL else with_blobs(row)
                rows[step.instance, key] = {**before, **read}
        else:
            instance, status = step
            found = [row for (owner, _), row in rows.items() if owner == instance]
            state = OrchestrationState(read_history(found).events)
            assert state.status.value == status


def steps(name: str) -> list[HistoryWrite | tuple[str, str]]:
    """Give what was written until the first rows that were deleted, or are not whole, in order."""
    whole_writes = {write.seq: write for write in history_writes(name)}
    found: list[tuple[int, HistoryWrite | tuple[str, str]]] = []
    end = None
    for request in scenario(name)["history"]:
        write = whole_writes.get(request["seq"])
        if write is None or not set(write.verbs) <= APPENDING:
            end = request["seq"] if end is None else end
        else:
            found.append((write.seq, write))
    found += [
        (write["seq"], (write["instance"], write["row"]["RuntimeStatus"]))
        for write in scenario(name)["instances"]
        if write["verb"] == "insert-or-merge" and "RuntimeStatus" in write["row"]
    ]
    return [step for seq, step in sorted(found, key=itemgetter(0)) if end is None or seq < end]
