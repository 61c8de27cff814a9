"""Operations of entities that are functions: one function for all of them, and its context."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from func_host.durable.operations.context import OperationContext
from func_host.durable.operations.state import EntityState
from func_host.durable.operations.values import OperationOutcome
from func_host.invocation.values import dump_json

if TYPE_CHECKING:
    from func_host.durable.operations.state import Held
    from func_host.durable.operations.values import Operation, Scene


class FunctionRunner:
    """Runs operations of one entity with its function."""

    def __init__(self, scene: Scene, text: str | None) -> None:
        """Begin with a state as JSON text."""
        self.text = text
        self.held: Held | None = None
        self.scene = scene
        self.parameter = scene.function.trigger.parameter or ""

    def begin(self, operation: Operation) -> FunctionAttempt:
        """Prepare an operation."""
        return FunctionAttempt(self, operation)


class FunctionAttempt:
    """One call of the function."""

    def __init__(self, runner: FunctionRunner, operation: Operation) -> None:
        self._runner = runner
        state = EntityState(runner.text, runner.held)
        self._context = OperationContext(runner.scene, operation, state)

    def call(self) -> Any:
        """Run the function."""
        return self._runner.scene.function.call({self._runner.parameter: self._context})

    def succeed(self, value: object) -> OperationOutcome:
        """Let take effect what the function has done."""
        context = self._context
        result = context.result
        if result is None and value is not None:
            result = dump_json(value)
        self._keep_state()
        return OperationOutcome(
            result=result, signals=tuple(context.signals), starts=tuple(context.starts)
        )

    def fail(self) -> None:
        """Take back what the function has done: the value may have been changed, its JSON not."""
        self._runner.held = None
        if not self._runner.scene.rolls_back:
            self._keep_state()

    def _keep_state(self) -> None:
        state = self._context.state
        state.finish()
        self._runner.text, self._runner.held = state.text, state.held
