"""What rooms and inboxes hand to each other; all of it is stored as JSON."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class Draft:
    """What somebody wants to say."""

    author: str
    text: str


@dataclass(frozen=True)
class Message:
    """What was said in a room, under its number there."""

    number: int
    author: str
    text: str
    at: datetime


@dataclass(frozen=True)
class Notice:
    """A message for somebody who may not be looking."""

    room: str
    message: Message


@dataclass(frozen=True)
class ReadMark:
    """Somebody has read a room up to this number."""

    room: str
    up_to: int


@dataclass(frozen=True)
class Digest:
    """What somebody has not read for a while: how many messages of each room."""

    user: str
    unread: dict[str, int]
