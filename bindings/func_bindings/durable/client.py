"""What a function may do with orchestration instances from outside of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime, timedelta

    from func_bindings.durable.dead_letters import DeadLetter
    from func_bindings.durable.entities import (
        CleanEntityStorageResult,
        EntityId,
        EntityMetadata,
        EntityStateResponse,
    )
    from func_bindings.durable.status import (
        DurableOrchestrationStatus,
        OrchestrationRuntimeStatus,
        PurgeHistoryResult,
    )
    from func_bindings.http import HttpRequest, HttpResponse


class DurableClient(ABC):
    """Starts, asks, signals and ends orchestration instances and entities of one task hub.

    Names are those of Azure's `DurableOrchestrationClient`. When a call has returned, what it did
    is durable.
    """

    @abstractmethod
    async def start_new(
        self,
        name: str | Callable[..., Any],
        instance_id: str | None = None,
        client_input: object = None,
        version: str | None = None,
    ) -> str:
        """Start an orchestrator, given as the decorated function or its name; give the instance id.

        Raises:
            FunctionNotFoundError: There is no orchestrator of that name.
            InstanceAlreadyExistsError: An instance with this id exists and has not ended.
            SerializationError: The input cannot be written as JSON.
            ValueError: The id is too long or holds characters that ids must not.
        """

    @abstractmethod
    async def get_status(
        self,
        instance_id: str,
        show_history: bool = False,
        show_history_output: bool = False,
        show_input: bool = False,
    ) -> DurableOrchestrationStatus | None:
        """Give the instance as it was last committed; None where there is none."""

    @abstractmethod
    async def get_status_all(self) -> list[DurableOrchestrationStatus]:
        """Give every instance, ordered by id."""

    @abstractmethod
    async def get_status_by(
        self,
        created_time_from: datetime | None = None,
        created_time_to: datetime | None = None,
        runtime_status: Sequence[OrchestrationRuntimeStatus] | None = None,
        instance_id_prefix: str | None = None,
    ) -> list[DurableOrchestrationStatus]:
        """Give the instances that match, ordered by id; times are inclusive."""

    @abstractmethod
    async def raise_event(
        self, instance_id: str, event_name: str, event_data: object = None
    ) -> None:
        """Send an event to an instance; it is kept until the instance waits for it.

        Raises:
            InstanceNotFoundError: There is no such instance.
            InstanceCompletedError: The instance has ended.
        """

    @abstractmethod
    async def terminate(self, instance_id: str, reason: str | None = None) -> None:
        """End an instance from outside; the reason becomes its output.

        Raises:
            InstanceNotFoundError: There is no such instance.
            InstanceCompletedError: The instance has ended.
        """

    @abstractmethod
    async def suspend(self, instance_id: str, reason: str | None = None) -> None:
        """Hold an instance: messages are kept, nothing runs until `resume`.

        Raises:
            InstanceNotFoundError: There is no such instance.
            InstanceCompletedError: The instance has ended.
        """

    @abstractmethod
    async def resume(self, instance_id: str, reason: str | None = None) -> None:
        """Let a suspended instance go on.

        Raises:
            InstanceNotFoundError: There is no such instance.
            InstanceCompletedError: The instance has ended.
        """

    @abstractmethod
    async def purge_instance_history(self, instance_id: str) -> PurgeHistoryResult:
        """Delete all that is stored of an instance that has ended; 0 where there is none.

        Raises:
            InstanceConflictError: The instance has not ended.
        """

    @abstractmethod
    async def purge_instance_history_by(
        self,
        created_time_from: datetime | None = None,
        created_time_to: datetime | None = None,
        runtime_status: Sequence[OrchestrationRuntimeStatus] | None = None,
    ) -> PurgeHistoryResult:
        """Delete the instances that match and have ended; those that still run stay."""

    @abstractmethod
    async def wait_for_completion(
        self, instance_id: str, timeout_s: float | None = None
    ) -> DurableOrchestrationStatus:
        """Wait, without polling, until the instance has ended.

        Raises:
            InstanceNotFoundError: There is no such instance.
            TimeoutError: It has not ended in time.
        """

    @abstractmethod
    async def signal_entity(
        self,
        entity: EntityId,
        operation_name: str,
        operation_input: object = None,
        *,
        at: datetime | timedelta | None = None,
        operation_id: str | None = None,
    ) -> None:
        """Send an operation to an entity, which it makes where there is none; no result comes back.

        Args:
            entity: Which one.
            operation_name: What to do.
            operation_input: With what; None for nothing.
            at: When to do it: a point in time (UTC without zone) or a span from now; None at once.
            operation_id: Names this very signal: whoever got no answer repeats it with the same id,
                and the operation is done once. An id is known for an hour.

        Signals of a caller who awaits each arrive in that order, delayed ones when they are due.

        Raises:
            FunctionNotFoundError: The app has no entity of that name.
            SerializationError: The input cannot be written as JSON.
        """

    @abstractmethod
    async def read_entity_state(
        self, entity: EntityId, expected_type: Any = None
    ) -> EntityStateResponse:
        """Give the state of an entity as it was last committed.

        Raises:
            SerializationError: It does not fit the type.
        """

    @abstractmethod
    async def get_entity(
        self, entity: EntityId, *, include_state: bool = True
    ) -> EntityMetadata | None:
        """Give an entity with its lock and who waits for it; None where there is none of it."""

    @abstractmethod
    async def list_entities(
        self,
        name: str | None = None,
        key_prefix: str = "",
        *,
        last_operation_from: datetime | None = None,
        last_operation_to: datetime | None = None,
        include_state: bool = False,
    ) -> list[EntityMetadata]:
        """Give the entities that match, by name and key; a prefix needs a name.

        Those that have no state are left out, unless they are locked or something waits for them.

        Raises:
            ValueError: There is a prefix and no name.
        """

    @abstractmethod
    async def clean_entity_storage(
        self, *, remove_empty_entities: bool = True, release_orphaned_locks: bool = True
    ) -> CleanEntityStorageResult:
        """Delete what is stored of entities without state, and free locks whose owner is gone."""

    @abstractmethod
    async def unlock_entity(self, entity: EntityId) -> bool:
        """Take a lock from its owner, whatever that does with it; False where nothing is locked.

        The owner is not told: what it still asks for is done like any other operation.
        """

    @abstractmethod
    async def get_dead_letters(self) -> list[DeadLetter]:
        """Give the messages that were set aside, oldest first and at most 1,000.

        A message is set aside where handling it has failed again and again. Only a hub on Azure
        Storage has such messages.
        """

    @abstractmethod
    async def retry_dead_letter(self, letter_id: str) -> bool:
        """Let a message be handled anew, once the cause is gone; False where there is none."""

    @abstractmethod
    async def drop_dead_letter(self, letter_id: str) -> bool:
        """Delete a message that was set aside, for good; False where there is none."""

    @abstractmethod
    def create_http_management_payload(
        self, instance_id: str, request: HttpRequest | None = None
    ) -> dict[str, str]:
        """Give the nine management URLs of an instance, on the origin of the request if given."""

    @abstractmethod
    def create_check_status_response(
        self, request: HttpRequest | None, instance_id: str
    ) -> HttpResponse:
        """Answer 202 with `Location`, `Retry-After: 10` and the management URLs as body."""

    @abstractmethod
    async def wait_for_completion_or_create_check_status_response(
        self,
        request: HttpRequest | None,
        instance_id: str,
        timeout_in_milliseconds: float = 10_000,
        retry_interval_in_milliseconds: float = 1_000,
    ) -> HttpResponse:
        """Answer with the output once the instance has ended, or 202 when the time is over.

        The wait is woken by the end of the instance; the interval is accepted for compatibility.
        Completed gives 200 and the output, Failed 500 and the status, Canceled and Terminated 200
        and the status.
        """
