"""What is sent to entities and by them, as the JSON of the extension's entity scheduler.

Each is the `Input` of an `EventRaised`, whose name says what it is: `op` or `op@<time>` for a
request (an operation or a lock), `release` for an unlock, `continue` for a wake-up; an answer goes
by the id of its request. Members have the order in which the extension writes them, and those from
orchestrations and entities begin with its `$type`.

Moments that order requests (stamps) are whole 100 ns since the year 1, as .NET counts them.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final, TypeAlias

import msgspec

from func_host.durable.actions import SendEvent
from func_host.durable.history import EventRaised, EventSent, Failure

OPERATION: Final = "op"
RELEASE: Final = "release"
CONTINUE: Final = "continue"

Stamp: TypeAlias = int

Carrier: TypeAlias = EventRaised | EventSent | SendEvent
"""What holds a message: as it arrives, as it is recorded, and as it is asked for."""

_TYPE: Final = (
    "Microsoft.Azure.WebJobs.Extensions.DurableTask.{0}, "
    "Microsoft.Azure.WebJobs.Extensions.DurableTask"
)
_YEAR_ONE: Final = datetime(1, 1, 1, tzinfo=UTC)
_NO_STAMP: Final = "0001-01-01T00:00:00"
_TO_SECONDS: Final = len(_NO_STAMP)
_MICROSECOND: Final = timedelta(microseconds=1)


def is_entity(instance_id: str) -> bool:
    """Tell whether an instance stands for an entity."""
    return instance_id.startswith("@") and instance_id.find("@", 1) > 1


def stamp_of(moment: datetime) -> Stamp:
    """Give a moment as whole 100 ns since the year 1."""
    return (moment - _YEAR_ONE) // _MICROSECOND * 10


def stamp_text(stamp: Stamp) -> str:
    """Write a stamp as .NET does: no zeros at the end, and no zone for the lowest one."""
    if stamp <= 0:
        return _NO_STAMP
    seconds, ticks = divmod(stamp, 10_000_000)
    text = (_YEAR_ONE + timedelta(seconds=seconds)).isoformat()[:_TO_SECONDS]
    fraction = f"{ticks:07}".rstrip("0")
    return f"{text}.{fraction}Z" if fraction else f"{text}Z"


def read_stamp(text: str) -> Stamp:
    """Read a stamp; without a zone it is UTC.

    Raises:
        ValueError: The text is not a moment.
    """
    if text.startswith("0001-01-01"):
        return 0
    head, _, fraction = text.removesuffix("Z").removesuffix("+00:00").partition(".")
    moment = datetime.fromisoformat(head)
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    return stamp_of(moment) + int((fraction + "0000000")[:7])


def moment_of(text: str) -> datetime:
    """Read a stamp as aware UTC, to the microsecond.

    Raises:
        ValueError: The text is not a moment.
    """
    return _YEAR_ONE + timedelta(microseconds=read_stamp(text) // 10)


class LockTarget(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An entity in the list of those that a lock is to hold; its name is in lower case."""

    type_: str = msgspec.field(default="", name="$type")
    name: str
    key: str

    @property
    def instance_id(self) -> str:
        """The id of the instance that stands for the entity."""
        return f"@{self.name}@{self.key}"


