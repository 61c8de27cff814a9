"""Folders of user code in, a `FunctionIndex` out."""

from func_host.indexing.build import build_index
from func_host.indexing.functions import FunctionIndex, IndexedFunction
from func_host.indexing.problems import AppImportError, IndexingError

__all__ = ["AppImportError", "FunctionIndex", "IndexedFunction", "IndexingError", "build_index"]
