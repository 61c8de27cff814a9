"""What a run is told about its world."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable
    from datetime import timedelta


class FunctionCatalog(Protocol):
    """What the engine asks about the functions of the app."""

    def activity_name(self, function: str | Callable[..., Any]) -> str:
        """Give the name under which an activity is called.

        Raises:
            TypeError: The function is not an activity.
        """
        ...

    def activity_result_type(self, name: str) -> Any:
        """Give the annotated result type of an activity; `Any` where there is none."""
        ...

    def orchestrator_name(self, function: str | Callable[..., Any]) -> str:
        """Give the name under which an orchestrator is started.

        Raises:
            TypeError: The function is not an orchestrator.
        """
        ...

    def orchestrator_result_type(self, name: str) -> Any:
        """Give the annotated result type of an orchestrator; `Any` where there is none."""
        ...

    def entity_name(self, entity: str | Callable[..., Any], /) -> str:
        """Give the name under which an entity, a class or a function, is known.

        Raises:
            TypeError: It is not an entity.
        """
        ...

    def entity_result_type(self, name: str, operation: str) -> Any:
        """Give the annotated result type of an operation; `Any` where there is none."""
        ...

    def is_user_file(self, filename: str) -> bool:
        """Tell whether a stack trace should show frames of this file."""
        ...


def call_plainly(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a function as it is."""
    return function(*arguments)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """What a run is told about its world.

    Args:
        catalog: The functions of the app.
        replay_safe: Wraps a logger (or the name of one) so that it is silent while the second
            argument says so.
        call: Calls an orchestrator, or lets it run on.
        timer_leg_max: Longest timer the store can hold; longer ones are split. None for no limit.
        records_open_activities: False where an activity may be missing in history until it has
            ended: then it is asked for again. Any other step must be there.
        actions_max: How many steps an execution may ask for before it is failed.
    """

    catalog: FunctionCatalog
    replay_safe: Callable[
        [logging.Logger | str, Callable[[], bool]], logging.LoggerAdapter[logging.Logger]
    ]
    call: Callable[..., Any] = call_plainly
    timer_leg_max: timedelta | None = None
    records_open_activities: bool = True
    actions_max: int = 100_000
