"""One decorated function judged: does its trigger fit what the function, or class, takes?"""

from __future__ import annotations

import inspect
import re
from dataclasses import replace
from inspect import iscoroutinefunction
from typing import TYPE_CHECKING, Any

from func_bindings.durable.entities import EntityId
from func_bindings.metadata import (
    ActivityTrigger,
    DurableClientInput,
    EntityTrigger,
    HttpTrigger,
    OrchestrationTrigger,
)
from func_host.indexing.annotations import parameter_types, result_type, signature_of
from func_host.indexing.entity_classes import read_entity_class
from func_host.indexing.functions import IndexedFunction
from func_host.indexing.problems import Problem, problem_at

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from func_bindings.metadata import SourceLocation, Trigger
    from func_host.indexing.collecting import FoundFunction
    from func_host.indexing.entity_classes import EntityClass

_FUNCTION_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,127}")
_HTTP_METHODS = {"GET", "POST", "DELETE", "HEAD", "PATCH", "PUT", "OPTIONS"}
_VARIADIC = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
_KINDS: dict[type, str] = {
    HttpTrigger: "an HTTP function",
    OrchestrationTrigger: "an orchestrator",
    ActivityTrigger: "an activity",
    EntityTrigger: "an entity",
}
_TRIGGER_ARGUMENTS: dict[type, str] = {
    HttpTrigger: "trigger_arg_name",
    OrchestrationTrigger: "context_name",
    ActivityTrigger: "input_name",
    EntityTrigger: "context_name",
}


