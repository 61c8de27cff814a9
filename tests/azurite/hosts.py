"""Real `func-host start` processes on an emulator, each on a hub of its own unless one is named."""

from __future__ import annotations

from typing import TYPE_CHECKING

from func_host.clock import SystemIds
from tests.e2e.host_process import HostProcess

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tests.azurite.emulator import Azurite

_DURABLE = "AzureFunctionsJobHost__extensions__durableTask__"


def new_hub_name() -> str:
    """Give a hub that no other test has, on an emulator that others may have used before."""
    return f"Hub{SystemIds().new_id()[:12]}"


def storage_settings(azurite: Azurite, hub: str) -> dict[str, str]:
    """Give the settings that make a host serve this hub."""
    return {"AzureWebJobsStorage": azurite.connection_string, f"{_DURABLE}hubName": hub}


def on_azurite(
    azurite: Azurite,
    app: Path,
    folder: Path,
    *,
    hub: str | None = None,
    settings: Mapping[str, str] | None = None,
) -> HostProcess:
    """Name a host of the app on the emulator; nothing runs before it is started."""
    chosen = storage_settings(azurite, hub or new_hub_name())
    return HostProcess(app, folder, storage="azure", settings={**chosen, **(settings or {})})
