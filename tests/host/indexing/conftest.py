"""Apps written to a folder of the test."""

from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import pytest

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
