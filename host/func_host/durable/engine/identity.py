"""Names that are the same on every replay: ids and UUIDs derived from the execution."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

UUID_NAMESPACE = "9e952958-5e33-4daf-827f-2fa12937b875"
"""Namespace of `new_uuid` in every SDK of Durable Functions."""

_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_OID, UUID_NAMESPACE)


def new_uuid(instance_id: str, now: datetime, counter: int) -> str:
    """Derive the counter's UUID of an instance, as SDK 1.x does."""
    moment = now.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return str(uuid.uuid5(_NAMESPACE, f"{instance_id}_{moment}_{counter}"))


def new_guid(instance_id: str, now: datetime, counter: int) -> uuid.UUID:
    """Derive the counter's GUID of an instance, as SDK 1.x does."""
    return uuid.uuid5(uuid.NAMESPACE_URL, f"{instance_id}_{now}_{counter}")


def child_instance_id(execution_id: str, task_id: int) -> str:
    """Derive the id of a child that was given none, as the Durable Task Framework does."""
    return f"{execution_id}:{task_id}"


def child_execution_id(execution_id: str, task_id: int) -> str:
    """Derive the id of a child's execution: a start that is sent again starts the same one."""
    return uuid.uuid5(_NAMESPACE, child_instance_id(execution_id, task_id)).hex


def request_id(instance_id: str, execution_id: str, step: int) -> str:
    """Derive the id of a request to an entity: one that is sent again goes by the same one."""
    return str(uuid.uuid5(_NAMESPACE, f"{instance_id}:{execution_id}:{step}"))


def check_storable(*texts: str | None) -> None:
    """Refuse names that no store can hold.

    Raises:
        ValueError: One holds half of a surrogate pair, which UTF-8 has no form for.
    """
    for text in texts:
        try:
            (text or "").encode()
        except UnicodeEncodeError as error:
            raise ValueError(f"{text!a} cannot be written as UTF-8: use another name.") from error


INSTANCE_ID_LENGTH_MAX = 256
"""Longest id of an instance, as the extension does."""


def check_instance_id(instance_id: str) -> None:
    """Refuse an id that the extension refuses, in its words.

    Raises:
        ValueError: The id is empty, too long, starts with `@` or holds a forbidden character.
    """
    if not instance_id:
        raise ValueError("instanceId (Parameter 'Orchestration instance ids must not be empty.')")
    if instance_id.startswith("@"):
        raise ValueError(
            "instanceId (Parameter 'Orchestration instance ids must not start with @.')"
        )
    if any(c in "/\\#?" or ord(c) < 0x20 or 0x7F <= ord(c) <= 0x9F for c in instance_id):  # noqa: PLR2004 -- the C0 and C1 control characters
        raise ValueError(
            "instanceId (Parameter 'Orchestration instance ids must not contain /, \\, #, ?, or "
            "control characters.')"
        )
    if len(instance_id) > INSTANCE_ID_LENGTH_MAX:
        raise ValueError("Instance ID lengths must not exceed 256 characters.")
