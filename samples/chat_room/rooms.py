"""A room: its members and its latest messages. It closes once nobody has written for a while."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from func_bindings import Blueprint, EntityContext, EntityId

from .messages import Draft, Message, Notice

blueprint = Blueprint()

MESSAGES_MAX = 100


class RoomError(Exception):
    """The room does not do this."""


@dataclass(frozen=True)
class RoomSettings:
    """How long a room stays open when nobody writes."""

    closes_after_s: float = 24 * 3600


@blueprint.entity_trigger
@dataclass
class Room:
    closes_after_s: float = 0.0
    closes_at: datetime | None = None
    members: list[str] = field(default_factory=list[str])
    messages: list[Message] = field(default_factory=list[Message])
    last_number: int = 0
    active_at: datetime | None = None

    def open(self, settings: RoomSettings, context: EntityContext) -> None:
        if self.closes_at is not None:
            raise RoomError("the room is open")
        self.closes_after_s = settings.closes_after_s
        self._close_later(context, context.current_utc_datetime)

    def join(self, user: str) -> None:
        self._check_open()
        if user not in self.members:
            self.members.append(user)

    def leave(self, user: str) -> None:
        if user in self.members:
            self.members.remove(user)

    def post(self, draft: Draft, context: EntityContext) -> int:
        self._check_open()
        if draft.author not in self.members:
            raise RoomError(f"{draft.author} is no member of the room")
        self.last_number += 1
        self.active_at = context.current_utc_datetime
        message = Message(self.last_number, draft.author, draft.text, self.active_at)
        self.messages = [*self.messages, message][-MESSAGES_MAX:]
        for member in self.members:
            if member != draft.author:
                notice = Notice(context.entity_key, message)
                context.signal_entity(EntityId("Inbox", member), "receive", notice)
        return message.number

    def close_if_idle(self, due: datetime, context: EntityContext) -> None:
        if self.closes_at is None:
            context.destruct_on_exit()
        elif due != self.closes_at:
            return  # asked for by an earlier room of this name
        elif self.active_at is None or self._closes_after(self.active_at) <= due:
            context.destruct_on_exit()
        else:
            self._close_later(context, self.active_at)

    def _close_later(self, context: EntityContext, active_at: datetime) -> None:
        # One signal to itself at a time, however many messages come meanwhile.
        due = self.closes_at = self._closes_after(active_at)
        context.signal_entity(context.entity_id, "close_if_idle", due, at=due)

    def _closes_after(self, moment: datetime) -> datetime:
        return moment + timedelta(seconds=self.closes_after_s)

    def _check_open(self) -> None:
        if self.closes_at is None:
            raise RoomError("there is no such room: it was never opened, or has closed")
