"""What the settings say of a hub reaches its backend."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from func_host.clock import SystemClock, SystemIds
from func_host.config import AppSettings, AzureStore, ConfigError, StorageProvider
from func_host.config.app_lease import AppLeaseOptions
from func_host.durable.backends.azure_storage.opening import hub_settings, open_hub

STORE = AzureStore(
    hub_name="Orders",
    connection_name="Shop",
    provider=StorageProvider(
        partition_count=7,
        control_queue_buffer_threshold=100,
        control_queue_visibility_timeout=timedelta(seconds=9.5),
        max_queue_polling_interval=timedelta(seconds=2),
    ),
)
SETTINGS = AppSettings({"Shop": "UseDevelopmentStorage=true"})


def test_the_settings_of_the_provider_are_those_of_the_hub() -> None:
    settings = hub_settings(STORE)

    assert settings.partition_count == 7
    assert settings.buffer_max == 100
    assert settings.visibility_s == 9.5
    assert settings.polling_interval_max_s == 2


def test_no_setting_makes_a_host_ask_more_often_than_twenty_times_a_second() -> None:
    provider = StorageProvider(max_queue_polling_interval=timedelta(milliseconds=1))

    assert hub_settings(replace(STORE, provider=provider)).polling_interval_max_s == 0.05


def test_making_a_backend_asks_nobody() -> None:
    backend = open_hub(STORE, SETTINGS, SystemClock(), SystemIds())

    assert list(backend.request_counts()) == []


def test_a_connection_that_is_not_there_is_a_mistake_in_the_settings() -> None:
    with pytest.raises(ConfigError, match="There is no storage connection Shop"):
        open_hub(STORE, AppSettings(), SystemClock(), SystemIds())


def test_a_hub_name_that_storage_does_not_take_is_a_mistake_in_the_settings() -> None:
    with pytest.raises(ConfigError, match=r"extensions\.durableTask\.hubName"):
        open_hub(replace(STORE, hub_name="x" * 50), SETTINGS, SystemClock(), SystemIds())


def test_the_times_and_sizes_of_the_queues_are_those_of_the_settings() -> None:
    provider = StorageProvider(
        control_queue_batch_size=16,
        control_queue_visibility_timeout=timedelta(seconds=90),
        work_item_queue_visibility_timeout=timedelta(minutes=2),
    )
    settings = hub_settings(replace(STORE, provider=provider, app_name="shop"))

    assert (settings.batch, settings.visibility_s) == (16, 90)
    assert settings.work_item_visibility_s == 120
    assert settings.app_name == "shop"


def test_a_host_works_unless_it_only_asks() -> None:
    assert hub_settings(STORE).works
    assert not hub_settings(STORE, works=False).works


def test_the_app_lease_is_used_as_configured() -> None:
    options = AppLeaseOptions(
        lease_interval=timedelta(seconds=40),
        renew_interval=timedelta(seconds=15),
        acquire_interval=timedelta(minutes=3),
    )
    used = hub_settings(replace(STORE, app_lease=options))
    unused = hub_settings(replace(STORE, app_lease=None))

    assert used.use_app_lease
    assert (used.app_lease.lease_s, used.app_lease.renew_s) == (40, 15.0)
    assert used.app_lease.acquire_s == 180.0
    assert not unused.use_app_lease
