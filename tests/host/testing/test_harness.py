import io
import json
import logging
from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from func_host.config import ConfigError
from func_host.log import JsonFormatter
from func_host.testing.clock import SimulatedClock
from func_host.testing.harness import AppHarness

pytestmark = pytest.mark.anyio

APP = """
from datetime import timedelta
import logging
from func_bindings import (
    DurableClient, HttpRequest, OrchestrationContext, activity_trigger, durable_client,
    orchestration_trigger, route,
)

@activity_trigger
def double(value: int) -> int:
    logging.info("doubling")
    return value * 2

@orchestration_trigger
async def patient(context: OrchestrationContext) -> int:
    logging.info("waiting")
    await context.create_timer(context.current_utc_datetime + timedelta(days=30))
    return await context.call_activity(double, context.get_input(int))

@route("start", methods=["POST"])
@durable_client
async def start(request: HttpRequest, client: DurableClient) -> str:
    logging.info("starting")
    return await client.start_new(patient, client_input=request.get_json())
"""


@pytest.fixture
def app_dir(tmp_path: Path) -> Path:
    (tmp_path / "function_app.py").write_text(APP)
    return tmp_path


async def test_days_pass_in_no_time(app_dir: Path) -> None:
    clock = SimulatedClock()
    async with AppHarness(app_dir, clock=clock) as harness:
        instance_id = await harness.client.start_new("patient", client_input=21)
        await clock.advance(timedelta(days=30))
        status = await harness.client.wait_for_completion(instance_id)

        assert status.output == 42
        assert status.created_time < clock.now() - timedelta(days=29)


async def test_what_user_code_logs_says_which_function_and_instance(app_dir: Path) -> None:
    stream, clock, root = io.StringIO(), SimulatedClock(), logging.getLogger()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter())
    root.addHandler(handler)
    level = root.level
    root.setLevel(logging.INFO)
    try:
        async with (
            AppHarness(app_dir, clock=clock) as harness,
            httpx.AsyncClient(
                transport=httpx.ASGITransport(harness.app), base_url=harness.url
            ) as http,
        ):
            instance_id = (await http.post("/api/start", json=1)).text.strip('"')
            await clock.advance(timedelta(days=30))
            await harness.client.wait_for_completion(instance_id)
    finally:
        root.removeHandler(handler)
        root.setLevel(level)

    records = [json.loads(line) for line in stream.getvalue().splitlines()]
    own = {record["message"]: record for record in records if record["logger"] == "root"}
    assert own["starting"]["function_name"] == "start"
    assert own["waiting"]["instance_id"] == instance_id
    assert own["doubling"]["function_name"] == "double"
    assert own["doubling"]["instance_id"] == instance_id


async def test_requests_reach_the_app_without_a_socket(app_dir: Path) -> None:
    async with (
        AppHarness(app_dir) as harness,
        httpx.AsyncClient(transport=httpx.ASGITransport(harness.app), base_url=harness.url) as http,
    ):
        answer = await http.post("/api/start", json=1)

        assert answer.status_code == 200
        status = await harness.client.get_status(answer.text.strip('"'))
        assert status is not None
        assert status.name == "patient"


async def test_requests_reach_the_app_through_a_free_port(app_dir: Path) -> None:
    async with (
        AppHarness(app_dir, listen=True) as harness,
        httpx.AsyncClient(base_url=harness.url) as http,
    ):
        assert (await http.get("/admin/host/status")).status_code == 200
        assert (await http.post("/api/start", json=1)).status_code == 200


async def test_a_failing_test_fails_with_its_own_error(app_dir: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        async with AppHarness(app_dir, listen=True):
            _ = 1 / 0


async def test_a_mistake_in_the_settings_is_told(app_dir: Path) -> None:
    (app_dir / "host.json").write_text("{")

    with pytest.raises(ConfigError):
        async with AppHarness(app_dir):
            pass


async def test_a_hub_in_a_file_outlives_the_harness(app_dir: Path, tmp_path: Path) -> None:
    storage = f"sqlite:{tmp_path / 'hub.db'}"
    async with AppHarness(app_dir, storage=storage) as harness:
        instance_id = await harness.client.start_new("patient", client_input=1)

    async with AppHarness(app_dir, storage=storage) as harness:
        status = await harness.client.get_status(instance_id)

        assert status is not None
        assert status.name == "patient"
