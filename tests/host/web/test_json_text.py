"""Bodies are kept as they are; what only the extension takes is rewritten as JSON."""

import json

import pytest

from func_host.web.json_text import InvalidJsonError, json_text


@pytest.mark.parametrize(
    "text",
    [
        "1",
        ' { "b" : 1.50 } ',
        '"\\ud800"',
        "1e400",
        '{"a":1,"a":2}',
        "12345678901234567890123",
        '"æ☃😀"',
        "\n[1,\n2]",
    ],
)
def test_json_is_kept_character_by_character(text: str) -> None:
    assert json_text(text.encode()) == text


@pytest.mark.parametrize("body", [b"", b"   ", b"\r\n", b"\xef\xbb\xbf", b"\xef\xbb\xbf  "])
def test_blanks_are_nothing(body: bytes) -> None:
    assert json_text(body) is None


def test_a_byte_order_mark_is_dropped() -> None:
    assert json_text(b'\xef\xbb\xbf{"a":1}') == '{"a":1}'


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("{'a': 1 /* c */}", {"a": 1}),
        ('{"a":1,}', {"a": 1}),
        ("[1,2,]", [1, 2]),
        ("{a: {b_1: 'x'}}", {"a": {"b_1": "x"}}),
        ("'it\\'s \"so\"'", 'it\'s "so"'),
        ("NaN", "NaN"),
        ("[-Infinity, Infinity]", ["-Infinity", "Infinity"]),
        ("// first\n[true, false, null] // last", [True, False, None]),
        ("'\\u00e6\\n'", "æ\n"),
        ("{}/**/", {}),
    ],
)
def test_what_the_extension_takes_is_rewritten(text: str, value: object) -> None:
    written = json_text(text.encode())

    assert written is not None
    assert json.loads(written) == value


@pytest.mark.parametrize(
    "text",
    [
        *("{bad", "{", "[", '{"a":1', "[1,2", '"abc', "'abc", "[1}", "1 2", "42 apples", "hello"),
        *("{a 1}", "{1:2}", "[,]", "{,}", "[1 2]", "'\\x'", "007", "\0", "/*"),
        "[" * 200 + "1," + "]" * 200,
        "{'a':1" + " " * 70_000 + "}",
    ],
)
def test_what_nobody_takes_is_refused(text: str) -> None:
    with pytest.raises(InvalidJsonError):
        json_text(text.encode())


def test_text_that_is_no_utf_8_is_refused() -> None:
    with pytest.raises(InvalidJsonError, match="UTF-8"):
        json_text(b'"\xff"')


def test_a_refusal_names_the_place() -> None:
    with pytest.raises(InvalidJsonError, match="Line 2, position 4"):
        json_text(b'{"a": 1,\n"b" 2}')


def test_an_event_may_be_followed_by_something_else() -> None:
    assert json_text(b"1 2", first_only=True) == "1"
    with pytest.raises(InvalidJsonError):
        json_text(b'{"a":1', first_only=True)
