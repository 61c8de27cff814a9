"""The harness itself: it installs once, starts its own, stops only that, and says what is wrong."""

from __future__ import annotations

import urllib.error
import urllib.request
from typing import TYPE_CHECKING

import pytest

from tests.azurite import emulator
from tests.azurite.emulator import CONNECTION_SETTING, Azurite, AzuriteError, installed

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.azurite


def urls(azurite: Azurite) -> list[str]:
    parts = (part.partition("=") for part in azurite.connection_string.split(";"))
    return [value for name, _, value in parts if name.endswith("Endpoint")]


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5):  # noqa: S310 -- of our own emulator
            return True
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False


def test_two_of_them_run_side_by_side_and_each_ends_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(CONNECTION_SETTING, raising=False)
    with Azurite() as first:
        with Azurite() as second:
            second_urls = urls(second)
            assert len({*urls(first), *second_urls}) == 6
            assert all(answers(url) for url in [*urls(first), *second_urls])
        assert not any(answers(url) for url in second_urls)
        assert all(answers(url) for url in urls(first))


def test_one_that_runs_already_is_used_and_left_running(
    azurite: Azurite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(CONNECTION_SETTING, azurite.connection_string)
    with Azurite() as found:
        assert found.connection_string == azurite.connection_string

    assert all(answers(url) for url in urls(azurite))


def test_of_two_installations_at_once_the_first_is_used_by_both(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "azurite"

    def install(into: Path) -> None:
        for target in (into, folder):  # the other run is done while this one still installs
            script = target / "node_modules" / "azurite" / "dist" / "src" / "azurite.js"
            script.parent.mkdir(parents=True)
            script.write_text(target.name)

    monkeypatch.setattr(emulator, "_npm_install", install)

    assert installed(folder).read_text() == "azurite"
    assert list(tmp_path.iterdir()) == [folder]
    assert installed(folder).read_text() == "azurite"


def test_an_installation_that_fails_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(into: Path) -> None:
        raise AzuriteError("no network")

    monkeypatch.setattr(emulator, "_npm_install", fail)
    with pytest.raises(AzuriteError, match="no network"):
        installed(tmp_path / "azurite")
    assert list(tmp_path.iterdir()) == []
