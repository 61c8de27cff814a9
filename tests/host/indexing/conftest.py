"""Apps written to a folder of the test, indexed or refused."""

from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import pytest

from func_host.indexing import FunctionIndex, IndexingError, build_index

WriteApp = Callable[..., Path]


@pytest.fixture
def write_app(tmp_path: Path) -> WriteApp:
    """Write files (`"pkg/module.py": source`) into an app folder and give the folder."""

    def write(files: dict[str, str] | str, folder: str = "shop") -> Path:
        app_dir = tmp_path / folder
        app_dir.mkdir(parents=True, exist_ok=True)
        if isinstance(files, str):
            files = {"function_app.py": files}
        for name, source in files.items():
            path = app_dir / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(dedent(source), encoding="utf-8")
        return app_dir

    return write


IMPORTS = "from func_bindings import *\n"


@pytest.fixture
def index_of(write_app: WriteApp) -> Callable[[str], FunctionIndex]:
    def index(source: str) -> FunctionIndex:
        return build_index([write_app(IMPORTS + source)])

    return index


@pytest.fixture
def problems_of(write_app: WriteApp) -> Callable[[str], tuple[str, ...]]:
    """Give the problems of a function_app.py, without its path: `line: text`."""

    def problems(source: str) -> tuple[str, ...]:
        folder = write_app(IMPORTS + source)
        with pytest.raises(IndexingError) as caught:
            build_index([folder])
        prefix = f"{folder / 'function_app.py'}:"
        return tuple(problem.replace(prefix, "") for problem in caught.value.problems)

    return problems
