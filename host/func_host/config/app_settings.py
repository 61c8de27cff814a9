"""App settings: what `local.settings.json` says, under what the environment says."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, cast

from func_host.config.document import ConfigError, Document, read_document
from func_host.config.section import Section

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

FILE_NAME: Final = "local.settings.json"
MASTER_KEY: Final = "FUNC_HOST_MASTER_KEY"

_SETTING_REFERENCE: Final = re.compile(r"%([^%\s]+)%")


@dataclass(frozen=True, slots=True)
class AppSettings:
    """Settings by name, looked up whatever their case; never shown, for they hold secrets.

    Args:
        values: Every setting there is, the environment's included.
        local_port: `Host.LocalHttpPort` of local.settings.json.
        local_address: `Host.LocalHttpAddress` of local.settings.json.
    """

    values: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    local_port: int | None = None
    local_address: str | None = None

    def get(self, name: str) -> str | None:
        """Give a setting; None where it is missing or empty."""
        value = self.values.get(name)
        if value is None:
            lower = name.lower()
            value = next((v for key, v in self.values.items() if key.lower() == lower), None)
        return value or None

    def has_connection(self, name: str) -> bool:
        """Tell whether there is a connection: a string, or a section like `{name}__accountName`."""
        prefix = f"{name}__".lower()
        return self.get(name) is not None or any(
            value and key.lower().startswith(prefix) for key, value in self.values.items()
        )

    def is_disabled(self, function: str) -> bool:
        """Tell whether `AzureWebJobs.<function>.Disabled` switches the function off."""
        value = self.get(f"AzureWebJobs.{function}.Disabled")
        return value is not None and value.strip().lower() in {"true", "1"}

    def resolve(self, text: str) -> str:
        """Put settings in place of `%NAME%`.

        Raises:
            LookupError: There is no such setting.
        """

        def value_of(match: re.Match[str]) -> str:
            value = self.get(match[1])
            if value is None:
                raise LookupError(f"there is no app setting {match[1]} (from %{match[1]}%)")
            return value

        return _SETTING_REFERENCE.sub(value_of, text)

    @property
    def master_key(self) -> str | None:
        """The key that opens everything (`FUNC_HOST_MASTER_KEY`); None where there is none."""
        return self.get(MASTER_KEY)


def read_app_settings(app_dir: Path, environment: Mapping[str, str]) -> AppSettings:
    """Read `local.settings.json` of the app; a variable that is set already wins, empty or not.

    Raises:
        ConfigError: The file is broken, or encrypted.
    """
    document = read_document(app_dir / FILE_NAME)
    section = Section(document, document.values)
    if section.boolean("IsEncrypted", default=False):
        raise section.error(
            "IsEncrypted", "the values are encrypted; run `func settings decrypt` first."
        )
    host = section.section("Host")
    port = host.integer("LocalHttpPort", 0, at_least=0, at_most=65_535)
    values = _texts(document, "Values")
    connections = _texts(document, "ConnectionStrings")
    values |= {f"ConnectionStrings:{name}": value for name, value in connections.items()}
    set_already = {name.lower() for name in environment}
    own = {name: value for name, value in values.items() if name.lower() not in set_already}
    return AppSettings(
        {**own, **environment},
        local_port=port or None,
        local_address=host.string("LocalHttpAddress"),
    )


def process_environment() -> Mapping[str, str]:
    """Give the variables this process was started with."""
    return dict(os.environ)


def export_app_settings(settings: AppSettings, app_dir: Path) -> None:
    """Let user code see the app settings as environment variables, as Azure's tools do."""
    for name, value in settings.values.items():
        os.environ.setdefault(name, value)
    os.environ.setdefault("AZURE_FUNCTIONS_ENVIRONMENT", "Development")
    os.environ.setdefault("AzureWebJobsScriptRoot", str(app_dir))


def _texts(document: Document, name: str) -> dict[str, str]:
    """Read an object of texts; null is left out, other plain values count as they are written."""
    found = (value for key, value in document.values.items() if key.lower() == name.lower())
    value: object = next(found, dict[str, Any]())
    if not isinstance(value, dict):
        raise document.error(name, 'expected an object of texts {"NAME": "value"}.')
    texts: dict[str, str] = {}
    for key, item in cast("dict[str, Any]", value).items():
        match item:
            case None:
                continue
            case str():
                texts[key] = item
            case bool() | int() | float():
                texts[key] = str(item).lower() if isinstance(item, bool) else str(item)
            case _:
                raise ConfigError(
                    f"{document.place(f'{name}.{key}')}: {name}.{key}: expected a text; "
                    'put it between quotes, as "NAME": "value".'
                )
    return texts
