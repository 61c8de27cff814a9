"""Both shapes of an orchestrator have equal rights, so the tests run with both."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.host.durable.engine.driving import SHAPES

if TYPE_CHECKING:
    from tests.host.durable.engine.driving import Shape


@pytest.fixture(params=SHAPES, ids=["coroutine", "generator"])
def shape(request: pytest.FixtureRequest) -> Shape:
    """Turns an orchestrator written as a generator into the shape under test."""
    turned: Shape = request.param
    return turned
