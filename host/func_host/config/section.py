"""An object of a settings file, read key by key: types checked, defaults given."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, cast

from func_host.config.duration import parse_duration

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import timedelta
    from enum import Enum

    from func_host.config.document import ConfigError, Document

_E = TypeVar("_E", bound="Enum")


class Section:
    """One object of a document. A value that is missing or null gives the default.

    Numbers and booleans may be written as text too, which is how environment variables come.
    Every reading method raises a `ConfigError` with file, line, path and what was expected.
    """

    def __init__(self, document: Document, values: Mapping[str, Any], path: str = "") -> None:
        """Read the object that stands at a path of the document."""
        self._document = document
        self._values = {key.lower(): value for key, value in values.items()}
        self._written = {key.lower(): key for key in values}
        self._path = path
        self._known: dict[str, str] = {}
        self._sections: list[Section] = []

    def section(self, name: str) -> Section:
        """Give the object of this name; an empty one where there is none."""
        value = self._take(name)
        if value is None:
            value = dict[str, Any]()
        if not isinstance(value, dict):
            raise self.error(name, f"expected an object {{…}}, not {_shown(value)}.")
        values = cast("dict[str, Any]", value)
        self._sections.append(Section(self._document, values, self._path_of(name)))
        return self._sections[-1]

    def string(self, name: str, default: str | None = None) -> str | None:
        """Give a text."""
        value = self._take(name)
        if value is None:
            return default
        if not isinstance(value, str):
            raise self.error(name, f'expected a text "…", not {_shown(value)}.')
        return value

    def integer(self, name: str, default: int, *, at_least: int, at_most: int = 2**31 - 1) -> int:
        """Give a whole number within limits."""
        value = self._take(name)
        if value is None:
            return default
        number = _whole_number(value)
        if number is None or not at_least <= number <= at_most:
            limits = f"of {at_least} or more"
            if at_most < 2**31 - 1:
                limits = f"from {at_least} to {at_most}"
            raise self.error(name, f"expected a whole number {limits}, not {_shown(value)}.")
        return number

    def boolean(self, name: str, *, default: bool) -> bool:
        """Give true or false."""
        value = self._take(name)
        if value is None:
            return default
        if isinstance(value, bool):
            return value
        if isinstance(value, str) and value.strip().lower() in {"true", "false"}:
            return value.strip().lower() == "true"
        raise self.error(name, f"expected true or false, not {_shown(value)}.")

    def duration(
        self,
        name: str,
        default: timedelta,
        *,
        at_least: timedelta,
        at_most: timedelta | None = None,
    ) -> timedelta:
        """Give a time span within limits."""
        value = self._take(name)
        if value is None:
            return default
        if not isinstance(value, str):
            raise self.error(
                name, f'expected a time span like "00:05:00" (hh:mm:ss), not {_shown(value)}.'
            )
        try:
            duration = parse_duration(value)
        except ValueError as error:
            raise self.error(name, f"{error}.") from error
        if duration < at_least:
            raise self.error(name, f'expected at least {at_least.total_seconds():g} s: "{value}".')
        if at_most is not None and duration > at_most:
            raise self.error(name, f'expected at most {at_most.total_seconds():g} s: "{value}".')
        return duration

    def limit(self, name: str, default: timedelta, *, at_least: timedelta) -> timedelta | None:
        """Give a time span, or None for `-1`, which is no limit."""
        value = self._peek(name)
        if _whole_number(value) == -1:
            self._take(name)
            return None
        return self.duration(name, default, at_least=at_least)

    def choice(self, name: str, choices: type[_E]) -> _E | None:
        """Give one of the values of an enum, whatever its case; None where nothing is given."""
        value = self._take(name)
        if value is None:
            return None
        for choice in choices:
            if isinstance(value, str) and str(choice.value).lower() == value.strip().lower():
                return choice
        known = ", ".join(f'"{choice.value}"' for choice in choices)
        raise self.error(name, f"expected one of {known}, not {_shown(value)}.")

    def strings(self, name: str) -> tuple[str, ...] | None:
        """Give a list of texts; None where nothing is given."""
        value = self._take(name)
        if value is None:
            return None
        if isinstance(value, dict):  # items that environment variables name by their index
            items = cast("dict[str, Any]", value)
            value = [items[key] for key in sorted(items, key=lambda key: (len(key), key))]
        texts = cast("list[object]", value) if isinstance(value, list) else []
        if isinstance(value, list) and all(isinstance(text, str) for text in texts):
            return tuple(cast("list[str]", texts))
        shown = _shown(self._peek(name))
        raise self.error(name, f'expected a list of texts ["…"], not {shown}.')

    def texts(self, name: str) -> dict[str, str]:
        """Give an object whose keys are free and whose values are texts."""
        value = self._take(name)
        if value is None:
            return {}
        items = cast("dict[str, object]", value) if isinstance(value, dict) else {}
        if isinstance(value, dict) and all(isinstance(text, str) for text in items.values()):
            return cast("dict[str, str]", items)
        shown = _shown(self._peek(name))
        raise self.error(name, f'expected an object of texts {{"name": "…"}}, not {shown}.')

    def unknown(self, unused: Mapping[str, tuple[str, ...]]) -> list[str]:
        """Give a line for each key here and below that nobody has read.

        Args:
            unused: By path of the object, the keys that are known though nobody reads them.
        """
        known = {**{name.lower(): name for name in unused.get(self._path, ())}, **self._known}
        lines = [
            f"{self._document.place(path)}: {path} is not a setting, so it has no effect"
            f"{_suggestion(key, known)}."
            for key, path in ((key, self._path_of(self._written[key])) for key in self._values)
            if key not in known
        ]
        return lines + [line for below in self._sections for line in below.unknown(unused)]

    def error(self, name: str, problem: str) -> ConfigError:
        """Make the error that tells a problem of one of the keys."""
        return self._document.error(self._path_of(name), problem)

    def _peek(self, name: str) -> object:
        return self._values.get(name.lower())

    def _take(self, name: str) -> object:
        self._known[name.lower()] = name
        return self._values.get(name.lower())

    def _path_of(self, name: str) -> str:
        return f"{self._path}.{name}" if self._path else name


def _suggestion(key: str, known: Mapping[str, str]) -> str:
    from difflib import get_close_matches  # noqa: PLC0415 -- rarely needed

    close = get_close_matches(key, known, n=1, cutoff=0.75)
    return f" (did you mean {known[close[0]]}?)" if close else ""


def _whole_number(value: object) -> int | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    try:
        return int(value) if isinstance(value, str) else None
    except ValueError:
        return None


def _shown(value: object) -> str:
    import json  # noqa: PLC0415 -- only errors need it

    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 40 else f"{text[:39]}…"  # noqa: PLR2004 -- a line stays a line
