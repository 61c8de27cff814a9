"""What the HTTP side is told by its surroundings."""

from __future__ import annotations

from dataclasses import dataclass, field

DEFAULT_BODY_MAX = 104_857_600


@dataclass(frozen=True, slots=True, kw_only=True)
class WebSettings:
    """Settings of the HTTP side; the defaults are Azure's.

    Args:
        route_prefix: First part of the path of every user function; may be empty.
        master_key: Key that every request needs; None where only loopback is listened on, then
            none is needed and requests that a browser was tricked into are refused instead.
        task_hub: Name of the hub that the management API serves.
        connection: Name of the storage connection, as links show it.
        body_bytes_max: Longest request body; a longer one is answered 413.
        page_size_max: Most instances in one page of a list.
        allowed_hosts: Names besides loopback that a `Host` header may hold while no key is needed.
        allowed_origins: Origins (`https://portal.example`) that may write while no key is needed.
        host_id: Id of the host in `/admin/host/status`.
        host_instance_id: Id of this process there.
        version: Version shown there.
    """

    route_prefix: str = "api"
    master_key: str | None = field(default=None, repr=False)
    task_hub: str = "TestHubName"
    connection: str = "Storage"
    body_bytes_max: int = DEFAULT_BODY_MAX
    page_size_max: int = 1000
    allowed_hosts: frozenset[str] = frozenset()
    allowed_origins: frozenset[str] = frozenset()
    host_id: str = "func-host"
    host_instance_id: str = ""
    version: str = ""
