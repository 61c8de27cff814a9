"""App folders in, a `FunctionIndex` out, or all that is wrong with them at once."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from func_bindings.metadata import (
    ActivityTrigger,
    EntityTrigger,
    HttpTrigger,
    OrchestrationTrigger,
)
from func_host.indexing.collecting import AppContents
from func_host.indexing.functions import FunctionIndex, call_name_of
from func_host.indexing.importing import import_apps
from func_host.indexing.judging import Judgement
from func_host.indexing.loader import AppPackage
from func_host.indexing.problems import IndexingError, Problem, problem_at, show_path

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from func_host.indexing.collecting import FoundFunction


def check_braces(route: str) -> None:
    """Refuse a route template whose braces do not match.

    Raises:
        ValueError: They do not.
    """
    inner = re.sub(r"\{\{|\}\}", "", route)
    if re.search(r"[{}]", re.sub(r"\{[^{}]+\}", "", inner)):
        raise ValueError(f"'{route}': its braces do not match")


def build_index(
    app_dirs: Sequence[Path], check_route: Callable[[str], object] = check_braces
) -> FunctionIndex:
    """Load app folders and index their functions.

    Args:
        app_dirs: Folders of apps; each is loaded as a package of its own.
        check_route: Raises ValueError for a route template that cannot be served.

    Raises:
        AppImportError: A module of an app cannot be imported.
        IndexingError: Functions, or folders, are not right; it carries every problem.
    """
    folders = list(dict.fromkeys(folder.absolute().resolve() for folder in app_dirs))
    missing = [problem for folder in folders if (problem := _folder_problem(folder)) is not None]
    if missing:
        raise IndexingError(missing)
    packages = [AppPackage(folder) for folder in folders]
    import_apps(packages)
    contents = [AppContents(package) for package in packages]
    judgements = [Judgement(each, check_route) for each in _distinct(contents)]
    problems = [
        *(problem for each in contents for problem in each.problems),
        *(problem for each in judgements for problem in each.problems),
        *_name_collisions(judgements),
        *_call_name_collisions(judgements, OrchestrationTrigger, "orchestrator"),
        *_call_name_collisions(judgements, ActivityTrigger, "activity"),
        *_call_name_collisions(judgements, EntityTrigger, "entity"),
        *_route_collisions(judgements),
    ]
    if problems:
        raise IndexingError(problems)
    return FunctionIndex(
        (each.indexed for each in judgements if each.indexed is not None),
        (str(warning) for each in contents for warning in each.warnings),
    )


def _folder_problem(folder: Path) -> Problem | None:
    if folder.is_dir():
        return None
    text = (
        "this is a file: give the folder that holds it."
        if folder.exists()
        else "there is no such folder: give the folder that holds function_app.py."
    )
    return Problem(str(folder), 0, text)


def _distinct(contents: Iterable[AppContents]) -> list[FoundFunction]:
    """Give each function once, even where several apps import it from one library."""
    return list({id(e.function): e for content in contents for e in content.functions}.values())


def _name_collisions(judgements: Iterable[Judgement]) -> Iterator[Problem]:
    first: dict[str, Judgement] = {}
    for each in judgements:
        other = first.setdefault(each.name.lower(), each)
        if other is not each:
            yield problem_at(
                each.location,
                f"{each.name}: a function of this name is at {_show(other)} already: rename one, "
                "or give it another name with function_name('…').",
            )


def _call_name_collisions(
    judgements: Iterable[Judgement], kind: type, kind_name: str
) -> Iterator[Problem]:
    first: dict[str, Judgement] = {}
    for each in judgements:
        if isinstance(each.trigger, kind):
            call_name = call_name_of(each.trigger, each.name)
            other = first.setdefault(call_name.lower(), each)
            if other is not each and other.name.lower() != each.name.lower():
                yield problem_at(
                    each.location,
                    f"{each.name}: another {kind_name}, {other.name} at {_show(other)}, is called "
                    f"{call_name!r} already: choose another name.",
                )


def _route_collisions(judgements: Iterable[Judgement]) -> Iterator[Problem]:
    served: dict[str, list[tuple[frozenset[str], Judgement]]] = {}
    for each in judgements:
        if isinstance(each.trigger, HttpTrigger):
            methods = frozenset(each.trigger.methods)
            same = served.setdefault(_shape(each.trigger.route or ""), [])
            for taken, other in same:
                if not methods or not taken or methods & taken:
                    yield problem_at(
                        each.location,
                        f"{each.name}: the route {each.trigger.route!r} is served already, by "
                        f"{other.name} at {_show(other)}: change the route or the methods.",
                    )
                    break
            same.append((methods, each))


def _shape(route: str) -> str:
    """Give a template without its parameters' names: those of one shape match the same paths."""
    return re.sub(r"\{(\*{0,2})[^{}:?=]+", r"{\1", route.strip("/").lower())


def _show(judgement: Judgement) -> str:
    return f"{show_path(judgement.location.file)}:{judgement.location.line}"
