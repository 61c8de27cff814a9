"""Which storage account a hub lives in, and with what right: read from app settings.

Everything Azure Functions takes is taken: a connection string under the name of the connection, or
settings `{name}__accountName`, `{name}__queueServiceUri` … for an identity. Keys and signatures are
in no `repr`, message or log.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, TypeAlias
from urllib.parse import urlsplit

from func_host.config.document import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from func_host.config.app_settings import AppSettings

DEVELOPMENT_ACCOUNT: Final = "devstoreaccount1"
DEVELOPMENT_KEY: Final = (
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
)
"""The key of every emulator, known to the whole world."""

_DEVELOPMENT_PORTS: Final = {"blob": 10000, "queue": 10001, "table": 10002}
_SERVICES: Final = ("queue", "table", "blob")
_DEFAULT_SUFFIX: Final = "core.windows.net"
_FORM: Final = (
    'Copy the connection string from "Access keys" of the storage account, or set '
    "UseDevelopmentStorage=true to use Azurite."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedKey:
    """The key of the account."""

    account: str
    key: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedAccessSignature:
    """A signature that gives some rights for some time."""

    token: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """A Microsoft Entra identity.

    Args:
        uses_managed_identity: `__credential` is `managedidentity`.
        client_id: Of the user-assigned identity, or of the application.
        tenant_id: Of the application, where it has a secret.
        client_secret: Of the application.
    """

    uses_managed_identity: bool = False
    client_id: str | None = None
    tenant_id: str | None = None
    client_secret: str | None = field(default=None, repr=False)


Credential: TypeAlias = SharedKey | SharedAccessSignature | Identity


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageConnection:
    """Where the three services are, and the credential for them.

    Args:
        setting: The app setting it was read from, for messages.
        queue_url: Queue service, without a slash at the end; likewise the others.
        table_url: Table service.
        blob_url: Blob service.
        credential: What to sign requests with.
        is_development: Whether this is the account of an emulator.
    """

    setting: str
    queue_url: str
    table_url: str
    blob_url: str
    credential: Credential
    is_development: bool = False


def read_connection(settings: AppSettings, name: str) -> StorageConnection:
    """Read the connection of this name.

    Raises:
        ConfigError: There is none, or it cannot be used; the message names the setting.
    """
    text = settings.get(name) or settings.get(f"ConnectionStrings:{name}")
    if text is not None:
        return parse_connection_string(text, setting=name)
    return _read_identity(settings, name)


def parse_connection_string(text: str, *, setting: str) -> StorageConnection:
    """Read a connection string.

    Raises:
        ConfigError: It cannot be used; the message names the setting and quotes nothing of it.
    """
    parts = _split(text, setting)
    if parts.get("usedevelopmentstorage", "").lower() == "true":
        return _development(parts, setting)
    queue_url, table_url, blob_url = _endpoints(parts, setting)
    return StorageConnection(
        setting=setting,
        queue_url=queue_url,
        table_url=table_url,
        blob_url=blob_url,
        credential=_credential(parts, setting),
        is_development=parts.get("accountname") == DEVELOPMENT_ACCOUNT,
    )


def _split(text: str, setting: str) -> dict[str, str]:
    parts: dict[str, str] = {}
    for number, part in enumerate(text.strip().split(";"), start=1):
        if not part.strip():
            continue
        name, equals, value = part.partition("=")
        if not equals or not name.strip():
            raise ConfigError(
                f'{setting} is not a storage connection string: part {number} of it is no "name='
                f'value". {_FORM}'
            )
        parts[name.strip().lower()] = value.strip()
    return parts


def _development(parts: Mapping[str, str], setting: str) -> StorageConnection:
    proxy = parts.get("developmentstorageproxyuri") or "http://127.0.0.1"
    address = urlsplit(_checked_url(proxy, setting, "DevelopmentStorageProxyUri"))
    host = f"[{address.hostname}]" if ":" in (address.hostname or "") else address.hostname
    urls = {
        service: f"{address.scheme}://{host}:{port}/{DEVELOPMENT_ACCOUNT}"
        for service, port in _DEVELOPMENT_PORTS.items()
    }
    return StorageConnection(
        setting=setting,
        queue_url=urls["queue"],
        table_url=urls["table"],
        blob_url=urls["blob"],
        credential=SharedKey(account=DEVELOPMENT_ACCOUNT, key=DEVELOPMENT_KEY),
        is_development=True,
    )


def _endpoints(parts: Mapping[str, str], setting: str) -> tuple[str, ...]:
    """Give the address of each service: as written, else by the account's name."""
    written = {service: parts.get(f"{service}endpoint") for service in _SERVICES}
    account = parts.get("accountname")
    is_derivable = account is not None and (
        not any(written.values())
        or "endpointsuffix" in parts
        or "defaultendpointsprotocol" in parts
    )
    suffix = parts.get("endpointsuffix") or _DEFAULT_SUFFIX
    protocol = parts.get("defaultendpointsprotocol") or "https"
    urls: list[str] = []
    for service, url in written.items():
        if url is None and not is_derivable:
            raise ConfigError(
                f"{setting} does not say where the {service} service is: add "
                f"{service.title()}Endpoint, or AccountName and EndpointSuffix. {_FORM}"
            )
        part = f"{service.title()}Endpoint" if url else "AccountName"
        address = url or f"{protocol}://{account}.{service}.{suffix}"
        urls.append(_checked_url(address, setting, part))
    return tuple(urls)


