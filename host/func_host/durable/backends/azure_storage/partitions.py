"""Which partition an instance belongs to, and the id under which an app holds its hub: FNV-1a."""

from __future__ import annotations

from functools import lru_cache
from typing import Final
from uuid import UUID

_OFFSET_BASIS: Final = 2166136261
_PRIME: Final = 16777619
_MASK: Final = 0xFFFFFFFF


def fnv1a_32(text: str) -> int:
    """Hash a text in UTF-8."""
    value = _OFFSET_BASIS
    for byte in text.encode():
        value = (value ^ byte) * _PRIME & _MASK
    return value


@lru_cache(maxsize=10_000)
def partition_of(instance_id: str, partition_count: int) -> int:
    """Give the index of the control queue that takes the messages of an instance.

    The id is taken as it is: case counts, nothing is escaped.
    """
    return fnv1a_32(instance_id) % partition_count


def app_lease_id(app_name: str) -> str:
    """Give the lease id under which every worker of one app holds the hub."""
    return str(UUID(fields=(fnv1a_32(app_name), 0, 0, 0, 0, 0)))
