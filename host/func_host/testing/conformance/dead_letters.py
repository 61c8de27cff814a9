"""Conformance: messages that were set aside; how they come to be is a store's own affair."""

from __future__ import annotations

from typing import TYPE_CHECKING

from func_host.testing.conformance.base import ConformanceBase

if TYPE_CHECKING:
    from func_host.testing.conformance.world import World


class DeadLetterConformance(ConformanceBase):
    """`dead_letters`, `retry_dead_letter`, `drop_dead_letter`."""

    async def test_what_goes_well_leaves_no_dead_letter(self, world: World) -> None:
        """An instance that begins and ends puts nothing aside."""
        await (await world.begin("one")).end(output='"done"')
        assert list(await world.backend.dead_letters()) == []

    async def test_a_dead_letter_that_is_not_there_is_told(self, world: World) -> None:
        """Whatever its id looks like; nothing happens."""
        for letter_id in ("", "one", "hub-control-00/6f96", "../../etc", "a/ü?\n"):
            assert not await world.backend.retry_dead_letter(letter_id)
            assert not await world.backend.drop_dead_letter(letter_id)
