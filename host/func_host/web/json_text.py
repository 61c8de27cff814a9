"""JSON in request bodies: kept as it was sent, or put right where only the extension takes it.

A body that is JSON is stored as it is, character by character. The extension's parser also takes
single quotes, comments, names without quotes, trailing commas and NaN; a short body of that kind
is rewritten as JSON, so that whoever got away with it so far still does. A cut-off one is not
taken.
"""

from __future__ import annotations

import json
import re
from typing import Any, Never

from func_host.durable.status_payload import is_json

_LENIENT_MAX = 65_536
_DEPTH_MAX = 100
_BLANK = re.compile(r"(?:\s+|/\*.*?\*/|//[^\n]*)*", re.DOTALL)
_NAME = re.compile(r"[A-Za-z_$][\w$]*")
_NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?", re.ASCII)
_QUOTED = {
    quote: re.compile(rf"{quote}((?:[^{quote}\\]|\\.)*){quote}", re.DOTALL) for quote in "\"'"
}
_WORDS = {
    "true": "true",
    "false": "false",
    "null": "null",
    "NaN": '"NaN"',
    "Infinity": '"Infinity"',
    "-Infinity": '"-Infinity"',
}


class InvalidJsonError(ValueError):
    """The body is not JSON."""


def json_text(body: bytes, *, first_only: bool = False) -> str | None:
    """Give the JSON text of a body; None where there is nothing but blanks.

    Args:
        body: As it was sent.
        first_only: Take the first value of a short body whatever follows it, as the extension
            does with events.

    Raises:
        InvalidJsonError: It is not JSON.
    """
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidJsonError(f"The body is not UTF-8: {error}.") from error
    if not text or text.isspace():
        return None
    if is_json(text):
        return text
    if len(text) > _LENIENT_MAX:
        raise InvalidJsonError("The body is not JSON.")
    return _Lenient(text).document(first_only=first_only)


class _Lenient:
    """Reads what the extension's parser takes and writes it as JSON."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._depth = 0

    def document(self, *, first_only: bool) -> str:
        written = self._value()
        self._skip_blanks()
        if self._at < len(self._text) and not first_only:
            self._refuse("Additional text after the end of the value")
        return written

    def _value(self) -> str:
        self._skip_blanks()
        character = self._text[self._at : self._at + 1]
        if character == "{":
            return "{" + ",".join(self._items("}", self._member)) + "}"
        if character == "[":
            return "[" + ",".join(self._items("]", self._value)) + "]"
        if character in _QUOTED:
            return self._string(character)
        number = _NUMBER.match(self._text, self._at)
        if number is not None:
            return self._take(number)
        for word, written in _WORDS.items():
            if self._text.startswith(word, self._at):
                self._at += len(word)
                return written
        return self._refuse("Unexpected text")

    def _items(self, end: str, read: Any) -> list[str]:
        items: list[str] = []
        self._at += 1
        self._depth += 1
        if self._depth > _DEPTH_MAX:
            self._refuse("Nested too deeply")
        self._skip_blanks()
        while not self._text.startswith(end, self._at):
            items.append(read())
            self._skip_blanks()
            if self._text.startswith(",", self._at):
                self._at += 1
                self._skip_blanks()
            elif not self._text.startswith(end, self._at):
                self._refuse(f"Expected ',' or '{end}'")
        self._at += 1
        self._depth -= 1
        return items

    def _member(self) -> str:
        character = self._text[self._at : self._at + 1]
        if character in _QUOTED:
            name = self._string(character)
        else:
            found = _NAME.match(self._text, self._at) or self._refuse("Expected a property name")
            name = json.dumps(self._take(found))
        self._skip_blanks()
        if not self._text.startswith(":", self._at):
            self._refuse("Expected ':' after a property name")
        self._at += 1
        return f"{name}:{self._value()}"

    def _string(self, quote: str) -> str:
        found = _QUOTED[quote].match(self._text, self._at) or self._refuse("Unterminated string")
        inner = found[1].replace("\\'", "'")
        if quote == "'":
            inner = re.sub(r'(?<!\\)"', '\\"', inner)
        self._at = found.end()
        try:
            return json.dumps(json.loads(f'"{inner}"', strict=False))
        except ValueError:
            return self._refuse("Bad escape in a string")

    def _skip_blanks(self) -> None:
        found = _BLANK.match(self._text, self._at)
        self._at = self._at if found is None else found.end()

    def _take(self, found: re.Match[str]) -> str:
        self._at = found.end()
        return found[0]

    def _refuse(self, problem: str) -> Never:
        line = self._text.count("\n", 0, self._at) + 1
        column = self._at - self._text.rfind("\n", 0, self._at) - 1
        raise InvalidJsonError(f"{problem}. Line {line}, position {column}.")
