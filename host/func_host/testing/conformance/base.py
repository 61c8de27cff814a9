"""The fixtures that every topic of the suite uses."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from func_host.testing.clock import SimulatedClock
from func_host.testing.conformance.world import StoreUnderTest, World

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest.mark.anyio
class ConformanceBase:
    """Needs one thing from an implementation: the fixture `store`."""

    @pytest.fixture
    def anyio_backend(self) -> str:
        """Run on asyncio, as the host does."""
        return "asyncio"

    @pytest.fixture
    def clock(self) -> SimulatedClock:
        """Time that only the test moves; `store` gives it to its backends."""
        return SimulatedClock()

    @pytest.fixture
    def store(self) -> StoreUnderTest:
        """Override this: give the store under test, empty."""
        raise NotImplementedError("Override the fixture `store` to say what is tested.")

    @pytest.fixture
    async def world(self, store: StoreUnderTest, clock: SimulatedClock) -> AsyncIterator[World]:
        """Give an opened backend, and close it."""
        world = World(store, clock)
        await world.open()
        yield world
        await world.close()
