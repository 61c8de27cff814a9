"""App folders loaded as packages, side by side in one process.

Each folder becomes a package of its own, `func_apps.<folder>`, so that every app may have its
`function_app.py`, `models.py` or `queue.py`. Relative imports work as in any package. Absolute
imports (`import models`, as if the folder came first in `sys.path`) are resolved by an
`__import__` that only the modules of that app see: it stands in their `__builtins__`, and so holds
for imports inside functions, on any thread and at any time, while nobody else's `import queue`
ever meets an app's `queue.py`. Either way a module is one object, executed once.

As with a folder that comes first in `sys.path`, the app's module wins over an installed or
standard one of the same name, but for those that are built into the interpreter (`sys`, `time`,
`os`). One thing is kinder: a module that imports its own name gets the other one, so that an
app's `queue.py` can use the standard `queue`.

`importlib.import_module("models")` and other lookups by text go through `sys.modules`, which
apps share: they find an app's module if nothing else has the name and only one app does.
"""

from __future__ import annotations

import builtins
import importlib
import importlib.abc
import re
import sys
import types
from importlib.machinery import FrozenImporter, ModuleSpec, PathFinder, SourceFileLoader
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

NAMESPACE = "func_apps"
_NEVER_LOCAL = {"func_bindings", "func_host", NAMESPACE}


class AppPackage:
    """One app folder as an importable package."""

    def __init__(self, folder: Path) -> None:
        """Make the package; nothing of the app runs yet."""
        self.folder = folder
        self.app_name = folder.name
        self.name = _free_name(folder.name)
        self.builtins: dict[str, Any] = {**vars(builtins), "__import__": self._import}
        self._locals: dict[str, bool] = {}
        _finder().packages[self.name] = self
        importlib.invalidate_caches()  # files may be younger than what the path finder remembers

    def load(self, module: str) -> types.ModuleType:
        """Import a module of the app by its name within the folder; `""` is the folder itself."""
        return importlib.import_module(f"{self.name}.{module}" if module else self.name)

    def loaded_modules(self) -> list[types.ModuleType]:
        """Give the modules of the app that have been imported so far, in that order."""
        prefix = f"{self.name}."
        return [
            module
            for name, module in list(sys.modules.items())
            if name == self.name or name.startswith(prefix)
        ]

    def has_module(self, top: str) -> bool:
        """Tell whether a top-level name is a module or package of this app."""
        found = self._locals.get(top)
        if found is None:
            found = (
                top not in _NEVER_LOCAL
                and top not in sys.builtin_module_names
                and FrozenImporter.find_spec(top) is None
                and self._holds(top)
            )
            self._locals[top] = found
        return found

    def _holds(self, top: str) -> bool:
        spec = PathFinder.find_spec(f"{self.name}.{top}", [str(self.folder)])
        if spec is None:
            return False
        is_mere_folder = spec.origin is None  # without __init__.py: a real module wins over it
        return not (is_mere_folder and _is_known_elsewhere(top))

    def _import(
        self,
        name: str,
        globals: Mapping[str, object] | None = None,  # noqa: A002 -- the names of __import__
        locals: Mapping[str, object] | None = None,  # noqa: A002
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> types.ModuleType:
        """Do as `__import__`, with the app's own modules first."""
        if level == 0:
            importer = str((globals or {}).get("__name__", ""))
            top = name.partition(".")[0]
            if self.has_module(top) and importer != f"{self.name}.{name}":
                inner = f"{self.name}.{name}"
                if fromlist:
                    return builtins.__import__(inner, globals, locals, fromlist, 0)
                importlib.import_module(inner)
                return sys.modules[f"{self.name}.{top}"]
        return builtins.__import__(name, globals, locals, fromlist or (), level)


class _AppModuleLoader(SourceFileLoader):
    """Runs a module of an app with that app's `__import__`."""

    def __init__(self, fullname: str, path: str, package: AppPackage) -> None:
        super().__init__(fullname, path)
        self._package = package

    def exec_module(self, module: types.ModuleType) -> None:
        vars(module)["__builtins__"] = self._package.builtins
        super().exec_module(module)


class _AliasLoader(importlib.abc.Loader):
    """Gives a module of an app under the name that the app calls it by."""

    def __init__(self, module: types.ModuleType) -> None:
        self._module = module
        self._spec = module.__spec__

    def create_module(self, spec: ModuleSpec) -> types.ModuleType:
        del spec
        return self._module

    def exec_module(self, module: types.ModuleType) -> None:
        module.__spec__ = self._spec  # the import machinery has put the alias's in its place


class _AppFinder:
    """Finds the modules below `func_apps`, under that name or under an alias of their package."""

    def __init__(self) -> None:
        self.packages: dict[str, AppPackage] = {}

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None = None,
        target: types.ModuleType | None = None,
    ) -> ModuleSpec | None:
        """Give the spec of an app's module; None for everybody else's."""
        top, _, rest = fullname.partition(".")
        if top != NAMESPACE:
            return _spec_below_alias(fullname) if rest else None
        package = self.packages.get(f"{NAMESPACE}.{rest.partition('.')[0]}")
        if package is None:
            return None
        if fullname == package.name:
            return _package_spec(package)
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and isinstance(spec.loader, SourceFileLoader):
            spec.loader = _AppModuleLoader(fullname, str(spec.loader.path), package)
        return spec


