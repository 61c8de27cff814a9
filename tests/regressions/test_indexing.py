"""Mistakes once made while app folders were scanned."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from func_host.indexing.build import build_index
from func_host.indexing.scan import modules_to_load
from func_host.web.route_template import parse_template

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pytest


def test_folders_that_may_not_be_read_do_not_stop_the_scan(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever runs the tests may be root, who may read everything: so the refusal is acted."""
    (tmp_path / "app.py").touch()
    for name in ("closed", "vanished"):
        (tmp_path / name).mkdir()
    iterdir, is_dir = Path.iterdir, Path.is_dir

    def refusing_iterdir(folder: Path) -> Iterator[Path]:
        if folder.name == "closed":
            raise PermissionError(13, "Permission denied", str(folder))
        return iter(iterdir(folder))

    def refusing_is_dir(folder: Path) -> bool:
        if folder.name == "vanished":
            raise PermissionError(13, "Permission denied", str(folder))
        return is_dir(folder)

    monkeypatch.setattr(Path, "iterdir", refusing_iterdir)
    monkeypatch.setattr(Path, "is_dir", refusing_is_dir)

    assert modules_to_load(tmp_path) == ["app"]


def test_functions_in_the_init_file_of_the_app_folder_are_found(tmp_path: Path) -> None:
    """An app that is one package, with all of its functions there, had none."""
    (tmp_path / "__init__.py").write_text(
        "from func_bindings import activity_trigger\n"
        "@activity_trigger\n"
        "def in_init(value): return value\n"
    )
    (tmp_path / "other.py").write_text("from . import in_init\n")

    index = build_index([tmp_path], parse_template)

    assert [each.name for each in index.functions] == ["in_init"]
