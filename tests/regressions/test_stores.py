"""Mistakes once made with what stores let through."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from func_bindings.durable.status import OrchestrationRuntimeStatus
from func_host.durable.backend import Commit, StaleCommitError, StatusChange
from func_host.durable.backends.memory import MemoryBackend, MemoryStore
from func_host.durable.backends.sqlite import SqliteBackend
from func_host.durable.history import (
    ExecutionStarted,
    ExecutionTerminated,
    OrchestrationInstance,
    OrchestratorStarted,
)
from func_host.testing.clock import START, SimulatedClock

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio


def start(execution_id: str) -> ExecutionStarted:
    instance = OrchestrationInstance("one", execution_id)
    return ExecutionStarted(timestamp=START, orchestration_instance=instance, name="chain")


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
async def test_a_termination_of_an_instance_that_was_replaced_does_not_end_the_new_one(
    kind: str, tmp_path: Path
) -> None:
    """The worker had the message, loaded the new instance, and was told only then."""
    clock = SimulatedClock(START)
    memory = MemoryBackend(MemoryStore(), clock)
    async with memory if kind == "memory" else SqliteBackend(tmp_path / "hub.db", clock) as backend:
        await backend.create_instance(start("old"))
        terminated = ExecutionTerminated(timestamp=START, input="enough")
        await backend.send_message("one", terminated)
        item = await backend.next_work_item()
        await backend.create_instance(start("new"), replace_unfinished=True)
        stored = await backend.load("one")
        assert stored is not None
        commit = Commit(
            instance_id="one",
            fence=stored.fence,
            events=(OrchestratorStarted(timestamp=START), terminated),
            status=StatusChange(
                runtime_status=OrchestrationRuntimeStatus.Terminated, last_updated_time=START
            ),
            consumed=(item.messages[-1].id,),
        )

        with pytest.raises(StaleCommitError, match="'one' was replaced"):
            await backend.commit(commit)

        record = await backend.get_instance("one")
        assert record is not None
        assert record.runtime_status is OrchestrationRuntimeStatus.Pending
