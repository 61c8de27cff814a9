"""`useAppLease` and `appLeaseOptions`: one app per task hub, on Azure Storage."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from func_host.config.section import Section

_SECOND: Final = timedelta(seconds=1)
_LEASE_MIN: Final = timedelta(seconds=15)
_LEASE_MAX: Final = timedelta(seconds=60)
"""What the blob service takes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AppLeaseOptions:
    """`appLeaseOptions`.

    Args:
        renew_interval: How often the lease is renewed; less than it lasts.
        acquire_interval: How often an app that does not have the lease tries to get it.
        lease_interval: How long the lease lasts; 15 to 60 s.
    """

    renew_interval: timedelta = timedelta(seconds=25)
    acquire_interval: timedelta = timedelta(minutes=5)
    lease_interval: timedelta = timedelta(seconds=60)


def read_app_lease(section: Section) -> AppLeaseOptions | None:
    """Read both settings of the hub's section; None where no lease is wanted.

    Raises:
        ConfigError: A value cannot be used.
    """
    is_wanted = section.boolean("useAppLease", default=True)
    options = _read_options(section.section("appLeaseOptions"))
    return options if is_wanted else None


def _read_options(section: Section) -> AppLeaseOptions:
    defaults = AppLeaseOptions()
    options = AppLeaseOptions(
        renew_interval=section.duration("renewInterval", defaults.renew_interval, at_least=_SECOND),
        acquire_interval=section.duration(
            "acquireInterval", defaults.acquire_interval, at_least=_SECOND
        ),
        lease_interval=section.duration(
            "leaseInterval", defaults.lease_interval, at_least=_LEASE_MIN, at_most=_LEASE_MAX
        ),
    )
    if options.renew_interval >= options.lease_interval:
        raise section.error(
            "renewInterval",
            f"a lease that is renewed every {options.renew_interval.total_seconds():g} s and lasts "
            f"{options.lease_interval.total_seconds():g} s runs out: make it shorter than "
            "leaseInterval.",
        )
    return options
