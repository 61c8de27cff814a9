"""The dead letters of a store whose messages lie in no queue: there are none."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from func_bindings.durable.dead_letters import DeadLetter


class NoDeadLetters:
    """The part of a `Backend` that tells of dead letters, where there never is one."""

    async def dead_letters(self) -> Sequence[DeadLetter]:
        """Give none."""
        return ()

    async def retry_dead_letter(self, letter_id: str) -> bool:  # noqa: ARG002 -- there is none
        """Find none of this id."""
        return False

    async def drop_dead_letter(self, letter_id: str) -> bool:  # noqa: ARG002 -- there is none
        """Find none of this id."""
        return False
