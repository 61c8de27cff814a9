"""Typed JSON: what functions take, give and send, as text and back.

Reading and writing is msgspec's, at about a microsecond a value. What msgspec cannot do (unions of
several dataclasses, dataclasses with fields of arbitrary classes) is done by `fitting`, and a
value that cannot be written is named by its path only once writing it has failed.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import msgspec

from func_bindings.errors import SerializationError
from func_host.indexing.annotations import parameter_types, result_type
from func_host.invocation.fitting import ForeignTypeError, fit, read_foreign, type_name
from func_host.invocation.unwritable import explain_unwritable, find_not_a_number, to_writable

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["dump_json", "load_json", "parameter_types", "result_type"]

_encode = msgspec.json.Encoder(enc_hook=to_writable).encode
_decode_plain = msgspec.json.Decoder().decode


def dump_json(value: object) -> str:
    """Write a value as JSON.

    Raises:
        SerializationError: It cannot be written; the message names the place inside the value.
    """
    if value is None:
        return "null"
    try:
        written = _encode(value)
    except BaseException as error:  # a user's class may even try to end the process
        raise SerializationError(explain_unwritable(value, error)) from error
    if b"null" in written:  # msgspec writes null for NaN and infinity
        problem = find_not_a_number(value)
        if problem is not None:
            raise SerializationError(problem)
    return written.decode()


def load_json(text: str | bytes, expected_type: Any = Any) -> Any:
    """Read JSON as a value of the type; the plain value where the type says nothing to JSON.

    Raises:
        SerializationError: The text is not JSON or does not fit the type.
    """
    try:
        decode = _decoder(expected_type)
    except TypeError:  # not hashable: Annotated with a list, for instance
        decode = _make_decoder(expected_type)
    try:
        return decode(text)
    except msgspec.ValidationError as error:
        raise SerializationError(_explain_misfit(error, expected_type)) from error
    except ForeignTypeError:
        return fit(_decode_plain(text), expected_type)
    except (msgspec.DecodeError, UnicodeError) as error:
        raise SerializationError(f"This is not JSON: {error}.") from error
    except RecursionError as error:
        message = "$: the JSON is nested too deeply to be read: flatten it."
        raise SerializationError(message) from error


def _make_decoder(expected_type: Any) -> Callable[[str | bytes], Any]:
    if expected_type in (Any, None, type(None), object):
        return _decode_plain
    try:
        return msgspec.json.Decoder(expected_type, dec_hook=read_foreign).decode
    except Exception:  # noqa: BLE001 -- resolving a user's annotations may raise anything
        return lambda text: fit(_decode_plain(text), expected_type)


_decoder = lru_cache(maxsize=4096)(_make_decoder)


def _explain_misfit(error: msgspec.ValidationError, expected_type: Any) -> str:
    what, _, path = str(error).replace("`", "").partition(" - at ")
    return f"{path or '$'}: {what}: the JSON does not fit the type {type_name(expected_type)}."