class Judgement:
    """What is right and what is wrong with one function.

    `trigger` is as complete as it can be made, None where there is not exactly one; `indexed` is
    None where anything is wrong.
    """

    def __init__(self, found: FoundFunction, check_route: Callable[[str], object]) -> None:
        """Judge a function.

        Args:
            found: The function and what its decorators say.
            check_route: Raises ValueError for a route template that cannot be read.
        """
        self.problems: list[Problem] = []
        self.indexed: IndexedFunction | None = None
        self.trigger: Trigger | None = None
        self._found = found
        self._function = found.function
        self._check_route = check_route
        self._parameters: dict[str, inspect.Parameter] = {}
        self._types: dict[str, Any] = {}
        python_name = getattr(found.function, "__name__", type(found.function).__name__)
        self.name: str = found.metadata.function_name or python_name
        self.location = found.metadata.location
        self._judge()

    def _judge(self) -> None:
        self._check_name()
        trigger = self.trigger = self._only_trigger()
        if isinstance(trigger, EntityTrigger):
            self._check_entity_name(trigger)
        if isinstance(self._function, type):
            self._judge_class(self._function, trigger)
            return
        try:
            parameters = dict(signature_of(self._function).parameters)
        except (TypeError, ValueError):
            self._refuse("its parameters cannot be read", "wrap it in a function of Python")
            return
        if trigger is None:
            return
        self._parameters = parameters
        self._types = parameter_types(self._function)
        clients = self._bind_clients()
        trigger = self._bind_trigger(trigger, {each.parameter for each in clients})
        bound = {trigger.parameter, *(each.parameter for each in clients)}
        if bound <= {None, *parameters}:
            self._check_rest(bound, trigger)
        self._check_kind(trigger, clients)
        self.trigger = trigger = self._complete(trigger)
        if not self.problems:
            self.indexed = self._index(trigger, clients)

    def _judge_class(self, cls: type, trigger: Trigger | None) -> None:
        if trigger is None:
            return
        entity, mistakes = read_entity_class(cls, trigger.parameter or "context")
        for each in mistakes:
            self._refuse(each.what, each.remedy, each.location)
        self.trigger = trigger = replace(trigger, parameter="")
        if not self.problems:
            self.indexed = self._index(trigger, (), entity)

    def _check_entity_name(self, trigger: EntityTrigger) -> None:
        try:
            EntityId(self.name if trigger.entity_name is None else trigger.entity_name, "")
        except ValueError as error:
            self._refuse(str(error).rstrip("."), "choose another entity_name")

    def _index(
        self,
        trigger: Trigger,
        clients: tuple[DurableClientInput, ...],
        entity: EntityClass | None = None,
    ) -> IndexedFunction:
        return IndexedFunction(
            name=self.name,
            function=self._function,
            trigger=trigger,
            client_inputs=clients,
            location=self._found.metadata.location,
            app=self._found.app,
            app_dir=self._found.app_dir,
            is_async=entity.is_async if entity else _is(iscoroutinefunction, self._function),
            parameter_types=self._types,
            result_type=result_type(self._function) if entity is None else Any,
            parameters=self._parameters,
            entity_class=entity,
        )

    def _refuse(self, what: str, remedy: str, at: SourceLocation | None = None) -> None:
        text = f"{self.name}: {what}: {remedy}."
        self.problems.append(problem_at(at or self._found.metadata.location, text))

    def _check_name(self) -> None:
        if not _FUNCTION_NAME.fullmatch(self.name) or self.name.lower() == "host":
            self._refuse(
                "this cannot be the name of a function",
                "begin with a letter and go on with at most 127 letters, digits, _ or -, and do "
                "not call it host; function_name('…') gives another name",
            )

    def _only_trigger(self) -> Trigger | None:
        triggers = self._found.metadata.triggers
        if len(triggers) == 1:
            return triggers[0]
        if triggers:
            kinds = " and ".join(_KINDS[type(each)] for each in triggers)
            self._refuse(f"it has {len(triggers)} triggers ({kinds})", "leave one of them")
        else:
            known = "@route, @orchestration_trigger, @activity_trigger or @entity_trigger"
            self._refuse("it has no trigger", f"add one: {known}")
        return None

    def _bind_clients(self) -> tuple[DurableClientInput, ...]:
        bound: list[DurableClientInput] = []
        for client_input in self._found.metadata.client_inputs:
            taken = {each.parameter for each in bound}
            name = client_input.parameter
            if name:
                self._check_exists(name, "client_name")
                if name in taken:
                    self._refuse(f"two clients go to parameter {name!r}", "leave one of them")
            else:
                candidates = [each for each in self._free_parameters(taken) if each != name]
                name = self._annotated(candidates, "DurableClient") or (
                    "client" if "client" in candidates else ""
                )
                if not name:
                    self._refuse(
                        "it has no parameter for the client",
                        "annotate one with DurableClient, or call it client",
                    )
            bound.append(replace(client_input, parameter=name))
        return tuple(bound)

    def _bind_trigger(self, trigger: Trigger, taken: set[str]) -> Trigger:
        if trigger.parameter:
            self._check_exists(trigger.parameter, _TRIGGER_ARGUMENTS[type(trigger)])
            return trigger
        free = self._free_parameters(taken)
        if isinstance(trigger, HttpTrigger):
            name = "req" if "req" in free else self._annotated(free, "HttpRequest")
            return replace(trigger, parameter=name or next(iter(free), None))
        if isinstance(trigger, ActivityTrigger):
            required = [each for each in free if self._is_required(each)]
            return replace(trigger, parameter=next(iter(required or free), None))
        if not free:
            self._refuse(
                f"{_KINDS[type(trigger)]} takes its context, but this takes nothing",
                "add a parameter: context",
            )
        return replace(trigger, parameter=next(iter(free), ""))

    def _check_rest(self, bound: set[str | None], trigger: Trigger) -> None:
        rest = [n for n in self._parameters if n not in bound and self._is_required(n)]
        if not rest:
            return
        names = ", ".join(rest)
        if isinstance(trigger, ActivityTrigger):
            taken = [trigger.parameter, *rest] if trigger.parameter else rest
            self._refuse(
                f"an activity takes at most one value, but this takes {len(taken)} "
                f"({', '.join(map(str, taken))})",
                "pass a dataclass, a dict or a tuple, or give the others defaults",
            )
        else:
            self._refuse(
                f"nothing gives a value to {names}",
                "bind it with a decorator, give it a default or remove it",
            )

    def _check_kind(self, trigger: Trigger, clients: tuple[DurableClientInput, ...]) -> None:
        if _is(inspect.isasyncgenfunction, self._function):
            is_orchestrator = isinstance(trigger, OrchestrationTrigger)
            remedy = "await instead of yield" if is_orchestrator else "return the value"
            self._refuse(f"{_KINDS[type(trigger)]} cannot be an async generator", remedy)
        is_generator = _is(inspect.isgeneratorfunction, self._function)
        if is_generator and not isinstance(trigger, OrchestrationTrigger):
            remedy = "return a list, or only what the caller is to get"
            self._refuse(f"{_KINDS[type(trigger)]} cannot be a generator", remedy)
        if isinstance(trigger, OrchestrationTrigger) and clients:
            self._refuse(
                "an orchestrator cannot use a client, because it must be replayable",
                "call context.call_sub_orchestrator(…), or use the client in an activity",
            )

        if isinstance(trigger, EntityTrigger) and clients:
            self._refuse(
                "an entity cannot use a client, because what it does takes effect as a whole",
                "call context.signal_entity(…) or context.start_new(…)",
            )

    def _complete(self, trigger: Trigger) -> Trigger:
        if not isinstance(trigger, HttpTrigger):
            return trigger
        unknown = [method for method in trigger.methods if method not in _HTTP_METHODS]
        if unknown:
            known = ", ".join(sorted(_HTTP_METHODS))
            self._refuse(f"there is no HTTP method {unknown[0]}", f"use some of {known}")
        route = self.name if trigger.route is None else trigger.route
        try:
            self._check_route(route)
        except ValueError as error:
            self._refuse(f"the route cannot be read: {str(error).rstrip('.')}", "correct it")
        level = trigger.auth_level or self._found.auth_level
        return replace(trigger, route=route, auth_level=level)

    def _check_exists(self, name: str, argument: str) -> None:
        kinds = [each.kind for each in self._parameters.values()]
        if name in self._parameters or inspect.Parameter.VAR_KEYWORD in kinds:
            return
        names = ", ".join(self._parameters) or "none"
        self._refuse(
            f"{argument}={name!r} names no parameter of it (it has {names})",
            "name one that exists",
        )

    def _free_parameters(self, taken: Iterable[str]) -> list[str]:
        """Give the parameters that may take a value, `*args` only where there is no other."""
        free = [
            name
            for name, each in self._parameters.items()
            if name not in taken and each.kind not in _VARIADIC
        ]
        return free or [
            name
            for name, each in self._parameters.items()
            if each.kind is inspect.Parameter.VAR_POSITIONAL
        ]

    def _annotated(self, names: Iterable[str], type_name: str) -> str | None:
        """Give the parameter annotated with a type, whether or not the annotation resolves."""
        pattern = re.compile(rf"\b{type_name}\b")
        for name in names:
            raw = self._parameters[name].annotation
            if raw is inspect.Parameter.empty:
                continue
            texts = (inspect.formatannotation(each) for each in (raw, self._types.get(name, Any)))
            if any(pattern.search(text) for text in texts):
                return name
        return None

    def _is_required(self, name: str) -> bool:
        parameter = self._parameters[name]
        return parameter.default is inspect.Parameter.empty and parameter.kind not in _VARIADIC


def _is(test: Callable[[Any], bool], function: Callable[..., Any]) -> bool:
    """Ask a question of a function, or of the `__call__` of an object."""
    return test(function) or test(type(function).__call__)
