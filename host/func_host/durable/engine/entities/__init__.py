"""Entities without I/O: their messages, the order of what arrives, and whose turn it is."""
