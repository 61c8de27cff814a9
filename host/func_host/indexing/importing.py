"""Importing the modules of an app, and telling what went wrong in the app's own frames."""

from __future__ import annotations

import traceback
from pathlib import Path
from typing import TYPE_CHECKING

from func_host.indexing.problems import AppImportError, show_path
from func_host.indexing.scan import ENTRY_MODULE, modules_to_load

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from func_host.indexing.loader import AppPackage


def import_apps(packages: Iterable[AppPackage]) -> None:
    """Import the modules of all apps.

    Raises:
        AppImportError: Modules raised, or tried to end the process; the text tells of all of them.
    """
    failures: dict[tuple[str, str], str] = {}
    for package in packages:
        for module in modules_to_load(package.folder):
            error = _import(package, module)
            if error is not None:
                place = _place(package, module, error)
                # A module that fails does so again for each module that imports it.
                failures.setdefault((place, str(error)), _describe(package, module, place, error))
    if failures:
        raise AppImportError("\n".join(failures.values()))


def _import(package: AppPackage, module: str) -> BaseException | None:
    try:
        package.load(module)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 -- whatever a user's module raises is told
        return error
    return None


def _describe(package: AppPackage, module: str, place: str, error: BaseException) -> str:
    file = show_path(_file_of(package, module))
    if isinstance(error, SystemExit):
        code = "" if error.code is None else repr(error.code)
        return (
            f"{place}: {file} called sys.exit({code}) while it was imported: put that below "
            'if __name__ == "__main__":'
        )
    text = "".join(_lines(traceback.TracebackException.from_exception(error), package.folder))
    text = text.replace(f"{package.name}.", "").replace(package.name, package.app_name).rstrip()
    return "\n".join([f"{place}: {file} cannot be imported.", text, *_remedies(module, error)])


def _place(package: AppPackage, module: str, error: BaseException) -> str:
    """Give file and line of the app's own code that the error comes from."""
    if isinstance(error, SyntaxError) and error.filename and error.lineno:
        return f"{show_path(error.filename)}:{error.lineno}"
    frames = _own_frames(traceback.extract_tb(error.__traceback__), package.folder)
    if frames:
        return f"{show_path(frames[-1].filename)}:{frames[-1].lineno}"
    return show_path(_file_of(package, module))


def _file_of(package: AppPackage, module: str) -> Path:
    path = package.folder.joinpath(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_name(f"{path.name}.py")


def _lines(error: traceback.TracebackException, folder: Path) -> Iterator[str]:
    """Format an error and what it came from, with the app's own frames only."""
    if error.__cause__ is not None:
        yield from _lines(error.__cause__, folder)
        yield "\nThe above exception was the direct cause of the following exception:\n\n"
    elif error.__context__ is not None and not error.__suppress_context__:
        yield from _lines(error.__context__, folder)
        yield "\nDuring handling of the above exception, another exception occurred:\n\n"
    frames = _own_frames(error.stack, folder)
    if frames:
        yield "Traceback (most recent call last):\n"
        yield from traceback.StackSummary.from_list(frames).format()
    yield from error.format_exception_only()


def _own_frames(
    frames: Iterable[traceback.FrameSummary], folder: Path
) -> list[traceback.FrameSummary]:
    return [
        frame
        for frame in frames
        if Path(frame.filename).is_relative_to(folder) and "site-packages" not in frame.filename
    ]


def _remedies(module: str, error: BaseException) -> Iterator[str]:
    if isinstance(error, ModuleNotFoundError) and error.name:
        top = error.name.partition(".")[0]
        if top == "azure":
            yield "Write `import func_bindings as func`, or install the package that has it."
        elif not error.name.startswith("func_apps."):
            yield f"Install {top} for the Python that runs func-host, or correct the name."
    if module != ENTRY_MODULE:
        yield "If the file is no part of the app, name it in .funcignore."
