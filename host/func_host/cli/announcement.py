"""What `func-host start` prints: the functions and their URLs, as Azure's tools do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from func_host.indexing import FunctionIndex
