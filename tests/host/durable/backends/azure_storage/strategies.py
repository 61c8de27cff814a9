"""Any history event, for properties that must hold for all of them."""

from __future__ import annotations

from datetime import UTC
from typing import Any

from hypothesis import strategies as st
from msgspec import structs

from func_bindings.durable.status import OrchestrationRuntimeStatus
from func_host.durable import history
from func_host.durable.backends.azure_storage.wire_events import MESSAGE_EVENTS, ROW_EVENTS

MOMENTS = st.datetimes().map(lambda moment: moment.replace(tzinfo=UTC))
TEXTS = st.text(st.characters(codec="utf-8"), max_size=20)
INSTANCES = st.builds(history.OrchestrationInstance, TEXTS, TEXTS)
FAILURES = st.recursive(
    st.builds(history.Failure, error_type=TEXTS, error_message=TEXTS),
    lambda inner: st.builds(
        history.Failure, error_type=TEXTS, error_message=TEXTS, inner_failure=inner
    ),
    max_leaves=3,
)
TAGS = st.dictionaries(TEXTS.filter(lambda name: name != "$type"), TEXTS, max_size=3)


def events(*kinds: type[Any]) -> st.SearchStrategy[Any]:
    with_json_input = {history.TaskScheduled: {"input": st.just('"x"') | st.just("null")}}
    return st.one_of(
        *(st.builds(kind, **{**_fields(kind), **with_json_input.get(kind, {})}) for kind in kinds)
    )


def _fields(kind: type[Any]) -> dict[str, st.SearchStrategy[Any]]:
    by_name: dict[str, st.SearchStrategy[Any]] = {
        "timestamp": MOMENTS,
        "fire_at": MOMENTS,
        "scheduled_start_time": MOMENTS | st.none(),
        "event_id": st.integers(-1, 100_000),
        "task_scheduled_id": st.integers(0, 100_000),
        "timer_id": st.integers(0, 100_000),
        "generation": st.integers(0, 9) | st.none(),
        "orchestration_instance": INSTANCES,
        "parent_instance": st.none()
        | st.builds(
            history.ParentInstance,
            name=TEXTS,
            orchestration_instance=INSTANCES,
            task_schedule_id=st.integers(0, 9),
            version=TEXTS,
        ),
        "parent_trace_context": st.none() | st.builds(history.TraceContext, trace_parent=TEXTS),
        "tags": st.none() | TAGS,
        "failure_details": st.none() | FAILURES,
        "orchestration_status": st.sampled_from(OrchestrationRuntimeStatus),
    }
    required = {"name", "version", "reason", "instance_id"}
    return {
        name: by_name.get(name, TEXTS if name in required else TEXTS | st.none())
        for name in (field.name for field in structs.fields(kind))
    }


def queue_events() -> st.SearchStrategy[Any]:
    return events(*MESSAGE_EVENTS)


def row_events() -> st.SearchStrategy[Any]:
    return events(*ROW_EVENTS)
