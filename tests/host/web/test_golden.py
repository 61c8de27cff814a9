"""The recorded exchanges of the extension replay, but for the choices that are ours."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, TypeVar

import pytest

from func_bindings.durable.entities import EntityId
from func_bindings.durable.status import OrchestrationRuntimeStatus as Status
from func_host.config.durable_task import OverridableStates
from func_host.durable.backend import Commit, StatusChange
from func_host.durable.history import ExecutionStarted, OrchestrationInstance
from tests.host.web.golden import comparable, read_steps, shown_headers
from tests.host.web.hub import Hub
from tests.host.web.orchestrators import ALL
from tests.host.web.recordings import RECORDINGS, Instance

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.host.web.golden import Step
    from tests.host.web.recordings import Recording

pytestmark = pytest.mark.anyio

T = TypeVar("T")


@pytest.mark.parametrize("name", RECORDINGS)
async def test_a_recording_replays(name: str) -> None:
    recording = RECORDINGS[name]
    async with _hub(recording).open() as hub:
        await _prepare(hub, recording)
        pending = dict(recording.before)
        mismatches: list[str] = []
        token = ""
        for step in read_steps(name):
            if step.endpoint != "webhook" or _matching(recording.skipped, step) is not None:
                continue
            for pattern in [each for each in pending if re.search(each, step.name)]:
                await _act(hub, *pending.pop(pattern))
            mismatch, token = await _replay(hub, recording, step, token)
            mismatches.extend(mismatch)

        assert not mismatches, "\n".join(mismatches)
        assert pending == {}


async def _replay(hub: Hub, recording: Recording, step: Step, token: str) -> tuple[list[str], str]:
    """Send one request; give what is wrong with the answer, and the token of the next page."""
    headers = [
        (name, token if name == "x-ms-continuation-token" and "page" in step.name else value)
        for name, value in step.headers
    ]
    answer = await hub.send(step.method, _own_hub(step.target), headers, step.body)
    await hub.settle()
    status, is_same = step.status, True
    choice = _matching(recording.differs, step)
    if choice is not None:
        status, is_same = choice[0], False
    got = (answer.status, shown_headers(answer.headers), comparable(answer.json))
    expected = (
        status,
        {name: _own_hub(value) for name, value in shown_headers(step.answer_headers).items()},
        comparable(json.loads(_own_hub(json.dumps(step.json)))),
    )
    is_right = got == expected if is_same else got[0] == status and got != expected
    mismatch = [] if is_right else [f"{step.name}\n  expected {expected}\n  got {got}"]
    return mismatch, answer.headers.get("x-ms-continuation-token", "")


def _hub(recording: Recording) -> Hub:
    return Hub(
        *ALL,
        link_key="testkey",
        start=recording.start,
        overridable=(
            OverridableStates.ANY_STATE
            if recording.any_state
            else OverridableStates.NON_RUNNING_STATES
        ),
    )


def _own_hub(text: str) -> str:
    """Address our hub where the recording had another beside it, whose instances stay Pending."""
    return text.replace("taskHub=OtherHub", "taskHub=TestHubName").replace("HubF", "TestHubName")


def _matching(table: Mapping[str, T], step: Step) -> T | None:
    for pattern, each in table.items():
        request = f"{step.method} {step.target}"
        if re.search(pattern, request if pattern.startswith("GET /") else step.name):
            return each
    return None


async def _prepare(hub: Hub, recording: Recording) -> None:
    for instance_id, instance in recording.instances.items():
        if instance.at_s is not None:
            await hub.clock.advance(max(0, instance.at_s - hub.clock.monotonic()))
        kind, _, argument = instance.state.partition(":")
        if instance.name == "Entity":
            await _act(hub, "Added", instance_id, instance.input or "0")
        elif kind == "Pending":
            await _schedule(hub, instance_id, instance)
        else:
            await hub.client.start(instance.name, instance.input, instance_id)
            await hub.settle()
        if kind in Status.__members__ and kind not in ("Pending", "Suspended", "Terminated"):
            await _edit(hub, instance_id, Status[kind])
        elif kind and kind != "Pending":
            await _act(hub, kind, instance_id, argument)
    await hub.clock.advance(recording.passed_s)


async def _act(hub: Hub, operation: str, instance_id: str, argument: str) -> None:
    match operation:
        case "Suspended":
            await hub.client.suspend(instance_id, argument or None)
        case "Resumed":
            await hub.client.resume(instance_id, argument or None)
        case "Terminated":
            await hub.client.terminate(instance_id, argument or None)
        case "Added":
            await hub.client.send_signal(EntityId.parse(instance_id), "add", argument)
        case _:
            name, _, data = argument.partition("=")
            await hub.client.send_event(instance_id, name, data)
    await hub.settle()


async def _schedule(hub: Hub, instance_id: str, instance: Instance) -> None:
    """Store an instance that starts far in the future, and so stays Pending."""
    now = hub.clock.now()
    start = ExecutionStarted(
        timestamp=now,
        orchestration_instance=OrchestrationInstance(instance_id, hub.ids.new_id()),
        name=instance.name,
        input=instance.input,
        scheduled_start_time=now.replace(year=now.year + 1),
    )
    await hub.backend.create_instance(start)


async def _edit(hub: Hub, instance_id: str, status: Status) -> None:
    """Put into the row what no sequence of calls leads to."""
    stored = await hub.backend.load(instance_id)
    record = await hub.backend.get_instance(instance_id)
    assert stored is not None
    assert record is not None
    change = StatusChange(
        runtime_status=status,
        last_updated_time=record.last_updated_time,
        custom_status=record.custom_status,
        output=record.output,
    )
    commit = Commit(instance_id=instance_id, fence=stored.fence, events=(), status=change)
    await hub.backend.commit(commit)
