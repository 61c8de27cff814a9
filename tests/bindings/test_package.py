"""The package as a whole: what it exports and what it imports."""

import ast
import subprocess
import sys
from pathlib import Path

import func_bindings

PACKAGE = Path(func_bindings.__file__).parent


def test_everything_exported_is_there_and_sorted() -> None:
    assert all(hasattr(func_bindings, name) for name in func_bindings.__all__)
    assert len(set(func_bindings.__all__)) == len(func_bindings.__all__)


def test_only_the_standard_library_is_imported() -> None:
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            modules = (
                [alias.name for alias in node.names]
                if isinstance(node, ast.Import)
                else [node.module or ""]
                if isinstance(node, ast.ImportFrom)
                else []
            )
            for module in modules:
                top = module.partition(".")[0]
                assert top == "func_bindings" or top in sys.stdlib_module_names, (path, module)


def test_importing_it_does_not_bring_in_the_slow_parts_of_the_standard_library() -> None:
    slow = "{'asyncio', 'email', 'http', 'logging', 'socket', 'ssl', 'urllib'}"
    source = f"import sys, func_bindings; print({slow} & sys.modules.keys())"
    result = subprocess.run(  # noqa: S603 -- our own source
        [
            sys.executable,
            "-S",
            "-c",
            f"import sys; sys.path.insert(0, {str(PACKAGE.parent)!r}); {source}",
        ],
        check=True,
        capture_output=True,
        text=True,
    )

    assert result.stdout.strip() == "set()"
