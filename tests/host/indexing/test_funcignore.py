"""The patterns of `.funcignore` are those of `.gitignore`."""

import pytest

from func_host.indexing.funcignore import FuncIgnore


@pytest.mark.parametrize(
    ("pattern", "path"),
    [
        ("a.py", "a.py"),
        ("a.py", "deep/er/a.py"),
        ("*.py", "deep/a.py"),
        ("/a.py", "a.py"),
        ("pkg/a.py", "pkg/a.py"),
        ("pkg/*.py", "pkg/a.py"),
        ("**/gen/a.py", "x/y/gen/a.py"),
        ("**/gen/a.py", "gen/a.py"),
        ("pkg/**/a.py", "pkg/x/y/a.py"),
        ("pkg/**/a.py", "pkg/a.py"),
        ("pkg/**", "pkg/x/a.py"),
        ("a?.py", "ab.py"),
        ("a[0-9].py", "a7.py"),
        ("a[!0-9].py", "ax.py"),
        ("\\#a.py", "#a.py"),
        ("a.b.py ", "a.b.py"),
    ],
)
def test_a_pattern_matches(pattern: str, path: str) -> None:
    assert FuncIgnore(pattern).ignores(path, is_folder=False)


@pytest.mark.parametrize(
    ("pattern", "path"),
    [
        ("a.py", "aXpy"),
        ("/a.py", "pkg/a.py"),
        ("pkg/a.py", "x/pkg/a.py"),
        ("pkg/*.py", "pkg/x/a.py"),
        ("a?.py", "a/b.py"),
        ("pkg/", "pkg"),
        ("# a.py", "a.py"),
        ("", "a.py"),
        ("[z-a]", "b"),
        ("a.py\n!a.py", "a.py"),
    ],
)
def test_a_pattern_does_not_match(pattern: str, path: str) -> None:
    assert not FuncIgnore(pattern).ignores(path, is_folder=False)


def test_a_pattern_that_ends_with_a_slash_is_for_folders() -> None:
    assert FuncIgnore("pkg/").ignores("x/pkg", is_folder=True)
