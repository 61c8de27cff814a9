"""What every session has, of an orchestration or an entity: its mail, and what the worker notes."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from func_host.durable.backend import Message, Release

if TYPE_CHECKING:
    from collections.abc import Iterable

    from func_host.durable.backend import MessageId


class MailboxSession:
    """One active instance: messages that have arrived, and how it is doing."""

    def __init__(self, instance_id: str) -> None:
        """Make a session that has not been loaded."""
        self.instance_id = instance_id
        self.mailbox: deque[Message] = deque()
        self.is_loaded = False
        self.is_lingering = False
        self.is_due = False  # what has lingered is to be committed, whatever else arrives
        self.release: Release | None = None  # what the store has asked to hand over
        self.has_excess = False  # more of its activities wait here than this process can run
        self.is_void = False  # what is in memory is not to be gone on with
        self.is_reopened = False  # what is stored may say more than what is in memory
        self.failures = 0
        self._held: set[MessageId] = set()

    def receive(self, messages: Iterable[Message], *, is_replaced: bool = False) -> None:
        """Take messages of the store; one that is held already (handed out twice) is ignored.

        What was held of an instance that a client has replaced is void.
        """
        if is_replaced:
            self.forget_mail()
        for message in messages:
            if message.id not in self._held:
                self._held.add(message.id)
                self.mailbox.append(message)

    def forget_mail(self) -> None:
        """Drop what has arrived and was not consumed."""
        self.mailbox.clear()

    def ask_release(self, release: Release | None) -> None:
        """Note what the store asks to hand over; the whole instance is more than a part of it."""
        if self.release is not Release.INSTANCE:
            self.release = release or self.release
