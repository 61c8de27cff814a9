"""Shared by all tests."""

import pytest


@pytest.fixture
def anyio_backend() -> str:
    """Run async tests on asyncio, which is what the host runs on."""
    return "asyncio"
