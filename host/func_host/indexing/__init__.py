"""Folders of user code in, a `FunctionIndex` out."""