class _AliasFinder:
    """Finds an app's module by the name the app calls it by, where nothing else has that name."""

    def __init__(self, packages: Mapping[str, AppPackage]) -> None:
        self._packages = packages

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None = None,
        target: types.ModuleType | None = None,
    ) -> ModuleSpec | None:
        """Give the spec of a top-level module that exactly one app has.

        Raises:
            ModuleNotFoundError: Several apps have it.
        """
        del target
        if path is not None:
            return None
        owners = {
            each.folder: each for each in self._packages.values() if each.has_module(fullname)
        }
        if len(owners) > 1:
            folders = ", ".join(sorted(str(folder) for folder in owners))
            message = (
                f"Several apps have a module {fullname!r} ({folders}), so it cannot be looked up "
                "by text: use an import statement."
            )
            raise ModuleNotFoundError(message, name=fullname)
        for owner in owners.values():
            return _alias_spec(fullname, f"{owner.name}.{fullname}")
        return None


def _alias_spec(alias: str, fullname: str) -> ModuleSpec:
    return ModuleSpec(alias, _AliasLoader(importlib.import_module(fullname)))


def _spec_below_alias(fullname: str) -> ModuleSpec | None:
    parent, _, name = fullname.rpartition(".")
    package = _inner_name(parent)
    if package is None:
        return None
    try:
        return _alias_spec(fullname, f"{package}.{name}")
    except ModuleNotFoundError:
        return None


def _inner_name(alias: str) -> str | None:
    """Give the name below `func_apps` of a module that goes by an alias of its app."""
    name = getattr(sys.modules.get(alias), "__name__", None)
    return name if isinstance(name, str) and name.startswith(f"{NAMESPACE}.") else None


def _package_spec(package: AppPackage) -> ModuleSpec:
    init = package.folder / "__init__.py"
    loader = _AppModuleLoader(package.name, str(init), package) if init.is_file() else None
    spec = ModuleSpec(package.name, loader, origin=str(init) if loader else None, is_package=True)
    spec.submodule_search_locations = [str(package.folder)]
    spec.has_location = loader is not None
    return spec


def _free_name(folder_name: str) -> str:
    """Name a package after its folder, and apart from every other."""
    stem = re.sub(r"\W", "_", folder_name) or "app"
    name = f"{NAMESPACE}.{stem}"
    taken = _finder().packages
    number = 2
    while name in taken:
        name = f"{NAMESPACE}.{stem}_{number}"
        number += 1
    return name


def _finder() -> _AppFinder:
    """Give the finder of this process, put in place when the first app comes."""
    for each in sys.meta_path:
        if isinstance(each, _AppFinder):
            return each
    finder = _AppFinder()
    sys.meta_path.insert(0, finder)
    sys.meta_path.append(_AliasFinder(finder.packages))
    namespace = types.ModuleType(NAMESPACE, "The function apps loaded by func-host.")
    namespace.__path__ = []
    sys.modules[NAMESPACE] = namespace
    return finder


def _is_known_elsewhere(top: str) -> bool:
    """Tell whether a regular module of this name can be imported without any app."""
    if top in sys.modules:
        return _inner_name(top) is None
    for finder in sys.meta_path:
        if not isinstance(finder, _AppFinder | _AliasFinder):
            spec = finder.find_spec(top, None)
            if spec is not None:
                return spec.origin is not None
    return False
