"""Paths are read in one way only: decoded once, dots resolved, no segment out of an escape."""

import pytest

from func_host.web.paths import BadPathError, path_segments, split_path


@pytest.mark.parametrize(
    ("path", "segments"),
    [
        ("", []),
        ("/", []),
        ("/a/b", ["a", "b"]),
        ("/a/b/", ["a", "b"]),
        ("/a//b", ["a", "", "b"]),
        ("/a%20b", ["a b"]),
        ("/a+b", ["a+b"]),
        ("/a%2Bb", ["a+b"]),
        ("/a%252Bb", ["a%2Bb"]),
        ("/a%2Fb/c", ["a%2Fb", "c"]),
        ("/a%2fb", ["a%2fb"]),
        ("/%69nstances", ["instances"]),
        ("/%C3%A6%E2%98%83", ["æ☃"]),
        ("/p%ZZ1", ["p%ZZ1"]),
        ("/p%1", ["p%1"]),
        ("/p%FF1", ["p�1"]),
        ("/x/../instances", ["instances"]),
        ("/x/%2e%2e/instances", ["instances"]),
        ("/./a/%2E/b", ["a", "b"]),
        ("/../../a", ["a"]),
    ],
)
def test_a_path_is_split_before_it_is_decoded_and_decoded_once(
    path: str, segments: list[str]
) -> None:
    assert split_path(path) == segments


def test_a_path_with_a_nul_is_refused() -> None:
    with pytest.raises(BadPathError):
        split_path("/a%00b")


def test_the_raw_path_is_used_where_the_server_gives_it() -> None:
    assert path_segments({"raw_path": b"/a%2Fb", "path": "/a/b"}) == ["a%2Fb"]
    assert path_segments({"path": "/a b"}) == ["a b"]
