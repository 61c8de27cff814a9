"""Starts, asks, signals and ends instances: the durable client of the host.

One object serves a whole host: functions get it by parameter, the management API calls it. It
holds no state of its own. What a call has done is durable when the call returns.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from func_bindings.durable.status import (
    DurableOrchestrationStatus,
    OrchestrationRuntimeStatus,
    PurgeHistoryResult,
)
from func_bindings.errors import (
    FunctionNotFoundError,
    InstanceConflictError,
    InstanceNotFoundError,
)
from func_bindings.http import HttpResponse
from func_host.config.durable_task import OverridableStates
from func_host.durable.backend import InstanceQuery
from func_host.durable.engine.entities.messages import is_entity
from func_host.durable.engine.identity import check_instance_id, check_storable
from func_host.durable.entity_client import EntityClient
from func_host.durable.history import (
    EventRaised,
    ExecutionResumed,
    ExecutionStarted,
    ExecutionSuspended,
    ExecutionTerminated,
    OrchestrationInstance,
)
from func_host.durable.history_view import history_view
from func_host.durable.links import origin_of
from func_host.durable.racing import sleep_long, unless
from func_host.durable.status_payload import status_payload, stored_json, stored_value
from func_host.invocation.values import dump_json

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from datetime import datetime

    from func_bindings.durable.dead_letters import DeadLetter
    from func_bindings.http import HttpRequest
    from func_host.clock import Clock, IdSource
    from func_host.durable.backend import Backend, InstancePage, InstanceRecord
    from func_host.durable.entity_client import Entities
    from func_host.durable.history import HistoryEvent
    from func_host.durable.links import ManagementLinks

_PAGE_SIZE = 1000
_RETRY_AFTER = "10"
_DRAWS_MAX = 64
"""Of sixteen partitions one is missed as often by chance once in sixty starts; it costs a wait."""


class InvalidInstanceIdError(ValueError):
    """The instance id is too long or holds what ids must not; the text is the extension's."""


class Orchestrator(Protocol):
    """An orchestrator function of the host."""

    @property
    def call_name(self) -> str:
        """The name it is started by."""
        ...


class Orchestrators(Protocol):
    """Knows the orchestrator functions of the host."""

    @property
    def orchestrator_names(self) -> Sequence[str]:
        """The names of all of them."""
        ...

    def orchestrator(self, name: str | Callable[..., Any]) -> Orchestrator | None:
        """Find one by its name, without case, or by the function itself."""
        ...


