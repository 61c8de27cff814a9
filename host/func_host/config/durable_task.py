"""`extensions.durableTask`: the task hub, its limits and its store."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field, replace
from datetime import timedelta
from enum import Enum
from typing import TYPE_CHECKING, Final

from func_host.config.app_lease import AppLeaseOptions, read_app_lease
from func_host.config.storage_provider import StorageProvider, read_storage_provider

if TYPE_CHECKING:
    from func_host.config.app_settings import AppSettings
    from func_host.config.section import Section

DEFAULT_HUB_NAME: Final = "TestHubName"

_HUB_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9]{2,49}")
_HUB_NAME_LENGTH_MAX: Final = 45
_HUB_NAME_LENGTH_MIN: Final = 3
_MINUTE: Final = timedelta(minutes=1)
_WINDOW_MAX_MINUTES: Final = 7 * 24 * 60


class OverridableStates(Enum):
    """`overridableExistingInstanceStates`: which instances a start under the same id replaces."""

    NON_RUNNING_STATES = "NonRunningStates"
    ANY_STATE = "AnyState"


@dataclass(frozen=True, slots=True, kw_only=True)
class DurableTaskSettings:
    """`extensions.durableTask`.

    Args:
        hub_name: Name of the task hub.
        max_concurrent_activity_functions: How many activities run at a time.
        max_concurrent_orchestrator_functions: How many orchestrations take a step at a time.
        max_concurrent_entity_functions: How many entities run operations at a time.
        max_entity_operation_batch_size: How many operations of one entity share a commit.
        entity_message_reorder_window: How long a request to an entity waits for one that was sent
            before it, where the store does not keep their order; zero for not at all.
        rollback_entity_operations_on_exceptions: Whether an operation that fails leaves the state
            as it was.
        overridable_existing_instance_states: Which instances a start under the same id replaces.
        default_version: Version of instances that are started without one.
        max_orchestration_actions: An execution that asks for more steps than this is failed.
        store_inputs_in_orchestration_history: Whether history keeps the inputs of activities and
            sub-orchestrations.
        storage_provider: Where the hub is stored.
        app_lease: How one app keeps others from its hub; None where it does not.
    """

    hub_name: str = DEFAULT_HUB_NAME
    max_concurrent_activity_functions: int = field(
        default_factory=lambda: 10 * (os.cpu_count() or 1)
    )
    max_concurrent_orchestrator_functions: int = 100
    max_concurrent_entity_functions: int = field(default_factory=lambda: 10 * (os.cpu_count() or 1))
    max_entity_operation_batch_size: int = 5_000
    entity_message_reorder_window: timedelta = timedelta(minutes=30)
    rollback_entity_operations_on_exceptions: bool = True
    overridable_existing_instance_states: OverridableStates = OverridableStates.NON_RUNNING_STATES
    default_version: str = ""
    max_orchestration_actions: int = 100_000
    store_inputs_in_orchestration_history: bool = False
    storage_provider: StorageProvider = field(default_factory=StorageProvider)
    app_lease: AppLeaseOptions | None = field(default_factory=AppLeaseOptions)


def read_durable_task(section: Section, settings: AppSettings) -> DurableTaskSettings:
    """Read the section.

    Raises:
        ConfigError: A value cannot be used.
    """
    defaults = DurableTaskSettings()
    states = section.choice("overridableExistingInstanceStates", OverridableStates)
    without_entities = DurableTaskSettings(
        hub_name=_read_hub_name(section, settings),
        max_concurrent_activity_functions=section.integer(
            "maxConcurrentActivityFunctions",
            defaults.max_concurrent_activity_functions,
            at_least=1,
        ),
        max_concurrent_orchestrator_functions=section.integer(
            "maxConcurrentOrchestratorFunctions",
            defaults.max_concurrent_orchestrator_functions,
            at_least=1,
        ),
        overridable_existing_instance_states=(
            states or defaults.overridable_existing_instance_states
        ),
        default_version=section.string("defaultVersion") or defaults.default_version,
        max_orchestration_actions=section.integer(
            "maxOrchestrationActions", defaults.max_orchestration_actions, at_least=1
        ),
        store_inputs_in_orchestration_history=section.boolean(
            "storeInputsInOrchestrationHistory", default=False
        ),
        storage_provider=read_storage_provider(section.section("storageProvider")),
        app_lease=read_app_lease(section),
    )
    return _read_entities(section, without_entities)


def _read_entities(section: Section, settings: DurableTaskSettings) -> DurableTaskSettings:
    """Give the settings with those of entities."""
    window = section.integer(
        "entityMessageReorderWindowInMinutes",
        int(settings.entity_message_reorder_window / _MINUTE),
        at_least=0,
        at_most=_WINDOW_MAX_MINUTES,
    )
    return replace(
        settings,
        max_concurrent_entity_functions=section.integer(
            "maxConcurrentEntityFunctions", settings.max_concurrent_entity_functions, at_least=1
        ),
        max_entity_operation_batch_size=section.integer(
            "maxEntityOperationBatchSize", settings.max_entity_operation_batch_size, at_least=1
        ),
        entity_message_reorder_window=window * _MINUTE,
        rollback_entity_operations_on_exceptions=section.boolean(
            "rollbackEntityOperationsOnExceptions",
            default=settings.rollback_entity_operations_on_exceptions,
        ),
    )


def default_hub_name(site_name: str | None) -> str:
    """Make a hub name of the site's name, as the extension does."""
    if not site_name:
        return DEFAULT_HUB_NAME
    name = "".join(letter for letter in site_name if letter.isalnum() and letter.isascii())
    if not name:
        return "DefaultTaskHub"
    if name[0].isdigit():
        name = f"t{name}"
    name = name[:_HUB_NAME_LENGTH_MAX]
    return name if len(name) >= _HUB_NAME_LENGTH_MIN else f"{name}Hub"


def _read_hub_name(section: Section, settings: AppSettings) -> str:
    written = section.string("hubName")
    if not written:
        return default_hub_name(settings.get("WEBSITE_SITE_NAME"))
    try:
        name = settings.resolve(written)
    except LookupError as error:
        raise section.error(
            "hubName", f"{error}; set it in the environment or in local.settings.json."
        ) from error
    if not _HUB_NAME.fullmatch(name):
        raise section.error(
            "hubName",
            f'"{name}" is not a task hub name: use a letter, then letters and digits only, '
            "3 to 50 in all.",
        )
    return name
