"""Apps side by side in one process: whose module is whose."""

import importlib
import queue
import sys
from collections.abc import Callable
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from func_host.indexing.loader import AppPackage

WriteApp = Callable[..., Path]


def load(folder: Path, module: str = "function_app") -> Any:
    return AppPackage(folder).load(module)


def test_absolute_and_relative_imports_give_the_same_module_executed_once(
    write_app: WriteApp,
) -> None:
    folder = write_app(
        {
            "function_app.py": """
                import models
                from . import models as relative
                from models import Order
                from .models import Order as RelativeOrder
                import shared.money, shared.money as money
                from shared import money as money_again
            """,
            "models.py": "runs = []\nruns.append(1)\nclass Order: ...\n",
            "shared/money.py": "from models import Order\n",
        }
    )

    app = load(folder)

    assert app.models is app.relative
    assert app.models.runs == [1]
    assert app.Order is app.RelativeOrder is app.money.Order
    assert app.money is app.money_again is app.shared.money


def test_every_app_has_modules_of_its_own(write_app: WriteApp) -> None:
    files = {"function_app.py": "import models\nimport helpers.text\n", "helpers/text.py": ""}
    first = load(write_app({**files, "models.py": "name = 'first'"}, "first"))
    second = load(write_app({**files, "models.py": "name = 'second'"}, "second"))

    assert (first.models.name, second.models.name) == ("first", "second")
    assert first.helpers.text is not second.helpers.text


def test_folders_of_the_same_name_do_not_collide(write_app: WriteApp) -> None:
    first = load(write_app("name = 1", "a/shop"))
    second = load(write_app("name = 2", "b/shop"))

    assert (first.name, second.name) == (1, 2)
    assert first.__name__ != second.__name__


def test_an_import_inside_a_function_is_resolved_later_and_on_any_thread(
    write_app: WriteApp,
) -> None:
    source = "def read():\n    import late_module\n    return late_module.name\n"
    first = load(write_app({"function_app.py": source, "late_module.py": "name = 1"}, "first"))
    second = load(write_app({"function_app.py": source, "late_module.py": "name = 2"}, "second"))
    found: list[int] = []

    def read_all() -> None:
        found.extend(app.read() for app in (first, second))

    thread = Thread(target=read_all)
    thread.start()
    thread.join()

    assert found == [1, 2]


def test_names_of_the_standard_library_and_of_ours_shadow_nobody_else(
    write_app: WriteApp,
) -> None:
    own = dict.fromkeys(["queue.py", "host.py", "tests/__init__.py"], "mine = True")
    source = "import queue, host, bindings, tests, json, func_bindings\nimport logging.handlers\n"
    app = load(write_app({"function_app.py": source, "bindings/__init__.py": "mine = True", **own}))

    assert app.queue.mine
    assert app.host.mine
    assert app.bindings.mine
    assert app.tests.mine
    assert app.logging.handlers.queue is queue  # what the standard library imported is its own
    assert importlib.import_module("queue") is queue
    assert sys.modules["queue"] is queue


def test_a_module_that_imports_its_own_name_gets_the_other_one(write_app: WriteApp) -> None:
    source = "from queue import Queue\nimport queue as other\n"
    app = load(write_app({"function_app.py": "import queue", "queue.py": source}))

    assert app.queue.Queue is queue.Queue
    assert app.queue.other is queue


def test_modules_built_into_the_interpreter_are_never_the_apps(write_app: WriteApp) -> None:
    source = "import time, os\n"
    app = load(write_app({"function_app.py": source, "time.py": "", "os.py": ""}))

    assert app.time is sys.modules["time"]
    assert app.os is sys.modules["os"]


def test_a_mere_folder_does_not_hide_a_module_that_is_installed(write_app: WriteApp) -> None:
    source = "import json, only_data.nested\n"
    files = {"function_app.py": source, "json/data.txt": "", "only_data/nested.py": "here = True"}
    app = load(write_app(files))

    assert app.json is sys.modules["json"]
    assert app.only_data.nested.here


def test_a_folder_with_an_init_is_a_package_whose_init_runs(write_app: WriteApp) -> None:
    files = {"__init__.py": "name = 'root'", "function_app.py": "from . import name"}
    app = load(write_app(files))

    assert app.name == "root"


def test_modules_that_import_each_other_see_what_is_there_so_far(write_app: WriteApp) -> None:
    files = {
        "function_app.py": "app = 1\nfrom routes import seen\n",
        "routes.py": "from function_app import app\nseen = app\n",
    }

    assert load(write_app(files)).seen == 1


def test_import_module_finds_a_module_that_only_one_app_has(write_app: WriteApp) -> None:
    source = """
        import importlib
        by_text = importlib.import_module("only_here_pkg.leaf")
        import only_here_pkg.leaf as by_statement
    """
    files = {
        "function_app.py": source,
        "only_here_pkg/__init__.py": "",
        "only_here_pkg/leaf.py": "",
    }
    app = load(write_app(files))

    assert app.by_text is app.by_statement
    assert app.by_text.__spec__.name == app.by_text.__name__


def test_import_module_of_a_name_that_several_apps_have_says_so(write_app: WriteApp) -> None:
    for folder in ("first", "second"):
        load(write_app({"function_app.py": "", "twice_here.py": ""}, folder))

    with pytest.raises(ModuleNotFoundError, match="Several apps have a module 'twice_here'"):
        importlib.import_module("twice_here")


def test_a_module_that_nobody_has_is_missing_under_its_own_name(write_app: WriteApp) -> None:
    with pytest.raises(ModuleNotFoundError, match="No module named 'nobody_has_this'"):
        load(write_app("import nobody_has_this"))


def test_the_builtins_of_an_app_are_all_there(write_app: WriteApp) -> None:
    source = "def f():\n    return eval('len([1])'), __import__('models').name, type(open)\n"
    app = load(write_app({"function_app.py": source, "models.py": "name = 'mine'"}))

    assert app.f() == (1, "mine", type(open))


def test_classes_of_an_app_can_be_dataclasses_and_enums(write_app: WriteApp) -> None:
    source = """
        from __future__ import annotations
        import dataclasses, enum, typing
        @dataclasses.dataclass
        class Item:
            name: str
            kind: Kind | None = None
        class Kind(enum.Enum):
            A = "a"
        hints = typing.get_type_hints(Item)
    """
    app = load(write_app(source))

    assert app.hints["kind"] == app.Kind | None
    assert app.Item("x").name == "x"
