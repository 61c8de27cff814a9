"""The contract of `Backend` as tests: what an implementation must pass, by topic.

An implementation hands over its store and inherits the tests:

    class TestMyBackend(BackendConformance):
        @pytest.fixture
        def store(self, clock: SimulatedClock) -> StoreUnderTest:
            return MyStore(clock)

`store` is a `StoreUnderTest`: it connects backends to one task hub, and can crash. The suite moves
the clock itself, and never sleeps. It needs pytest and anyio's plugin.
"""

from func_host.testing.conformance.commits import CommitConformance
from func_host.testing.conformance.creation import CreationConformance
from func_host.testing.conformance.dead_letters import DeadLetterConformance
from func_host.testing.conformance.delivery import DeliveryConformance
from func_host.testing.conformance.entities import EntityConformance
from func_host.testing.conformance.outbox import OutboxConformance
from func_host.testing.conformance.purging import PurgeConformance
from func_host.testing.conformance.queries import QueryConformance
from func_host.testing.conformance.recovery import RecoveryConformance
from func_host.testing.conformance.sessions import SessionConformance
from func_host.testing.conformance.timers import TimerConformance
from func_host.testing.conformance.waiting import CompletionConformance, LifecycleConformance
from func_host.testing.conformance.world import StoreUnderTest, World

__all__ = ["BackendConformance", "StoreUnderTest", "World"]


class BackendConformance(
    CreationConformance,
    CommitConformance,
    DeliveryConformance,
    TimerConformance,
    RecoveryConformance,
    OutboxConformance,
    QueryConformance,
    PurgeConformance,
    CompletionConformance,
    LifecycleConformance,
    SessionConformance,
    EntityConformance,
    DeadLetterConformance,
):
    """Everything a store promises."""
