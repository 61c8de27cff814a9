"""What a module that cannot be imported shows: the app's own frames and a remedy."""

from collections.abc import Callable
from pathlib import Path

import pytest

from func_host.errors import AppError
from func_host.indexing import AppImportError, build_index

WriteApp = Callable[..., Path]


def failure_of(*folders: Path) -> str:
    with pytest.raises(AppImportError) as caught:
        build_index(folders)
    assert isinstance(caught.value, AppError)
    return str(caught.value)


def test_an_import_error_shows_the_apps_own_frames_only(write_app: WriteApp) -> None:
    files = {
        "function_app.py": "import models\n",
        "models.py": "import json\ndef read():\n    json.loads('{')\nread()\n",
    }
    folder = write_app(files)

    text = failure_of(folder)

    assert text.startswith(f"{folder / 'models.py'}:3: ")
    assert f'File "{folder / "function_app.py"}", line 1' in text
    assert "json.decoder.JSONDecodeError: Expecting property name" in text
    assert "importlib" not in text
    assert "func_apps" not in text
    assert text.count("File ") == 3


def test_a_syntax_error_names_its_line(write_app: WriteApp) -> None:
    folder = write_app({"function_app.py": "import models\n", "models.py": "x = 1\ny = (\n"})

    text = failure_of(folder)

    assert text.startswith(f"{folder / 'models.py'}:2: ")
    assert "SyntaxError: '(' was never closed" in text


def test_a_missing_package_is_named_with_the_remedy(write_app: WriteApp) -> None:
    text = failure_of(write_app("import not_installed_anywhere.sub\n"))

    assert "ModuleNotFoundError: No module named 'not_installed_anywhere'" in text
    assert "Install not_installed_anywhere for the Python that runs func-host" in text


def test_azures_package_has_our_name_as_remedy(write_app: WriteApp) -> None:
    text = failure_of(write_app("import azure.functions_of_old as func\n"))

    assert "import func_bindings as func" in text


def test_a_missing_module_of_the_app_is_called_as_the_app_calls_it(write_app: WriteApp) -> None:
    files = {"function_app.py": "from .models.missing import x\n", "models/__init__.py": ""}
    text = failure_of(write_app(files))

    assert "No module named 'models.missing'" in text


@pytest.mark.parametrize("call", ["sys.exit()", "sys.exit(3)", "exit('no')", "raise SystemExit"])
def test_a_module_that_ends_the_process_is_an_error(write_app: WriteApp, call: str) -> None:
    folder = write_app(f"import sys\n{call}\n")

    text = failure_of(folder)

    assert text.startswith(f"{folder / 'function_app.py'}:2: ")
    assert "called sys.exit(" in text
    assert '__name__ == "__main__"' in text


def test_an_interrupt_is_passed_on(write_app: WriteApp) -> None:
    with pytest.raises(KeyboardInterrupt):
        build_index([write_app("raise KeyboardInterrupt\n")])


def test_causes_are_shown_as_python_shows_them(write_app: WriteApp) -> None:
    source = """
        try:
            1 / 0
        except ZeroDivisionError as error:
            raise RuntimeError("broken") from error
    """
    text = failure_of(write_app(source))

    assert "ZeroDivisionError: division by zero" in text
    assert "direct cause" in text
    assert text.rstrip().endswith("RuntimeError: broken")


def test_all_modules_that_fail_are_told_once(write_app: WriteApp) -> None:
    files = {
        "broken.py": "raise ValueError('one')\n",
        "other.py": "import broken\n",
        "third.py": "raise ValueError('two')\n",
    }
    text = failure_of(write_app(files, "first"), write_app("1 / 0\n", "second"))

    assert text.count("ValueError: one") == 1
    assert text.count("ValueError: two") == 1
    assert "ZeroDivisionError" in text
    assert "name it in .funcignore" in text


def test_frames_of_packages_inside_the_folder_are_not_the_apps_own(write_app: WriteApp) -> None:
    files = {
        "function_app.py": """
            import os, sys
            sys.path.insert(0, os.path.join(os.path.dirname(__file__), "lib", "site-packages"))
            try:
                import vendored_and_broken
            finally:
                del sys.path[0]
        """,
        "lib/site-packages/vendored_and_broken.py": "raise ValueError('deep')\n",
    }
    folder = write_app(files)

    text = failure_of(folder)

    assert text.startswith(f"{folder / 'function_app.py'}:5: ")
    assert "site-packages" not in text


def test_a_wrong_argument_of_a_decorator_is_told_where_it_stands(write_app: WriteApp) -> None:
    source = "from func_bindings import FunctionApp\napp = FunctionApp('nobody')\n"
    text = failure_of(write_app(source))

    assert "ValueError: There is no auth level 'nobody'" in text
    assert text.count("File ") == 1
