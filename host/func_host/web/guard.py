"""Who may ask: by the master key where there is one, else by not being sent from elsewhere.

Without a key the host listens on loopback only, but any web page open on the machine can send
requests there. So a `Host` that is not a loopback name is refused (a page that rebinds its own
name to 127.0.0.1 sends its name), and so is a write that a browser says comes from another origin.
"""

from __future__ import annotations

import hmac
import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from func_host.web.call import Call
    from func_host.web.settings import WebSettings

_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_HOST = re.compile(r"(?P<name>\[[0-9a-fA-F:.]+\]|[^:\[\]]*)(:\d*)?")
_LOOPBACK_V4 = re.compile(r"127(\.\d{1,3}){3}", re.ASCII)


class Guard:
    """Refuses what must not be answered."""

    def __init__(self, settings: WebSettings) -> None:
        """Take the key, or the names and origins that are let in besides loopback."""
        self._key = None if settings.master_key is None else settings.master_key.encode()
        self._hosts = frozenset(name.lower() for name in settings.allowed_hosts)
        self._origins = frozenset(origin.lower() for origin in settings.allowed_origins)

    def refusal(self, call: Call) -> str | None:
        """Say why a request that needs no key is not answered; None where it may be."""
        if self._key is not None:
            return None
        host = call.header(b"host")
        if host is not None and not self._is_known(host):
            return (
                f"The Host header names '{host[:100]}', but this host answers to loopback names "
                "only as long as it needs no key."
            )
        origin = call.header(b"origin")
        if origin is None or call.method in _SAFE_METHODS or self._is_known_origin(origin):
            return None
        return f"Requests from the origin '{origin[:100]}' may not change anything here."

    def admits(self, call: Call) -> bool:
        """Tell whether the request carries the key, where one is needed."""
        if self._key is None:
            return True
        presented = call.header(b"x-functions-key")
        if presented is None:
            presented = call.query.text("code") or ""
        return hmac.compare_digest(presented.encode(errors="replace"), self._key)

    def _is_known(self, host: str) -> bool:
        found = _HOST.fullmatch(host.strip())
        if found is None:
            return False
        name = found["name"].lower().removesuffix(".")
        return is_loopback(name) or name in self._hosts

    def _is_known_origin(self, origin: str) -> bool:
        if origin.lower() in self._origins:
            return True
        parts = urlsplit(origin)
        return bool(parts.scheme) and self._is_known(parts.netloc) and parts.netloc != ""


def is_loopback(name: str) -> bool:
    """Tell whether a lower-case host name means this machine and nothing else."""
    return (
        name in ("localhost", "[::1]")
        or name.endswith(".localhost")
        or _LOOPBACK_V4.fullmatch(name) is not None
    )
