"""The documents say what is so, and the checkout is laid out as they say."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import pytest

from func_host import __version__
from func_host.cli.group import main
from func_host.cli.new import write_app
from tests.e2e.host_process import HostProcess, run_func_host
from tests.samples.readme import Step, run_step

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
DOCUMENTS = ("README.md", "ARCHITECTURE.md", "CHANGELOG.md", "CONTRIBUTING.md")
LINK = re.compile(r"\[[^\]]+\]\((?P<target>[^)#]+)[^)]*\)")
PINNED = re.compile(r"^(?P<name>[a-z0-9-]+)==(?P<version>[^ ;\\]+)", re.MULTILINE)
ENVIRONMENT = re.compile(r"\bos\.(environ|getenv)\b")
ENVIRONMENT_HOMES = {Path("config/app_settings.py")}


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


def section(title: str) -> str:
    return README.split(f"\n## {title}\n")[1].split("\n## ")[0]


def code_of(text: str) -> str:
    """Give code without its docstrings, laid out as Python itself would."""
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.FunctionDef | ast.AsyncFunctionDef) and (
            ast.get_docstring(node) is not None
        ):
            del node.body[0]
    return ast.unparse(tree)


def sources(folder: str) -> Iterator[tuple[Path, str]]:
    for path in sorted((ROOT / folder).rglob("*.py")):
        yield path.relative_to(ROOT / folder), path.read_text(encoding="utf-8")


def pyproject() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def pins(name: str) -> dict[str, str]:
    return dict(PINNED.findall((ROOT / name).read_text(encoding="utf-8")))


def test_two_commands_set_everything_up() -> None:
    commands = [line for block in blocks(section("Run it in a minute"), "sh") for line in [block]]

    assert commands == ["python3 run.py\n", "python3 run.py test\n"]


def test_continuous_integration_runs_the_same_command() -> None:
    assert "python3 run.py test" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")


def test_the_first_app_of_the_readme_is_the_one_that_is_written() -> None:
    template = ROOT / "host" / "func_host" / "cli" / "template" / "function_app.py"
    (shown,) = blocks(section("A first app"), "python")

    assert code_of(shown) == code_of(template.read_text(encoding="utf-8"))


@pytest.mark.anyio
async def test_the_test_of_the_readme_passes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_app(Path("shop"))
    (shown,) = blocks(section("Test an app"), "python")
    names: dict[str, Any] = {}
    exec(shown, names)  # noqa: S102 -- our own document

    await names["test_the_cities_are_greeted"]()


@pytest.mark.e2e
@pytest.mark.slow
def test_the_commands_of_the_readme_work(tmp_path: Path) -> None:
    first, *rest = blocks(section("A first app"), "sh")
    _activate, new, start = first.splitlines()
    assert (new, start) == ("func-host new shop", "func-host start shop")
    assert run_func_host("new", "shop", cwd=tmp_path).returncode == 0
    lines = [line for block in rest for line in block.splitlines()]
    assert len(lines) == 5

    with HostProcess(tmp_path / "shop", tmp_path) as host:
        for line in lines:
            run_step(Step(line), host.client, tmp_path)


def commands_of(group: click.Group) -> Iterator[tuple[str, click.Command]]:
    """Give the commands that do something, by all that is typed for them."""
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from ((f"{name} {below}", each) for below, each in commands_of(command))
        else:
            yield name, command


def test_every_command_and_option_is_in_the_readme() -> None:
    text = section("The commands")

    for name, command in commands_of(main):
        assert f"`func-host {name}" in text
        options = {o for parameter in command.params for o in parameter.opts if o[:2] == "--"}
        assert {option for option in options if f"`{option}" not in text} == set()


def test_every_setting_is_in_the_readme() -> None:
    text = section("Settings")
    read = re.compile(r'section\.(?:string|integer|boolean|duration|choice|strings)\(\s*"(\w+)"')
    names = {name for _, code in sources("host/func_host/config") for name in read.findall(code)}
    names -= {"IsEncrypted", "LocalHttpAddress"}  # of local.settings.json

    assert len(names) > 10
    assert {name for name in names if name not in text} == set()


@pytest.mark.parametrize("document", DOCUMENTS)
def test_links_within_the_repository_lead_somewhere(document: str) -> None:
    text = (ROOT / document).read_text(encoding="utf-8")
    targets = [match["target"] for match in LINK.finditer(text)]
    local = [target for target in targets if "://" not in target]

    assert [target for target in local if not (ROOT / target).exists()] == []


def test_paths_named_in_the_architecture_exist() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`((?:func_host|func_bindings)/[\w./]*)`", text))
    folders = {"func_host": ROOT / "host", "func_bindings": ROOT / "bindings"}

    assert len(named) > 10
    assert {name for name in named if not (folders[name.split("/")[0]] / name).exists()} == set()


def test_the_version_has_an_entry_in_the_changelog() -> None:
    assert f"\n## {__version__} " in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["constraints.txt", "constraints-dev.txt"])
def test_every_version_is_pinned_with_hashes_and_without_an_address(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    entries = re.split(r"\n(?=\S)", text.strip())

    assert "://" not in text
    assert [entry for entry in entries if "==" not in entry or "--hash=sha256:" not in entry] == []


def test_the_checks_run_with_the_versions_that_a_run_gets() -> None:
    run, checks = pins("constraints.txt"), pins("constraints-dev.txt")

    assert run.items() <= checks.items()


def test_every_dependency_is_pinned() -> None:
    settings = pyproject()
    groups = settings["dependency-groups"]
    name = re.compile(r"[\w-]+")

    def names(requirements: list[str]) -> set[str]:
        return {name.match(each)[0].lower() for each in requirements}  # type: ignore[index] -- each begins with a name

    assert names(settings["project"]["dependencies"]) <= pins("constraints.txt").keys()
    assert names(groups["dev"]) | names(groups["build"]) <= pins("constraints-dev.txt").keys()


def test_bindings_import_nothing_but_the_standard_library() -> None:
    allowed = sys.stdlib_module_names | {"func_bindings"}
    foreign = {
        f"{path}: {name}"
        for path, code in sources("bindings")
        for node in ast.walk(ast.parse(code))
        for name in imported_by(node)
        if name.partition(".")[0] not in allowed
    }

    assert foreign == set()


def imported_by(node: ast.AST) -> list[str]:
    match node:
        case ast.Import(names=names):
            return [alias.name for alias in names]
        case ast.ImportFrom(module=str() as module, level=0):
            return [module]
        case _:
            return []


def test_only_the_configuration_reads_the_environment() -> None:
    readers = {path for path, code in sources("host/func_host") if ENVIRONMENT.search(code)}

    assert readers == ENVIRONMENT_HOMES


@pytest.mark.parametrize("folder", ["host", "bindings"])
def test_every_module_says_what_it_is_for(folder: str) -> None:
    silent = [path for path, code in sources(folder) if ast.get_docstring(ast.parse(code)) is None]

    assert silent == []


def test_no_folder_around_the_packages_is_a_package() -> None:
    assert not (ROOT / "host" / "__init__.py").exists()
    assert not (ROOT / "bindings" / "__init__.py").exists()


def test_the_wheel_holds_both_packages_and_what_they_read(tmp_path: Path) -> None:
    wheel = pytest.importorskip("hatchling.builders.wheel")

    (built,) = wheel.WheelBuilder(str(ROOT)).build(directory=str(tmp_path), versions=["standard"])

    held = set(zipfile.ZipFile(built).namelist())
    data = {
        path.relative_to(ROOT / folder).as_posix()
        for folder in ("host", "bindings")
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert {"func_host/py.typed", "func_bindings/py.typed"} <= held
    assert data - held == set()
    assert not any(name.startswith(("host/", "bindings/", "tests/")) for name in held)
