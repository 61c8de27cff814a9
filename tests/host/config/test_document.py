from pathlib import Path

import pytest

from func_host.config.document import ConfigError, override, read_document


def test_a_file_that_does_not_exist_is_empty(tmp_path: Path) -> None:
    assert read_document(tmp_path / "host.json").values == {}


def test_comments_last_commas_and_a_byte_order_mark_are_allowed(tmp_path: Path) -> None:
    file = tmp_path / "host.json"
    text = '\ufeff{ // the version\n "version": "2.0", /* no\n more */ "a": ["//", ], }'
    file.write_text(text, encoding="utf-8")

    assert read_document(file).values == {"version": "2.0", "a": ["//"]}


@pytest.mark.parametrize(
    ("text", "place"),
    [('{\n  "a": 1\n  "b": 2\n}', ":3:3: "), ("", ":1:1: "), ('{"a": tru}', ":1:7: ")],
)
def test_broken_json_is_told_with_line_and_column(tmp_path: Path, text: str, place: str) -> None:
    file = tmp_path / "host.json"
    file.write_text(text, encoding="utf-8")

    with pytest.raises(ConfigError) as caught:
        read_document(file)

    assert f"{file}{place}" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["[]", '"2.0"', "[" * 100_000, "\ud800"])
def test_what_is_no_object_is_refused_in_one_line(tmp_path: Path, text: str) -> None:
    file = tmp_path / "host.json"
    file.write_bytes(text.encode("utf-8", "surrogatepass"))

    with pytest.raises(ConfigError, match=r"host\.json") as caught:
        read_document(file)

    assert "\n" not in str(caught.value)


def test_a_value_is_placed_at_the_line_of_its_key(tmp_path: Path) -> None:
    file = tmp_path / "host.json"
    file.write_text('{\n "x": {"b": 0},\n "a": {\n  "B": 1}\n}', encoding="utf-8")

    document = read_document(file)

    assert document.place("a.b") == f"{file}:4"
    assert document.place("a.c") == str(file)


def test_a_variable_overrides_a_value_whatever_the_case(tmp_path: Path) -> None:
    file = tmp_path / "host.json"
    file.write_text('{"Extensions": {"http": {"routePrefix": "api"}}, "list": ["a", "b"]}')
    variables = {
        "HOST__extensions__HTTP__routeprefix": "v1",
        "host__list__1": "c",
        "HOST__new__key": "1",
        "HOST__": "ignored",
        "OTHER__list": "ignored",
    }

    document = override(read_document(file), "HOST__", variables)

    assert document.values == {
        "Extensions": {"http": {"routePrefix": "v1"}},
        "list": {"0": "a", "1": "c"},
        "new": {"key": "1"},
    }
    assert document.place("new.key") == "environment variable HOST__new__key"
