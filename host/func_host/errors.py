"""Mistakes in an app, told in lines that say what, where and the remedy."""

from __future__ import annotations


class AppError(Exception):
    """A mistake in the app (a decorator, host.json): its text is printed alone, and exits 2."""
