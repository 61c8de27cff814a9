from pathlib import Path

import click

from func_host.cli.announcement import announcement
from func_host.config import load_configuration
from func_host.host import load_functions

APP = """
from func_bindings import activity_trigger, orchestration_trigger, route

@activity_trigger(name="Pay")
def pay(order: int) -> None: ...

@orchestration_trigger
async def order(context): ...

@route("orders/{id}", methods=["GET", "PUT"])
def show(request): ...

@route("")
def home(request): ...
"""


def announced(folder: Path, route_prefix: str = "api", **settings: str) -> list[str]:
    (folder / "function_app.py").write_text(APP)
    index = load_functions(load_configuration(folder, environment=settings))
    lines = announcement(index.functions, origin="http://localhost:7071", route_prefix=route_prefix)
    return [click.unstyle(line).strip() for line in lines if line]


def test_functions_with_a_url_come_first_each_with_its_trigger(tmp_path: Path) -> None:
    assert announced(tmp_path) == [
        "Functions:",
        "show: [GET,PUT] http://localhost:7071/api/orders/{id}",
        "home: http://localhost:7071/api",
        "Pay: activityTrigger",
        "order: orchestrationTrigger",
    ]


def test_without_a_prefix_a_route_begins_at_the_root(tmp_path: Path) -> None:
    assert "home: http://localhost:7071/" in announced(tmp_path, route_prefix="")


def test_only_functions_that_settings_leave_on_are_listed(tmp_path: Path) -> None:
    (tmp_path / "host.json").write_text('{"version": "2.0", "functions": ["PAY", "order"]}')
    disabled = {"AzureWebJobs.order.Disabled": "true"}

    assert announced(tmp_path, **disabled) == ["Functions:", "Pay: activityTrigger"]


def test_a_host_without_functions_says_why(tmp_path: Path) -> None:
    (tmp_path / "host.json").write_text('{"version": "2.0", "functions": []}')

    assert announced(tmp_path)[1] == "none: settings switch all of them off."
