r"""Instance ids and ordinals as keys of table rows.

Table keys must not hold `/ \ # ?` or control characters, so an instance id is escaped: character
by character of UTF-16, as the provider does. All that is escaped lies in the Basic Multilingual
Plane, so that working on code points comes to the same.
"""

from __future__ import annotations

import re
from typing import Final

SENTINEL: Final = "sentinel"
"""The row key of the row that fences a history; sorts after every ordinal."""

INSTANCE_ROW: Final = ""
"""The row key of every row of the instances table."""

_CONTROL_OFFSET: Final = 0xC0
_SYMBOLS: Final = {"^": "^^", "/": "^0", "\\": "^1", "#": "^2", "?": "^3"}
_ESCAPES: Final = {
    **{ord(symbol): escape for symbol, escape in _SYMBOLS.items()},
    **{code: f"^{chr(code + _CONTROL_OFFSET)}" for code in (*range(0x20), *range(0x7F, 0xA0))},
}
_SYMBOL_OF: Final = {escape[1]: symbol for symbol, escape in _SYMBOLS.items()}
_ESCAPED: Final = re.compile(r"\^(.)", re.DOTALL)


def escape_key(instance_id: str) -> str:
    """Give the partition key of an instance."""
    return instance_id.translate(_ESCAPES)


def unescape_key(partition_key: str) -> str:
    """Give the instance of a partition key; the inverse of `escape_key`.

    A `^` that escapes nothing, as only a foreign writer could leave one, stays.
    """
    if "^" not in partition_key:
        return partition_key
    return _ESCAPED.sub(_unescaped, partition_key)


def _unescaped(match: re.Match[str]) -> str:
    mark = match[1]
    symbol = _SYMBOL_OF.get(mark)
    if symbol is not None:
        return symbol
    code = ord(mark) - _CONTROL_OFFSET
    return chr(code) if code >= 0 else match[0]


def row_key(ordinal: int) -> str:
    """Give the row key of the event at this place of a history, counted from zero."""
    return f"{ordinal:016X}"


def ordinal_of(key: str) -> int:
    """Give the place that a row key of an event says; the inverse of `row_key`."""
    return int(key, 16)
