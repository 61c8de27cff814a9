"""How many requests a storage account was asked, by kind: what a hub costs, made visible.

The kinds carry the names of Azure's REST operations. A `GetMessages` that found nothing counts as
`EmptyGetMessages`, so that polls can be told from work.
"""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qs, urlsplit

from func_host.durable.backend import RequestCount

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

NO_ANSWER: Final = 0
"""The status of a request that was never answered: nobody knows whether it took effect."""

EMPTY_POLL: Final = "EmptyGetMessages"

_LEASED: Final = "lease"


class StorageService(Enum):
    """The services of a storage account that a hub uses."""

    QUEUE = "queue"
    TABLE = "table"
    BLOB = "blob"


@dataclass(frozen=True, slots=True, order=True)
class RequestKind:
    """What requests are counted by.

    `status` is that of HTTP, or `NO_ANSWER`.
    """

    service: str
    operation: str
    status: int


class RequestCounter:
    """Counts requests; safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[RequestKind] = Counter()

    def add(self, kind: RequestKind) -> None:
        """Count one request."""
        with self._lock:
            self._counts[kind] += 1

    def snapshot(self) -> Mapping[RequestKind, int]:
        """Give the counts of this moment, in the order of their kinds."""
        with self._lock:
            return dict(sorted(self._counts.items()))

    def counts(self) -> Sequence[RequestCount]:
        """Give the same as a store tells it."""
        return tuple(
            RequestCount(
                service=kind.service, operation=kind.operation, status=kind.status, count=count
            )
            for kind, count in self.snapshot().items()
        )

    def total(self, *, with_polls: bool = True) -> int:
        """Give the number of all requests, or of all but the polls that found nothing."""
        with self._lock:
            return sum(
                count
                for kind, count in self._counts.items()
                if with_polls or kind.operation != EMPTY_POLL
            )


def operation_of(service: StorageService, method: str, url: str, headers: Mapping[str, str]) -> str:
    """Name the REST operation of a request."""
    parts = urlsplit(url)
    query = {name.lower(): values[0].lower() for name, values in parse_qs(parts.query).items()}
    match service:
        case StorageService.QUEUE:
            return _queue_operation(method, parts.path, query)
        case StorageService.TABLE:
            return _table_operation(method, parts.path, headers)
        case StorageService.BLOB:
            return _blob_operation(method, query)


def _queue_operation(method: str, path: str, query: Mapping[str, str]) -> str:
    if "/messages" not in path:
        if method == "GET":
            return "ListQueues" if query.get("comp") == "list" else "GetQueueMetadata"
        return {"PUT": "CreateQueue", "DELETE": "DeleteQueue"}.get(method, "GetQueueMetadata")
    if path.endswith("/messages"):
        if method == "GET":
            return "PeekMessages" if "peekonly" in query else "GetMessages"
        return "PutMessage" if method == "POST" else "ClearMessages"
    return "UpdateMessage" if method == "PUT" else "DeleteMessage"


def _table_operation(method: str, path: str, headers: Mapping[str, str]) -> str:
    last = path.rsplit("/", 1)[-1]
    if last == "$batch":
        return "EntityGroupTransaction"
    if last.startswith("Tables"):
        return {"POST": "CreateTable", "DELETE": "DeleteTable"}.get(method, "QueryTables")
    if "RowKey=" in last:
        return _row_operation(method, headers)
    return "InsertEntity" if method == "POST" else "QueryEntities"


def _row_operation(method: str, headers: Mapping[str, str]) -> str:
    is_conditional = any(name.lower() == "if-match" for name in headers)
    match method:
        case "PUT":
            return "UpdateEntity" if is_conditional else "InsertOrReplaceEntity"
        case "PATCH" | "MERGE":
            return "MergeEntity" if is_conditional else "InsertOrMergeEntity"
        case "DELETE":
            return "DeleteEntity"
        case _:
            return "GetEntity"


def _blob_operation(method: str, query: Mapping[str, str]) -> str:
    thing = "Container" if query.get("restype") == "container" else "Blob"
    if query.get("comp") == _LEASED:
        return f"Lease{thing}"
    if query.get("comp") == "list":
        return "ListBlobs" if thing == "Container" else "ListContainers"
    if thing == "Container":
        return {"PUT": "CreateContainer", "DELETE": "DeleteContainer"}.get(
            method, "GetContainerProperties"
        )
    return {
        "PUT": "PutBlob",
        "DELETE": "DeleteBlob",
        "HEAD": "GetBlobProperties",
    }.get(method, "GetBlob")
