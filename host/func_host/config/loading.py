"""Everything a host is told before it starts, read once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from func_host.config.app_settings import AppSettings, process_environment, read_app_settings
from func_host.config.document import ConfigError, override, read_document
from func_host.config.host_json import HostJson, read_host_json
from func_host.config.stores import choose_store

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from func_host.config.stores import Store

FILE_NAME: Final = "host.json"
OVERRIDE_PREFIX: Final = "AzureFunctionsJobHost__"


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """What a host is told.

    Args:
        root: Folder of host.json, absolute.
        app_dirs: Folders of the apps to load, in order.
        host_json: Settings.
        app_settings: App settings, the environment's included.
        store: Where the task hub is kept.
        warnings: Lines about settings that have no effect.
    """

    root: Path
    app_dirs: tuple[Path, ...]
    host_json: HostJson
    app_settings: AppSettings
    store: Store
    warnings: tuple[str, ...] = ()


def load_configuration(
    app_dir: Path,
    *,
    storage: str | None = None,
    environment: Mapping[str, str] | None = None,
) -> Configuration:
    """Read `host.json`, `local.settings.json` and the environment.

    Args:
        app_dir: Folder of host.json, or where it would be.
        storage: What was given to `--storage`.
        environment: Environment variables; those of this process where None.

    Raises:
        ConfigError: Something cannot be used; the message is one line with the remedy.
    """
    root = app_dir.absolute()
    if not root.is_dir():
        kind = "is not a folder" if root.exists() else "does not exist"
        raise ConfigError(f"{root} {kind}: give the folder of a function app.")
    settings = read_app_settings(
        root, process_environment() if environment is None else environment
    )
    document = override(read_document(root / FILE_NAME), OVERRIDE_PREFIX, settings.values)
    host_json, warnings = read_host_json(document, settings)
    return Configuration(
        root=root,
        app_dirs=_find_apps(root, host_json.app_patterns),
        host_json=host_json,
        app_settings=settings,
        store=choose_store(root, host_json.durable_task, settings, storage),
        warnings=tuple(warnings),
    )


def _find_apps(root: Path, patterns: tuple[str, ...] | None) -> tuple[Path, ...]:
    """Give the folders that the patterns name: in the order of the patterns, then by name.

    A folder without Python code (a README, a cache) is no app.
    """
    if patterns is None:
        return (root,)
    found: dict[Path, None] = {}
    for pattern in patterns:
        folders = [folder for folder in _matches(root, pattern) if _is_app(folder)]
        if not folders:
            raise ConfigError(
                f'{root / FILE_NAME}: funcHost.apps: no folder of an app matches "{pattern}" '
                f"below {root}; an app is a folder with Python modules."
            )
        found |= dict.fromkeys(sorted(folders))
    return tuple(found)


def _matches(root: Path, pattern: str) -> list[Path]:
    try:
        return list(root.glob(pattern))
    except (ValueError, NotImplementedError) as error:
        raise ConfigError(
            f'{root / FILE_NAME}: funcHost.apps: "{pattern}" is not a pattern below the folder of '
            f'host.json ({error}); write it like "samples/*".'
        ) from error


def _is_app(folder: Path) -> bool:
    if not folder.is_dir() or folder.name.startswith((".", "_")):
        return False
    return any(folder.glob("*.py")) or any(folder.glob("*/__init__.py"))
