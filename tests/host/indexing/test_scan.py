"""Which modules of a folder are loaded."""

from collections.abc import Callable
from pathlib import Path

import pytest

from func_host.indexing.scan import modules_to_load

WriteApp = Callable[..., Path]


def test_function_app_is_the_only_entry_where_there_is_one(write_app: WriteApp) -> None:
    assert modules_to_load(write_app({"function_app.py": "", "other.py": ""})) == ["function_app"]


def test_function_app_may_be_a_package(write_app: WriteApp) -> None:
    files = {"function_app/__init__.py": "", "other.py": ""}

    assert modules_to_load(write_app(files)) == ["function_app"]


def test_without_it_every_module_and_package_is_loaded_in_the_order_of_names(
    write_app: WriteApp,
) -> None:
    files = {
        "b.py": "",
        "a.py": "",
        "queue.py": "",
        "host.py": "",
        "pkg/__init__.py": "",
        "pkg/inner/__init__.py": "",
        "pkg/inner/deep.py": "",
        "pkg/mod.py": "",
        "notes.txt": "",
    }

    assert modules_to_load(write_app(files)) == [
        "a",
        "b",
        "host",
        "pkg",
        "pkg.inner",
        "pkg.inner.deep",
        "pkg.mod",
        "queue",
    ]


@pytest.mark.parametrize(
    "skipped",
    [
        "_private.py",
        ".hidden/mod.py",
        "_pkg/__init__.py",
        "tests/__init__.py",
        "pkg/tests/test_mod.py",
        "node_modules/x.py",
        "__pycache__/a.py",
        "pkg/__main__.py",
    ],
)
def test_a_scan_skips(write_app: WriteApp, skipped: str) -> None:
    files = {"a.py": "", "pkg/__init__.py": "", skipped: "import func_bindings"}

    assert modules_to_load(write_app(files)) == ["a", "pkg"]


def test_a_virtual_environment_is_skipped_whatever_its_name(write_app: WriteApp) -> None:
    files = {"a.py": "", "myenv/pyvenv.cfg": "", "myenv/lib/mod.py": "import func_bindings"}

    assert modules_to_load(write_app(files)) == ["a"]


def test_of_folders_that_are_no_packages_only_files_that_use_the_bindings_count(
    write_app: WriteApp,
) -> None:
    files = {
        "scripts/clean_up.py": "raise SystemExit",
        "functions/hello.py": "from func_bindings import route",
        "functions/deep/more.py": "import func_bindings",
        "set-up.py": "raise SystemExit",
        "my-functions.py": "import func_bindings",
        "dotted.name.py": "import func_bindings",
    }

    assert modules_to_load(write_app(files)) == [
        "functions.deep.more",
        "functions.hello",
        "my-functions",
    ]


def test_funcignore_takes_modules_and_folders_out(write_app: WriteApp) -> None:
    files = {
        ".funcignore": "# comment\n\nsetup.py\n/legacy/\n*_draft.py\n!keep_draft.py\n",
        "setup.py": "",
        "a.py": "",
        "b_draft.py": "",
        "keep_draft.py": "",
        "legacy/__init__.py": "",
        "legacy/old.py": "",
        "pkg/__init__.py": "",
        "pkg/legacy.py": "",
        "pkg/setup.py": "",
    }

    assert modules_to_load(write_app(files)) == ["a", "keep_draft", "pkg", "pkg.legacy"]


def test_a_link_to_a_folder_above_does_not_go_round_for_ever(write_app: WriteApp) -> None:
    folder = write_app({"a.py": "", "pkg/__init__.py": ""})
    try:
        (folder / "pkg" / "loop").symlink_to(folder, target_is_directory=True)
    except OSError:
        pytest.skip("this system does not let us make a link")

    assert modules_to_load(folder) == ["a", "pkg"]
