"""The decorated functions and classes of an app's modules, and the app objects they belong to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from func_bindings.app import Blueprint, FunctionApp
from func_bindings.http import AuthLevel
from func_bindings.metadata import metadata_of
from func_host.indexing.functions import layers_of
from func_host.indexing.problems import Problem, problem_at

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from func_bindings.metadata import FunctionMetadata
    from func_host.indexing.loader import AppPackage


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundFunction:
    """A decorated function or class, not judged yet; `auth_level` is that of its app object."""

    function: Callable[..., Any]
    metadata: FunctionMetadata
    auth_level: AuthLevel
    app: str
    app_dir: Path


class AppContents:
    """What the loaded modules of one app hold."""

    def __init__(self, package: AppPackage) -> None:
        """Look through every module of the app that has been imported."""
        self.functions: list[FoundFunction] = []
        self.problems: list[Problem] = []
        self.warnings: list[Problem] = []
        self._package = package
        self._collect()

    def _collect(self) -> None:
        members = list(self._members())
        apps = _distinct([each for each in members if isinstance(each, FunctionApp)])
        served: list[object] = [*apps, *(each for app in apps for each in app.blueprints)]
        strays: list[object] = [
            each for each in members if isinstance(each, Blueprint) and each.functions
        ]
        for app in apps:
            for function in app.functions:
                self._add(_as_in(members, function), app.auth_level)
        for member in members:
            metadata = metadata_of(member)
            if isinstance(member, type):
                self._refuse_methods(member)
            if metadata is not None and callable(member):
                if metadata.owner is None:
                    self._add(member, AuthLevel.FUNCTION)
                else:
                    strays.append(metadata.owner)
        for stray in _distinct(strays):
            if not any(stray is each for each in served):
                self._warn_of(stray)
        self.functions = _without_wrappers(self.functions)
        if not self.functions and not self.problems:
            self.problems += [*self.warnings, self._explain_nothing()]

    def _members(self) -> Iterator[object]:
        for module in self._package.loaded_modules():
            yield from list(vars(module).values())

    def _add(self, function: Callable[..., Any], auth_level: AuthLevel) -> None:
        metadata = metadata_of(function)
        if metadata is not None and all(function is not each.function for each in self.functions):
            self.functions.append(
                FoundFunction(
                    function=function,
                    metadata=metadata,
                    auth_level=auth_level,
                    app=self._package.app_name,
                    app_dir=self._package.folder,
                )
            )

    def _refuse_methods(self, cls: type) -> None:
        if not cls.__module__.startswith(self._package.name):
            return
        for name, member in vars(cls).items():
            metadata = metadata_of(member)
            if metadata is not None:
                text = (
                    f"{cls.__name__}.{name} is a method, and only functions of a module are found: "
                    "move it out of the class."
                )
                self.problems.append(problem_at(metadata.location, text))

    def _warn_of(self, stray: object) -> None:
        first = metadata_of(stray.functions[0]) if isinstance(stray, Blueprint) else None
        if first is None:
            return
        text = (
            "the FunctionApp of this function is in no module, so its functions are not served: "
            "assign it to a variable of the module."
            if isinstance(stray, FunctionApp)
            else "the Blueprint of this function is registered nowhere, so its functions are not "
            "served: call app.register_functions(…) with it."
        )
        self.warnings.append(problem_at(first.location, text))

    def _explain_nothing(self) -> Problem:
        text = (
            "no function was found there: decorate one in function_app.py, for instance with "
            "@route, or give the folder that holds the app."
        )
        if any(self._package.folder.glob("*/function.json")):
            text = (
                "its functions are described by function.json files, which this host does not "
                "read: decorate them in function_app.py instead."
            )
        return Problem(str(self._package.folder), 0, text)


def _distinct(objects: list[Any]) -> list[Any]:
    return list({id(each): each for each in objects}.values())


def _as_in(members: list[object], function: Callable[..., Any]) -> Callable[..., Any]:
    """Give the class of the module that has taken the place of the one that was decorated.

    That is what `dataclass(slots=True)` above the decorator does.
    """
    if not isinstance(function, type):
        return function
    metadata = metadata_of(function)
    alike = (each for each in members if isinstance(each, type) and metadata_of(each) is metadata)
    return next(alike, function)


def _without_wrappers(found: list[FoundFunction]) -> list[FoundFunction]:
    """Drop what `functools.wraps` made look decorated: the wrapper of a function that is here."""
    here = {id(each.function) for each in found}
    return [
        each
        for each in found
        if not any(
            id(layer) in here and metadata_of(layer) == each.metadata
            for layer in layers_of(each.function)[1:]
        )
    ]
