"""What a function app imports: decorators, app objects, contexts, clients and values."""

from func_bindings.app import Blueprint, FunctionApp
from func_bindings.durable.client import DurableClient
from func_bindings.durable.context import OrchestrationContext
from func_bindings.durable.dead_letters import DeadLetter
from func_bindings.durable.entities import (
    CleanEntityStorageResult,
    EntityContext,
    EntityId,
    EntityMetadata,
    EntityStateResponse,
    LockWaiter,
)
from func_bindings.durable.locks import CriticalSection
from func_bindings.durable.proxies import EntityProxy
from func_bindings.durable.retry import RetryOptions
from func_bindings.durable.status import (
    DurableOrchestrationStatus,
    OrchestrationRuntimeStatus,
    PurgeHistoryResult,
)
from func_bindings.durable.tasks import Task, TimerTask
from func_bindings.durable.triggers import (
    activity_trigger,
    durable_client,
    durable_client_input,
    entity_trigger,
    orchestration_trigger,
)
from func_bindings.errors import (
    FailureDetails,
    FunctionNotFoundError,
    FunctionsError,
    FunctionTimeoutError,
    InstanceAlreadyExistsError,
    InstanceCompletedError,
    InstanceConflictError,
    InstanceNotFoundError,
    LockingRulesViolationError,
    NonDeterminismError,
    SerializationError,
    TaskCancelledError,
    TaskFailedError,
    TaskNotCompletedError,
)
from func_bindings.http import AuthLevel, HttpHeaders, HttpMethod, HttpRequest, HttpResponse
from func_bindings.triggers import function_name, http_trigger, route

__all__ = [
    "AuthLevel",
    "Blueprint",
    "CleanEntityStorageResult",
    "CriticalSection",
    "DeadLetter",
    "DurableClient",
    "DurableOrchestrationStatus",
    "EntityContext",
    "EntityId",
    "EntityMetadata",
    "EntityProxy",
    "EntityStateResponse",
    "FailureDetails",
    "FunctionApp",
    "FunctionNotFoundError",
    "FunctionTimeoutError",
    "FunctionsError",
    "HttpHeaders",
    "HttpMethod",
    "HttpRequest",
    "HttpResponse",
    "InstanceAlreadyExistsError",
    "InstanceCompletedError",
    "InstanceConflictError",
    "InstanceNotFoundError",
    "LockWaiter",
    "LockingRulesViolationError",
    "NonDeterminismError",
    "OrchestrationContext",
    "OrchestrationRuntimeStatus",
    "PurgeHistoryResult",
    "RetryOptions",
    "SerializationError",
    "Task",
    "TaskCancelledError",
    "TaskFailedError",
    "TaskNotCompletedError",
    "TimerTask",
    "activity_trigger",
    "durable_client",
    "durable_client_input",
    "entity_trigger",
    "function_name",
    "http_trigger",
    "orchestration_trigger",
    "route",
]
