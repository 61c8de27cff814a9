"""Calling one function: values in, sync or async, values out."""
