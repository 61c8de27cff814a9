"""Dead letters: messages whose handling kept raising, set aside so that they block nothing.

Each is a blob `{queue}/{message id}.json` in a container of the hub's own. Its text is that of the
queue, unchanged, so that it can be put back. A message is buried before it is deleted and put back
before its letter is deleted: a crash in between leaves it in both places, and receivers drop what
they have seen.
"""

from __future__ import annotations

import asyncio
import logging
import re
from contextlib import suppress
from datetime import datetime
from operator import attrgetter
from typing import TYPE_CHECKING, Final

import msgspec
from azure.core.exceptions import ResourceExistsError, ResourceNotFoundError
from azure.storage.blob import ContentSettings

from func_bindings.durable.dead_letters import DeadLetter
from func_host.durable.backend import DEAD_LETTERS_LISTED_MAX
from func_host.durable.backends.azure_storage.queue_text import TIME_TO_LIVE_S, from_queue_text
from func_host.durable.backends.azure_storage.wire_events import UnreadableError
from func_host.log import REASON, redact

if TYPE_CHECKING:
    from collections.abc import Sequence

    from func_host.durable.backends.azure_storage.client import StorageClients
    from func_host.durable.backends.azure_storage.names import TaskHubNames

REASON_LENGTH_MAX: Final = 500

_SUFFIX: Final = ".json"
_ID: Final = re.compile(r"[a-z0-9-]{3,63}/[A-Za-z0-9._-]{1,128}")
_CONTENT: Final = ContentSettings(content_type="application/json")
_AT_ONCE: Final = 16
logger = logging.getLogger(__name__)


class _Letter(msgspec.Struct, frozen=True, kw_only=True):
    """What the blob holds."""

    queue: str
    message_id: str
    instance_id: str | None
    reason: str
    attempts: int
    since: datetime
    text: str


class DeadLetters:
    """The dead letters of one hub; the container is made with the first of them."""

    def __init__(self, clients: StorageClients, names: TaskHubNames) -> None:
        self.container_name = names.dead_letters_container
        self._clients = clients

    async def bury(
        self,
        queue: str,
        message_id: str,
        text: str,
        *,
        instance_id: str | None,
        reason: str,
        attempts: int,
        now: datetime,
    ) -> None:
        """Store a message as a dead letter, once however often; the caller then deletes it."""
        letter = _Letter(
            queue=queue,
            message_id=message_id,
            instance_id=instance_id,
            reason=short_reason(reason),
            attempts=attempts,
            since=now,
            text=text,
        )
        await self._upload(_blob_name(letter_id_of(queue, message_id)), msgspec.json.encode(letter))

    async def all(self) -> Sequence[DeadLetter]:
        """Give the dead letters, oldest first; of very many, those first by id."""
        ids = await self._ids()
        found: list[DeadLetter | None] = []
        for first in range(0, len(ids), _AT_ONCE):
            found += await asyncio.gather(*map(self.get, ids[first : first + _AT_ONCE]))
        return sorted((letter for letter in found if letter is not None), key=attrgetter("since"))

    async def get(self, letter_id: str) -> DeadLetter | None:
        """Give a dead letter; None where there is none, or it cannot be read."""
        letter = await self._read(letter_id)
        if letter is None:
            return None
        return DeadLetter(
            id=letter_id,
            queue=letter.queue,
            instance_id=letter.instance_id,
            reason=letter.reason,
            attempts=letter.attempts,
            since=letter.since,
            text=shown_text(letter.text),
        )

    async def retry(self, letter_id: str) -> bool:
        """Put a message back into its queue, visible now; False where there is no such letter."""
        letter = await self._read(letter_id)
        if letter is None:
            return False
        queue = self._clients.queue(letter.queue)
        await queue.send_message(letter.text, time_to_live=TIME_TO_LIVE_S)
        await self.drop(letter_id)
        return True

    async def drop(self, letter_id: str) -> bool:
        """Delete a message for good; False where there is no such letter."""
        if not _ID.fullmatch(letter_id):
            return False
        container = self._clients.container(self.container_name)
        try:
            await container.delete_blob(_blob_name(letter_id))
        except ResourceNotFoundError:
            return False
        return True

    async def _upload(self, name: str, content: bytes) -> None:
        container = self._clients.container(self.container_name)
        try:
            await container.upload_blob(name, content, overwrite=True, content_settings=_CONTENT)
        except ResourceNotFoundError:
            with suppress(ResourceExistsError):  # another host was quicker
                await container.create_container()
            await container.upload_blob(name, content, overwrite=True, content_settings=_CONTENT)

    async def _ids(self) -> list[str]:
        ids: list[str] = []
        container = self._clients.container(self.container_name)
        with suppress(ResourceNotFoundError):  # no container: there never was one
            async for name in container.list_blob_names():
                if name.endswith(_SUFFIX):
                    ids.append(name.removesuffix(_SUFFIX))
                if len(ids) == DEAD_LETTERS_LISTED_MAX:
                    break
        return ids

    async def _read(self, letter_id: str) -> _Letter | None:
        if not _ID.fullmatch(letter_id):
            return None
        container = self._clients.container(self.container_name)
        try:
            download = await container.download_blob(_blob_name(letter_id))
            return msgspec.json.decode(await download.readall(), type=_Letter)
        except ResourceNotFoundError:
            return None
        except ValueError as error:
            reason = f"{letter_id}: {error}"
            logger.warning("a dead letter cannot be read", extra={REASON: reason})
            return None


def letter_id_of(queue: str, message_id: str) -> str:
    """Give the id of the dead letter that a message becomes."""
    return f"{queue}/{message_id}"


def short_reason(reason: str) -> str:
    """Give a reason as one line without secrets, cut where it is long."""
    line = redact(" ".join(reason.split()))
    return line if len(line) <= REASON_LENGTH_MAX else f"{line[: REASON_LENGTH_MAX - 1]}…"


def shown_text(text: str) -> str:
    """Give the JSON of a message, or its text as it is where that is no JSON."""
    try:
        content = from_queue_text(text)
        msgspec.json.decode(content, type=msgspec.Raw)
        return content.decode()
    except (UnreadableError, ValueError):
        return text


def _blob_name(letter_id: str) -> str:
    return f"{letter_id}{_SUFFIX}"