class TaskHubClient(EntityClient):
    """The durable client over a store.

    Args:
        backend: The task hub.
        clock: Gives the times of messages and of timeouts.
        ids: Gives ids of instances and executions.
        orchestrators: What can be started.
        entities: What can be signalled.
        links: Builds the management URLs.
        default_version: Version of instances started without one.
        overridable_states: Which instances a start with their id replaces.
    """

    def __init__(
        self,
        *,
        backend: Backend,
        clock: Clock,
        ids: IdSource,
        orchestrators: Orchestrators,
        entities: Entities,
        links: ManagementLinks,
        default_version: str = "",
        overridable_states: OverridableStates = OverridableStates.NON_RUNNING_STATES,
    ) -> None:
        super().__init__(backend=backend, clock=clock, ids=ids, entities=entities)
        self._orchestrators = orchestrators
        self._links = links
        self._default_version = default_version
        self._replace_unfinished = overridable_states is OverridableStates.ANY_STATE

    @property
    def links(self) -> ManagementLinks:
        """Builder of the management URLs of this hub."""
        return self._links

    async def start_new(
        self,
        name: str | Callable[..., Any],
        instance_id: str | None = None,
        client_input: object = None,
        version: str | None = None,
    ) -> str:
        """Start an orchestrator; see `DurableClient.start_new`."""
        text = None if client_input is None else dump_json(client_input)
        return await self.start(name, text, instance_id, version)

    async def start(
        self,
        name: str | Callable[..., Any],
        input_text: str | None,
        instance_id: str | None = None,
        version: str | None = None,
    ) -> str:
        """Start an orchestrator with an input that is stored as it is; give the instance id.

        Raises:
            FunctionNotFoundError: There is no orchestrator of that name.
            InstanceAlreadyExistsError: An instance with this id exists and has not ended.
            InvalidInstanceIdError: The id is too long or holds characters that ids must not.
        """
        stored_name = self._name_of(name)
        _check_start(instance_id, version)
        instance_id = instance_id or self._new_instance_id()
        start = ExecutionStarted(
            timestamp=self._clock.now(),
            orchestration_instance=OrchestrationInstance(instance_id, self._ids.new_id()),
            name=stored_name,
            version=self._default_version if version is None else version,
            input=input_text,
            generation=0,
        )
        await self._backend.create_instance(start, replace_unfinished=self._replace_unfinished)
        return instance_id

    def _new_instance_id(self) -> str:
        """Draw an id, if possible of an instance that this process will work on itself."""
        instance_id = self._ids.new_id()
        for _ in range(_DRAWS_MAX):
            if self._backend.owns(instance_id):
                break
            instance_id = self._ids.new_id()
        return instance_id

    async def record(self, instance_id: str, *, fetch_input: bool = True) -> InstanceRecord | None:
        """Give the stored row of an instance; None where there is none."""
        return await self._backend.get_instance(instance_id, fetch_input=fetch_input)

    async def history(self, instance_id: str) -> Sequence[HistoryEvent]:
        """Give the stored history of the current execution."""
        return await self._backend.get_history(instance_id)

    async def page(self, query: InstanceQuery) -> InstancePage:
        """Give one page of the instances that match.

        Raises:
            ValueError: The continuation token is not one of this store's.
        """
        return await self._backend.query_instances(query)

    async def get_status(
        self,
        instance_id: str,
        show_history: bool = False,
        show_history_output: bool = False,
        show_input: bool = False,
    ) -> DurableOrchestrationStatus | None:
        """Give the instance as it was last committed; None where there is none."""
        record = await self.record(instance_id, fetch_input=show_input)
        if record is None:
            return None
        history = None
        if show_history:
            history = history_view(
                await self.history(instance_id),
                show_input=show_input,
                show_output=show_history_output,
            )
        return _status(record, history)

    async def get_status_all(self) -> list[DurableOrchestrationStatus]:
        """Give every instance, ordered by id."""
        return await self.get_status_by()

    async def get_status_by(
        self,
        created_time_from: datetime | None = None,
        created_time_to: datetime | None = None,
        runtime_status: Sequence[OrchestrationRuntimeStatus] | None = None,
        instance_id_prefix: str | None = None,
    ) -> list[DurableOrchestrationStatus]:
        """Give the instances that match, ordered by id; times are inclusive, naive ones UTC."""
        query = InstanceQuery(
            created_time_from=_aware(created_time_from),
            created_time_to=_aware(created_time_to),
            runtime_status=None if runtime_status is None else tuple(runtime_status),
            instance_id_prefix=instance_id_prefix,
            page_size=_PAGE_SIZE,
        )
        found: list[DurableOrchestrationStatus] = []
        while True:
            page = await self.page(query)
            found.extend(_status(record, None) for record in page.instances)
            if page.continuation_token is None:
                return found
            query = replace(query, continuation_token=page.continuation_token)

    async def raise_event(
        self, instance_id: str, event_name: str, event_data: object = None
    ) -> None:
        """Send an event to an instance; see `DurableClient.raise_event`."""
        await self.send_event(instance_id, event_name, dump_json(event_data))

    async def send_event(self, instance_id: str, event_name: str, data_text: str) -> None:
        """Send an event whose data is stored as it is."""
        check_storable(event_name, data_text)
        event = EventRaised(timestamp=self._clock.now(), name=event_name, input=data_text)
        await self._backend.send_message(instance_id, event)

    async def terminate(self, instance_id: str, reason: str | None = None) -> None:
        """End an instance from outside; see `DurableClient.terminate`."""
        check_storable(reason)
        event = ExecutionTerminated(timestamp=self._clock.now(), input=reason)
        await self._backend.send_message(instance_id, event)

    async def suspend(self, instance_id: str, reason: str | None = None) -> None:
        """Hold an instance; see `DurableClient.suspend`.

        The message is sent whatever the row shows, since a resume may be under way; a suspended
        instance ignores it.
        """
        check_storable(reason)
        event = ExecutionSuspended(timestamp=self._clock.now(), reason=reason)
        await self._backend.send_message(instance_id, event)

    async def resume(self, instance_id: str, reason: str | None = None) -> None:
        """Let a suspended instance go on; see `DurableClient.resume`.

        The message is sent whatever the row shows, since a suspend may be under way; an instance
        that is not suspended ignores it.
        """
        check_storable(reason)
        event = ExecutionResumed(timestamp=self._clock.now(), reason=reason)
        await self._backend.send_message(instance_id, event)

    async def purge_instance_history(self, instance_id: str) -> PurgeHistoryResult:
        """Delete all that is stored of an instance; see `DurableClient.purge_instance_history`."""
        if is_entity(instance_id):
            return PurgeHistoryResult(await self._purge_entity(instance_id))
        deleted = await self._backend.purge_instance(instance_id)
        return PurgeHistoryResult(1 if deleted else 0)

    async def _purge_entity(self, instance_id: str) -> int:
        """Delete an entity, whatever its state, unless something has been sent to it just now."""
        record = await self.record(instance_id, fetch_input=False)
        if record is None:
            return 0
        if not await self._backend.purge_entity(instance_id, record.execution_id):
            reason = f"The entity '{instance_id}' cannot be purged: operations wait for it."
            raise InstanceConflictError(instance_id, record.runtime_status, reason)
        return 1

    async def purge_instance_history_by(
        self,
        created_time_from: datetime | None = None,
        created_time_to: datetime | None = None,
        runtime_status: Sequence[OrchestrationRuntimeStatus] | None = None,
    ) -> PurgeHistoryResult:
        """Delete the instances that match and have ended; those that still run stay."""
        query = InstanceQuery(
            created_time_from=_aware(created_time_from),
            created_time_to=_aware(created_time_to),
            runtime_status=None if runtime_status is None else tuple(runtime_status),
        )
        return PurgeHistoryResult(await self._backend.purge_instances(query))

    async def wait_for_completion(
        self, instance_id: str, timeout_s: float | None = None
    ) -> DurableOrchestrationStatus:
        """Wait until the instance has ended; see `DurableClient.wait_for_completion`."""
        record = await self.ended(instance_id, timeout_s)
        if record is None:
            message = f"The instance '{instance_id}' has not ended within {timeout_s} seconds."
            raise TimeoutError(message)
        return _status(record, None)

    async def ended(
        self,
        instance_id: str,
        timeout_s: float | None = None,
        give_up: Callable[[], Awaitable[object]] | None = None,
    ) -> InstanceRecord | None:
        """Wait until the instance has ended; None where the time is over or the caller gave up.

        Args:
            instance_id: The instance.
            timeout_s: How long to wait; None is for ever.
            give_up: Returns when nobody wants the answer any more.

        Raises:
            InstanceNotFoundError: There is no such instance.
        """
        if timeout_s is not None and timeout_s <= 0:
            return await self._ended_already(instance_id)
        interruptions = [] if give_up is None else [give_up]
        if timeout_s is not None:
            interruptions.append(lambda: sleep_long(self._clock, timeout_s))
        return await unless(lambda: self._backend.wait_for_completion(instance_id), *interruptions)

    async def get_dead_letters(self) -> list[DeadLetter]:
        """Give the messages that were set aside; see `DurableClient.get_dead_letters`."""
        return list(await self._backend.dead_letters())

    async def retry_dead_letter(self, letter_id: str) -> bool:
        """Let a message be handled anew; see `DurableClient.retry_dead_letter`."""
        return await self._backend.retry_dead_letter(letter_id)

    async def drop_dead_letter(self, letter_id: str) -> bool:
        """Delete a message that was set aside; see `DurableClient.drop_dead_letter`."""
        return await self._backend.drop_dead_letter(letter_id)

    def create_http_management_payload(
        self, instance_id: str, request: HttpRequest | None = None
    ) -> dict[str, str]:
        """Give the nine management URLs of an instance, on the origin of the request if given."""
        return self._links.payload(instance_id, origin_of(request))

    def create_check_status_response(
        self, request: HttpRequest | None, instance_id: str
    ) -> HttpResponse:
        """Answer 202 with `Location`, `Retry-After: 10` and the management URLs as body."""
        payload = self.create_http_management_payload(instance_id, request)
        headers = {"Location": payload["statusQueryGetUri"], "Retry-After": _RETRY_AFTER}
        return _json_response(payload, 202, headers)

    async def wait_for_completion_or_create_check_status_response(
        self,
        request: HttpRequest | None,
        instance_id: str,
        timeout_in_milliseconds: float = 10_000,
        retry_interval_in_milliseconds: float = 1_000,  # noqa: ARG002 -- nothing is polled
    ) -> HttpResponse:
        """Answer with the output once the instance has ended, or 202 when the time is over."""
        try:
            record = await self.ended(instance_id, timeout_in_milliseconds / 1000)
        except InstanceNotFoundError:
            record = None
        if record is None:
            return self.create_check_status_response(request, instance_id)
        if record.runtime_status is OrchestrationRuntimeStatus.Completed:
            return _json_response(stored_json(record.output), 200)
        is_failed = record.runtime_status is OrchestrationRuntimeStatus.Failed
        return _json_response(status_payload(record), 500 if is_failed else 200)

    def _name_of(self, name: str | Callable[..., Any]) -> str:
        """Give the name to store: as the caller spelt it, or that of the function."""
        found = self._orchestrators.orchestrator(name)
        if found is not None:
            return name if isinstance(name, str) else found.call_name
        shown = name if isinstance(name, str) else getattr(name, "__qualname__", repr(name))
        names = ", ".join(f"'{known}'" for known in self._orchestrators.orchestrator_names)
        known = (
            f"The following are the known orchestrator functions: {names}."
            if names
            else "No orchestrator functions are currently registered!"
        )
        message = (
            f"The function '{shown}' doesn't exist, is disabled, or is not an orchestrator "
            f"function. Additional info: {known}"
        )
        raise FunctionNotFoundError(message)

    async def _ended_already(self, instance_id: str) -> InstanceRecord | None:
        record = await self.record(instance_id)
        if record is None:
            raise InstanceNotFoundError(instance_id)
        return record if record.runtime_status.is_terminal else None


def _check_start(instance_id: str | None, version: str | None) -> None:
    """Refuse an id that the extension would refuse, in its words, and what cannot be stored."""
    try:
        if instance_id:
            check_instance_id(instance_id)
        check_storable(instance_id, version)
    except ValueError as error:
        raise InvalidInstanceIdError(str(error)) from error


def _status(
    record: InstanceRecord, history: list[dict[str, Any]] | None
) -> DurableOrchestrationStatus:
    return DurableOrchestrationStatus(
        name=record.name,
        instance_id=record.instance_id,
        created_time=record.created_time,
        last_updated_time=record.last_updated_time,
        runtime_status=record.runtime_status,
        input_=stored_value(record.input),
        output=stored_value(record.output),
        custom_status=stored_value(record.custom_status),
        history=history,
        parked=record.parked,
    )


def _aware(moment: datetime | None) -> datetime | None:
    if moment is None or moment.tzinfo is not None:
        return moment
    return moment.replace(tzinfo=UTC)


def _json_response(
    value: object, status_code: int, headers: dict[str, str] | None = None
) -> HttpResponse:
    return HttpResponse(
        msgspec.json.encode(value),
        status_code=status_code,
        headers=headers,
        mimetype="application/json",
    )
