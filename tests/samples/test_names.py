"""All samples fit into one host."""

from __future__ import annotations

from collections import Counter

from func_bindings.metadata import HttpTrigger
from func_host.indexing import build_index
from tests.e2e.host_process import REPOSITORY


def test_names_and_routes_are_unique_across_samples() -> None:
    folders = sorted(path.parent for path in REPOSITORY.glob("samples/*/function_app.py"))
    functions = build_index(folders).functions

    names = Counter(function.name.lower() for function in functions)
    routes = Counter(
        (method, trigger.route)
        for function in functions
        if isinstance(trigger := function.trigger, HttpTrigger)
        for method in trigger.methods or ("any",)
    )

    assert [name for name, times in names.items() if times > 1] == []
    assert [route for route, times in routes.items() if times > 1] == []
