"""The critical section of an orchestrator: which entities are its own, and what it may not do.

It begins when the lock is asked for, as in the Durable Task Framework: while the request is open
nothing may be called, since whether that comes before the lock or behind it would be chance.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NoReturn

from func_bindings.errors import LockingRulesViolationError

if TYPE_CHECKING:
    from func_bindings.durable.entities import EntityId


@dataclass(slots=True)
class Section:
    """A critical section that has not been left.

    Args:
        request_id: Id of the request for the lock.
        entities: What is locked, in the order in which it is asked for.
        is_granted: The lock is held.
        busy: Ids of the entities that have not answered a call.
    """

    request_id: str
    entities: tuple[EntityId, ...]
    is_granted: bool = False
    busy: set[str] = field(default_factory=set[str])

    def check_call(self, entity: EntityId) -> None:
        """Refuse to call what is not locked, or has not answered yet.

        Raises:
            LockingRulesViolationError: The call breaks a rule.
        """
        if not self.is_granted:
            _refuse(f"'{entity}' cannot be called while a lock is asked for: await the lock first.")
        if entity not in self.entities:
            _refuse(
                f"'{entity}' cannot be called inside context.lock, which holds {self._names}: lock "
                "it too, or call it outside."
            )
        if str(entity) in self.busy:
            _refuse(
                f"'{entity}' has not answered the call before: inside context.lock an entity takes "
                "one call at a time, so await that one first."
            )

    def check_signal(self, entity: EntityId) -> None:
        """Refuse to signal what is locked.

        Raises:
            LockingRulesViolationError: The entity is locked, or is being so.
        """
        if entity in self.entities:
            _refuse(
                f"'{entity}' cannot be signalled while context.lock holds it: call it, or signal "
                "it outside."
            )

    def refuse_lock(self) -> NoReturn:
        """Refuse another lock.

        Raises:
            LockingRulesViolationError: Always.
        """
        verb = "holds" if self.is_granted else "is waiting for"
        _refuse(
            f"This orchestration {verb} {self._names}, so nothing else can be locked: lock all "
            "entities at once, or leave the block first."
        )

    def refuse_child(self) -> NoReturn:
        """Refuse a sub-orchestration.

        Raises:
            LockingRulesViolationError: Always.
        """
        _refuse(
            f"No sub-orchestration can be started inside context.lock, which holds {self._names}: "
            "start it outside, or do the work in an activity."
        )

    @property
    def _names(self) -> str:
        return ", ".join(f"'{entity}'" for entity in self.entities)


def _refuse(message: str) -> NoReturn:
    raise LockingRulesViolationError(message)
