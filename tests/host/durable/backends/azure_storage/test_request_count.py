"""Requests are counted by what they ask for, in the words of Azure's REST interface."""

from __future__ import annotations

import threading

import pytest

from func_host.durable.backend import RequestCount
from func_host.durable.backends.azure_storage.request_count import (
    EMPTY_POLL,
    RequestCounter,
    RequestKind,
    StorageService,
    operation_of,
)

ROOT = "http://127.0.0.1:10001/devstoreaccount1"
ROW = "/HubInstances(PartitionKey='a',RowKey='')"


@pytest.mark.parametrize(
    ("service", "method", "path", "operation"),
    [
        ("queue", "PUT", "/hub-control-00", "CreateQueue"),
        ("queue", "DELETE", "/hub-control-00", "DeleteQueue"),
        ("queue", "HEAD", "/hub-control-00?comp=metadata", "GetQueueMetadata"),
        ("queue", "GET", "/?comp=list", "ListQueues"),
        ("queue", "POST", "/hub-control-00/messages?messagettl=-1", "PutMessage"),
        ("queue", "GET", "/hub-control-00/messages?numofmessages=32", "GetMessages"),
        ("queue", "GET", "/hub-control-00/messages?peekonly=true", "PeekMessages"),
        ("queue", "DELETE", "/hub-control-00/messages", "ClearMessages"),
        ("queue", "PUT", "/hub-control-00/messages/id?popreceipt=r", "UpdateMessage"),
        ("queue", "DELETE", "/hub-control-00/messages/id?popreceipt=r", "DeleteMessage"),
        ("table", "POST", "/$batch", "EntityGroupTransaction"),
        ("table", "POST", "/Tables", "CreateTable"),
        ("table", "DELETE", "/Tables('HubHistory')", "DeleteTable"),
        ("table", "POST", "/HubInstances", "InsertEntity"),
        ("table", "GET", "/HubInstances()?$filter=x", "QueryEntities"),
        ("table", "GET", ROW, "GetEntity"),
        ("table", "PUT", ROW, "InsertOrReplaceEntity"),
        ("table", "PATCH", ROW, "InsertOrMergeEntity"),
        ("table", "DELETE", ROW, "DeleteEntity"),
        ("blob", "PUT", "/hub-applease?restype=container", "CreateContainer"),
        ("blob", "PUT", "/hub-applease?restype=container&comp=lease", "LeaseContainer"),
        ("blob", "GET", "/hub-leases?restype=container&comp=list", "ListBlobs"),
        ("blob", "PUT", "/c/b?comp=lease", "LeaseBlob"),
        ("blob", "PUT", "/c/b", "PutBlob"),
        ("blob", "GET", "/c/b", "GetBlob"),
        ("blob", "HEAD", "/c/b", "GetBlobProperties"),
        ("blob", "DELETE", "/c/b", "DeleteBlob"),
    ],
)
def test_a_request_has_the_name_of_its_operation(
    service: str, method: str, path: str, operation: str
) -> None:
    assert operation_of(StorageService(service), method, ROOT + path, {}) == operation


def test_a_conditional_write_is_another_operation_than_one_without_condition() -> None:
    def named(method: str) -> str:
        return operation_of(StorageService.TABLE, method, ROOT + ROW, {"If-Match": 'W/"1"'})

    assert named("PUT") == "UpdateEntity"
    assert named("PATCH") == "MergeEntity"


def test_polls_that_find_nothing_can_be_left_out() -> None:
    counter = RequestCounter()
    counter.add(RequestKind("queue", "GetMessages", 200))
    counter.add(RequestKind("queue", EMPTY_POLL, 200))
    counter.add(RequestKind("queue", EMPTY_POLL, 200))

    assert counter.total() == 3
    assert counter.total(with_polls=False) == 1
    assert dict(counter.snapshot()) == {
        RequestKind("queue", EMPTY_POLL, 200): 2,
        RequestKind("queue", "GetMessages", 200): 1,
    }


def test_a_store_is_told_the_counts_in_the_order_of_their_kinds() -> None:
    counter = RequestCounter()
    for operation, status in [("PutMessage", 201), ("GetMessages", 200), ("PutMessage", 201)]:
        counter.add(RequestKind("queue", operation, status))

    assert counter.counts() == (
        RequestCount(service="queue", operation="GetMessages", status=200, count=1),
        RequestCount(service="queue", operation="PutMessage", status=201, count=2),
    )


def test_threads_may_count_at_once() -> None:
    counter = RequestCounter()
    kind = RequestKind("table", "QueryEntities", 200)

    def count() -> None:
        for _ in range(5_000):
            counter.add(kind)

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert counter.total() == 20_000
