"""Finds Python files and cuts them into words; knows nothing of Durable Functions."""

import io
import os
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

_WORD = re.compile(r"[^\W\d_]+")  # letters of any alphabet; digits and underscores separate


def python_files(folder: str) -> list[str]:
    """List the .py files below a folder, sorted; what pip installed (site-packages) is left out.

    Raises:
        NotADirectoryError: There is no such folder.
    """
    if not Path(folder).is_dir():
        raise NotADirectoryError(f"'{folder}' is not a folder: give one that holds Python files.")
    found: list[str] = []
    for parent, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if name not in {"site-packages", "__pycache__"}]
        found += [str(Path(parent, name)) for name in files if name.endswith(".py")]
    return sorted(found)


def words_of(path: str) -> Iterator[str]:
    """Give the words of a file in lower case, one by one."""
    return (word.lower() for word in _WORD.findall(read_source(Path(path))))


def read_source(path: Path) -> str:
    """Read a Python file in the encoding it declares; what cannot be decoded is replaced.

    The standard library holds files that are broken on purpose: those that declare an encoding that
    does not exist, or are not what they declare, are read as far as they can be.
    """
    source = path.read_bytes()
    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(source).readline)
    except SyntaxError:
        encoding = "latin-1"
    return source.decode(encoding, errors="replace")
