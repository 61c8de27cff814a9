"""An inbox: what one user has not read in all rooms, and a mail about it after a while."""

from collections.abc import Generator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from func_bindings import Blueprint, EntityContext, OrchestrationContext, RetryOptions

from .messages import Digest, Message, Notice, ReadMark

blueprint = Blueprint()

UNREAD_MAX = 50  # of each room
MAIL = RetryOptions(first_retry_interval_in_milliseconds=1_000, max_number_of_attempts=5)


@dataclass(frozen=True)
class InboxSettings:
    """How long a message may stay unread before a mail tells of it."""

    mail_after_s: float


@blueprint.entity_trigger
@dataclass
class Inbox:
    mail_after_s: float = 600.0
    mail_at: datetime | None = None
    mails: int = 0
    unread: dict[str, list[Message]] = field(default_factory=dict[str, list[Message]])

    def configure(self, settings: InboxSettings) -> None:
        self.mail_after_s = settings.mail_after_s

    def receive(self, notice: Notice, context: EntityContext) -> None:
        earlier = self.unread.get(notice.room, [])
        self.unread[notice.room] = [*earlier, notice.message][-UNREAD_MAX:]
        if self.mail_at is None:
            due = context.current_utc_datetime + timedelta(seconds=self.mail_after_s)
            self.mail_at = due
            context.signal_entity(context.entity_id, "mail", due, at=due)

    def mark_read(self, mark: ReadMark) -> None:
        left = [each for each in self.unread.pop(mark.room, []) if each.number > mark.up_to]
        if left:
            self.unread[mark.room] = left
        if not self.unread:
            self.mail_at = None  # the signal that is on its way will find nothing to do

    def mail(self, due: datetime, context: EntityContext) -> None:
        if due != self.mail_at:
            return
        self.mail_at = None
        self.mails += 1
        unread = {room: len(messages) for room, messages in self.unread.items()}
        mail_id = f"mail-{context.entity_key}-{self.mails}"
        context.start_new(mail_unread, mail_id, Digest(context.entity_key, unread))


@blueprint.orchestration_trigger(context_name="context")
def mail_unread(context: OrchestrationContext) -> Generator[Any, Any, str]:
    digest = context.get_input(Digest)
    return (yield context.call_activity(send_mail, digest, retry=MAIL))


@blueprint.activity_trigger(input_name="digest")
def send_mail(digest: Digest) -> str:
    # A real one would talk to a mail server here.
    rooms = ", ".join(f"{count} in {room}" for room, count in sorted(digest.unread.items()))
    return f"To {digest.user}: you have not read {rooms}."