class Request(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An operation to run, or a lock to be granted; `op` is None for a lock.

    Args:
        type_: The type of .NET; only orchestrations and entities write it.
        op: Name of the operation.
        signal: Nobody waits for a result.
        input: JSON text.
        id: Names the request in its answer.
        parent: Instance id of the orchestration or entity that sent it; None for a client.
        parent_execution: Execution id of a sending orchestration.
        due: When to run, as text; None for at once.
        timestamp: Stamp that grows with each request of one sender to one entity, as text.
        predecessor: The stamp before, as text; year 1 for the first.
        lockset: All that the lock is to hold, in the order in which it is asked for.
        pos: Which of them this entity is.
    """

    type_: str = msgspec.field(default="", name="$type")
    op: str | None
    signal: bool = False
    input: str | None = None
    id: str
    parent: str | None = None
    parent_execution: str | None = msgspec.field(default=None, name="parentExecution")
    due: str | None = None
    timestamp: str = msgspec.field(name="Timestamp")
    predecessor: str = msgspec.field(name="Predecessor")
    lockset: tuple[LockTarget, ...] | None = None
    pos: int = 0

    @property
    def is_lock(self) -> bool:
        """Whether it asks for a lock."""
        return self.lockset is not None


class Response(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How an operation ended, or that a lock is held.

    `exception_type` says that it failed; then `result` is text, the message of the failure or the
    exception as .NET serializes it, and not JSON of ours.
    """

    type_: str = msgspec.field(default="", name="$type")
    result: str | None = None
    exception_type: str | None = msgspec.field(default=None, name="exceptionType")
    failure_details: Failure | None = msgspec.field(default=None, name="failureDetails")

    @property
    def is_failure(self) -> bool:
        """Whether the operation failed."""
        return self.exception_type is not None or self.failure_details is not None


class Release(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Gives a lock back, or withdraws the request for one: `id` is that of the request."""

    type_: str = msgspec.field(default="", name="$type")
    parent: str
    id: str


_encode = msgspec.json.Encoder().encode
_read_request = msgspec.json.Decoder(Request).decode
_read_response = msgspec.json.Decoder(Response).decode
_read_release = msgspec.json.Decoder(Release).decode

REQUEST_TYPE: Final = _TYPE.format("RequestMessage")
RELEASE_TYPE: Final = _TYPE.format("ReleaseMessage")
RESPONSE_TYPE: Final = _TYPE.format("ResponseMessage")
ENTITY_ID_TYPE: Final = _TYPE.format("EntityId")


def operation(
    *,
    id: str,  # noqa: A002 -- the member is called so
    op: str,
    input: str | None = None,  # noqa: A002 -- likewise
    is_signal: bool,
    parent: str | None = None,
    parent_execution: str | None = None,
    due: datetime | None = None,
    stamp: Stamp = 0,
    predecessor: Stamp = 0,
) -> Request:
    """Make the request for an operation; one that is due later has no place in the order."""
    return Request(
        type_="" if parent is None else REQUEST_TYPE,
        op=op,
        signal=is_signal,
        input=input,
        id=id,
        parent=parent,
        parent_execution=parent_execution,
        due=None if due is None else stamp_text(stamp_of(due)),
        timestamp=stamp_text(0 if due is not None else stamp),
        predecessor=stamp_text(0 if due is not None else predecessor),
    )


def lock(
    *,
    id: str,  # noqa: A002 -- the member is called so
    parent: str,
    parent_execution: str,
    targets: tuple[tuple[str, str], ...],
    stamp: Stamp,
    predecessor: Stamp,
) -> Request:
    """Make the request for a lock over entities: name (in lower case) and key of each, in order."""
    return Request(
        type_=REQUEST_TYPE,
        op=None,
        id=id,
        parent=parent,
        parent_execution=parent_execution,
        timestamp=stamp_text(stamp),
        predecessor=stamp_text(predecessor),
        lockset=tuple(
            LockTarget(type_=ENTITY_ID_TYPE, name=name, key=key) for name, key in targets
        ),
    )


def request_event(request: Request, now: datetime) -> EventRaised:
    """Give the event that carries a request."""
    name = OPERATION if request.due is None else f"{OPERATION}@{_round_trip(request.due)}"
    return EventRaised(timestamp=now, name=name, input=_encode(request).decode())


def _round_trip(due: str) -> str:
    head, _, fraction = due.removesuffix("Z").partition(".")
    return f"{head}.{fraction:0<7}Z"


def release_event(parent: str, request_id: str, now: datetime) -> EventRaised:
    """Give the event that gives a lock back."""
    text = _encode(Release(type_=RELEASE_TYPE, parent=parent, id=request_id)).decode()
    return EventRaised(timestamp=now, name=RELEASE, input=text)


def granted_event(request: Request, now: datetime) -> EventRaised:
    """Give the event that tells an orchestration that it holds its locks."""
    response = Response(type_=RESPONSE_TYPE, result="Lock Acquisition Completed")
    return EventRaised(timestamp=now, name=request.id, input=_encode(response).decode())


def response_event(request: Request, response: Response, now: datetime) -> EventRaised:
    """Give the event that answers a call."""
    return EventRaised(timestamp=now, name=request.id, input=_encode(response).decode())


def is_request(event: Carrier) -> bool:
    """Tell whether an event to an entity is a request, as the extension does."""
    return event.name.startswith(OPERATION)


def read_request(event: Carrier) -> Request:
    """Read a request.

    Raises:
        ValueError: It is not one.
    """
    return _read_request(event.input or "null")


def read_release(event: Carrier) -> Release:
    """Read the giving back of a lock.

    Raises:
        ValueError: It is not one.
    """
    return _read_release(event.input or "null")


def read_response(text: str | None) -> Response:
    """Read an answer.

    Raises:
        ValueError: It is not one.
    """
    return _read_response(text or "null")