def _credential(parts: Mapping[str, str], setting: str) -> SharedKey | SharedAccessSignature:
    signature = parts.get("sharedaccesssignature")
    if signature:
        return SharedAccessSignature(token=signature.lstrip("?"))
    account, key = parts.get("accountname"), parts.get("accountkey")
    if not account or not key:
        missing = "AccountKey" if account else "AccountName"
        raise ConfigError(f"{setting} has no {missing} (or SharedAccessSignature). {_FORM}")
    try:
        base64.b64decode(key, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ConfigError(
            f"{setting}: its AccountKey is not Base64; a part of it may be missing. {_FORM}"
        ) from error
    return SharedKey(account=account, key=key)


def _read_identity(settings: AppSettings, name: str) -> StorageConnection:
    account = settings.get(f"{name}__accountName")
    urls: list[str] = []
    for service in _SERVICES:
        setting = f"{name}__{service}ServiceUri"
        url = settings.get(setting)
        if url is None and account is None:
            raise ConfigError(
                f"There is no storage connection {name}: set it to a connection string "
                f"(UseDevelopmentStorage=true for Azurite), or set {name}__accountName, or "
                f"{setting} and those of the other services, to use an identity."
            )
        address = url or f"https://{account}.{service}.{_DEFAULT_SUFFIX}"
        part = setting if url else f"{name}__accountName"
        urls.append(_checked_url(address, name, part))
    plain = next((url for url in urls if not url.startswith("https:")), None)
    if plain is not None:
        raise ConfigError(f"{name}: an identity needs https, and {plain} is not.")
    queue_url, table_url, blob_url = urls
    return StorageConnection(
        setting=name,
        queue_url=queue_url,
        table_url=table_url,
        blob_url=blob_url,
        credential=_identity(settings, name),
    )


def _identity(settings: AppSettings, name: str) -> Identity:
    kind = settings.get(f"{name}__credential")
    if kind is not None and kind.lower() != "managedidentity":
        raise ConfigError(
            f'{name}__credential is "{kind}": set it to managedidentity, or leave it out.'
        )
    identity = Identity(
        uses_managed_identity=kind is not None,
        client_id=settings.get(f"{name}__clientId"),
        tenant_id=settings.get(f"{name}__tenantId"),
        client_secret=settings.get(f"{name}__clientSecret"),
    )
    if identity.client_secret and not (identity.client_id and identity.tenant_id):
        raise ConfigError(
            f"{name}__clientSecret needs {name}__clientId and {name}__tenantId beside it."
        )
    return identity


def _checked_url(url: str, setting: str, part: str) -> str:
    """Give the URL without a slash at its end; a query, which may hold a signature, is refused."""
    try:
        parts = urlsplit(url)
        is_usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and not parts.query
        _ = parts.port
    except ValueError:
        is_usable = False
    if not is_usable:
        raise ConfigError(
            f"{setting}: {part} does not give an address like https://NAME.queue.core.windows.net "
            f"(without a query). {_FORM}"
        )
    return url.rstrip("/")
