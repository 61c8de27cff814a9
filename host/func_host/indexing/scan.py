"""Which modules of an app folder are loaded.

`function_app.py` if there is one: what it imports comes with it. Else every module and package of
the folder. A folder without `__init__.py`, or a file whose name is no identifier, may be anything
(scripts, migrations), so of those only files that mention `func_bindings` count. What may not be
read (the data of a database in a container) is no part of the app.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from func_host.indexing.funcignore import FuncIgnore

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ENTRY_MODULE = "function_app"
_SKIPPED_FOLDERS = {"tests", "node_modules"}


def modules_to_load(folder: Path) -> list[str]:
    """Give the dotted names of the modules to load, relative to the folder, in a fixed order.

    The empty name is the `__init__.py` of the folder itself.
    """
    if (folder / f"{ENTRY_MODULE}.py").is_file():
        return [ENTRY_MODULE]
    if (folder / ENTRY_MODULE / "__init__.py").is_file():
        return [ENTRY_MODULE]
    itself = [""] if _is_file(folder / "__init__.py") else []
    return [*itself, *_modules_of(folder, folder, FuncIgnore.of(folder))]


def _modules_of(
    folder: Path, root: Path, ignore: FuncIgnore, outer: tuple[Path, ...] = ()
) -> Iterator[str]:
    is_package = folder == root or _is_file(folder / "__init__.py")
    for entry in _entries(folder):
        path = entry.relative_to(root).as_posix()
        is_folder = _is_folder(entry)
        if entry.name.startswith((".", "_")) or ignore.ignores(path, is_folder=is_folder):
            continue
        if is_folder:
            if _is_scanned(entry, outer):
                if _is_file(entry / "__init__.py"):
                    yield path.replace("/", ".")
                yield from _modules_of(entry, root, ignore, (*outer, folder.resolve()))
        elif entry.suffix == ".py" and "." not in entry.stem:
            is_module = is_package and entry.stem.isidentifier()
            if is_module or _mentions_bindings(entry):
                yield path.removesuffix(".py").replace("/", ".")


def _is_scanned(folder: Path, outer: tuple[Path, ...]) -> bool:
    return (
        "." not in folder.name
        and folder.name not in _SKIPPED_FOLDERS
        and not _is_file(folder / "pyvenv.cfg")
        and folder.resolve() not in outer  # a link to a folder above would go round for ever
    )


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir(), key=lambda path: path.name)
    except OSError:
        return []


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:
        return False


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:
        return False


def _mentions_bindings(file: Path) -> bool:
    try:
        return b"func_bindings" in file.read_bytes()
    except OSError:
        return False
