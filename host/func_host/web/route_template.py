r"""Route templates of ASP.NET Core: text in, a matcher of path segments out.

    items/{id:int:min(1)}/{*rest}      {name}.{ext?}      {year=2026}      {{literal}}

A template is split at its slashes into segments. A segment without parameters is compared without
case; one that is a single parameter takes a whole segment; one of several parts is matched from
the right. Optional parameters and those with a default may be missing at the end, a catch-all
takes the rest.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from func_host.web.route_constraints import RouteConstraintError, make_constraint

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from func_host.web.route_constraints import Constraint

_NAME = re.compile(r"(?P<stars>\*{0,2})(?P<name>[^:=?*{}/]+)")
_CONSTRAINT = re.compile(r":(?P<name>[^:(=?]+)(?:\((?P<arguments>.*?)\)(?=[:=?]|$))?")
_REGEX_CONSTRAINT = re.compile(r":(?P<name>regex)\((?P<arguments>.*)\)(?=[:=?]|$)", re.IGNORECASE)


class RouteTemplateError(ValueError):
    """The template cannot be read; the message says which part and why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """A `{…}` of a template."""

    name: str
    is_catch_all: bool = False
    is_optional: bool = False
    default: str | None = None
    constraints: tuple[Constraint, ...] = ()

    @property
    def may_be_missing(self) -> bool:
        """True where a path without it matches too."""
        return self.is_optional or self.is_catch_all or self.default is not None

    def accepts(self, text: str) -> bool:
        """Tell whether every constraint holds."""
        return all(accepts(text) for accepts in self.constraints)


@dataclass(frozen=True, slots=True)
class _Literal:
    text: str

    def match(self, text: str, values: dict[str, str]) -> bool:  # noqa: ARG002 -- a role
        return text.lower() == self.text


@dataclass(frozen=True, slots=True)
class _Single:
    parameter: Parameter

    def match(self, text: str, values: dict[str, str]) -> bool:
        if not text or not self.parameter.accepts(text):
            return False
        values[self.parameter.name] = text
        return True


@dataclass(frozen=True, slots=True)
class _Complex:
    parts: tuple[str | Parameter, ...]

    def match(self, text: str, values: dict[str, str]) -> bool:
        lowered = text.lower() if text.isascii() else text
        found = _match_from_right(self.parts, text, lowered)
        last = self.parts[-1]
        if found is None and isinstance(last, Parameter) and last.is_optional:
            found = _match_from_right(self.parts[:-2], text, lowered)
        if found is None or not all(part.accepts(value) for part, value in found):
            return False
        values.update((part.name, value) for part, value in found)
        return True


def _match_from_right(
    parts: Sequence[str | Parameter], text: str, lowered: str
) -> list[tuple[Parameter, str]] | None:
    """Find each text as far right as it goes, as ASP.NET does: one look back, no second try."""
    found: list[tuple[Parameter, str]] = []
    end = len(text)
    waiting: Parameter | None = None
    for number, part in reversed(list(enumerate(parts))):
        if isinstance(part, Parameter):
            waiting = part
            continue
        limit = end if waiting is None else end - 1
        start = lowered.rfind(part, 0, max(limit, 0))
        if start < 0 or (waiting is None and start + len(part) != end):
            return None
        if waiting is not None:
            found.append((waiting, text[start + len(part) : end]))
            waiting = None
        elif number != len(parts) - 1:
            return None
        end = start
    if waiting is not None and end:
        found.append((waiting, text[:end]))
        return found
    return found if waiting is None and end == 0 else None


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteTemplate:
    """A template that can be matched against the decoded segments of a path."""

    text: str
    _segments: tuple[_Literal | _Single | _Complex, ...]
    _required: int
    _catch_all: Parameter | None = None
    _missing: tuple[Parameter, ...] = field(default=())

    def match(self, segments: Sequence[str]) -> dict[str, str] | None:
        """Give the values of the parameters, or None where the path is another one's."""
        count = len(segments)
        if count < self._required or (self._catch_all is None and count > len(self._segments)):
            return None
        values: dict[str, str] = {}
        for matcher, text in zip(self._segments, segments, strict=False):
            if not matcher.match(text, values):
                return None
        for parameter in self._missing:
            if parameter.name not in values and parameter.default is not None:
                values[parameter.name] = parameter.default
        if self._catch_all is not None:
            return self._match_rest(self._catch_all, segments[len(self._segments) :], values)
        return values

    @staticmethod
    def _match_rest(
        parameter: Parameter, segments: Sequence[str], values: dict[str, str]
    ) -> dict[str, str] | None:
        rest = "/".join(segments)
        if rest:
            if not parameter.accepts(rest):
                return None
            values[parameter.name] = rest
        elif parameter.default is not None:
            values[parameter.name] = parameter.default
        return values


def parse_template(text: str) -> RouteTemplate:
    """Read a template.

    Raises:
        RouteTemplateError: It cannot be read; the message says which part and why.
    """
    matchers: list[_Literal | _Single | _Complex] = []
    missing: list[Parameter] = []
    catch_all: Parameter | None = None
    required = 0
    names: set[str] = set()
    for source in split_segments(text.strip("/")):
        if catch_all is not None:
            raise RouteTemplateError(f"'{text}': a catch-all parameter must come last.")
        matcher, parameters = _segment(source, text)
        _require_new_names(parameters, names, text)
        only = matcher.parameter if isinstance(matcher, _Single) else None
        if only is not None and only.is_catch_all:
            catch_all = only
            continue
        matchers.append(matcher)
        if only is not None and only.may_be_missing:
            missing.append(only)
        else:
            required = len(matchers)
            if any(each.is_optional for each in missing):
                raise RouteTemplateError(f"'{text}': an optional parameter must come last.")
    return RouteTemplate(
        text=text,
        _segments=tuple(matchers),
        _required=required,
        _catch_all=catch_all,
        _missing=tuple(missing),
    )


def split_segments(text: str) -> list[str]:
    """Split a template at the slashes outside of its parameters."""
    if not text:
        return []
    segments: list[str] = []
    start = depth = 0
    for position, character in enumerate(text):
        if character == "{":
            depth += 1
        elif character == "}":
            depth -= 1
        elif character == "/" and depth <= 0:
            segments.append(text[start:position])
            start = position + 1
    segments.append(text[start:])
    return segments


def _segment(
    source: str, template: str
) -> tuple[_Literal | _Single | _Complex, tuple[Parameter, ...]]:
    if not source:
        raise RouteTemplateError(f"'{template}': there is nothing between two slashes.")
    parts = list(_parts(source, template))
    parameters = tuple(part for part in parts if isinstance(part, Parameter))
    if not parameters:
        return _Literal("".join(map(str, parts)).lower()), ()
    if len(parts) == 1:
        return _Single(parameters[0]), parameters
    return _complex(parts, template), parameters


def _parts(source: str, template: str) -> Iterator[str | Parameter]:
    """Give the literal texts and the parameters of one segment."""
    literal, position = "", 0
    while position < len(source):
        pair = source[position : position + 2]
        if pair in ("{{", "}}"):
            literal, position = literal + pair[0], position + 2
        elif pair[0] == "}":
            raise RouteTemplateError(f"'{template}': a '}}' closes nothing; double it.")
        elif pair[0] == "{":
            end = _end_of_parameter(source, position + 1, template)
            if literal:
                yield literal
                literal = ""
            yield _parameter(source[position + 1 : end], template)
            position = end + 1
        else:
            literal, position = literal + pair[0], position + 1
    if literal:
        yield literal


def _end_of_parameter(source: str, start: int, template: str) -> int:
    """Find the brace that closes a parameter; doubled ones belong to a constraint."""
    position = start
    while position < len(source):
        if source[position : position + 2] in ("{{", "}}"):
            position += 2
        elif source[position] == "}":
            return position
        else:
            position += 1
    raise RouteTemplateError(f"'{template}': a parameter has no closing '}}'.")


def _parameter(source: str, template: str) -> Parameter:
    named = _NAME.match(source)
    if named is None:
        raise RouteTemplateError(f"'{template}': the parameter '{{{source}}}' has no name.")
    rest = source[named.end() :]
    constraints: list[Constraint] = []
    while found := _REGEX_CONSTRAINT.match(rest) or _CONSTRAINT.match(rest):
        arguments: str | None = found["arguments"]
        if arguments is not None:
            arguments = arguments.replace("{{", "{").replace("}}", "}")
        try:
            constraints.append(make_constraint(found["name"], arguments))
        except RouteConstraintError as error:
            raise RouteTemplateError(f"'{template}': {error}") from error
        rest = rest[found.end() :]
    is_optional = rest == "?"
    default = rest[1:] if rest.startswith("=") else None
    if rest and not is_optional and default is None:
        raise RouteTemplateError(f"'{template}': cannot read '{rest}' in '{{{source}}}'.")
    return Parameter(
        name=named["name"].strip(),
        is_catch_all=bool(named["stars"]),
        is_optional=is_optional,
        default=default,
        constraints=tuple(constraints),
    )


def _complex(parts: Sequence[str | Parameter], template: str) -> _Complex:
    """Check a segment of several parts; only what follows a last dot may be optional."""
    for number, part in enumerate(parts):
        if isinstance(part, str):
            continue
        if part.is_catch_all or part.default is not None:
            message = f"'{template}': '{{{part.name}}}' cannot share a segment with other parts."
            raise RouteTemplateError(message)
        if number and isinstance(parts[number - 1], Parameter):
            message = f"'{template}': two parameters of a segment need text between them."
            raise RouteTemplateError(message)
        follows_dot = number == len(parts) - 1 and parts[number - 1] == "."
        if part.is_optional and not follows_dot:
            message = f"'{template}': within a segment only what follows a last '.' is optional."
            raise RouteTemplateError(message)
    return _Complex(tuple(part.lower() if isinstance(part, str) else part for part in parts))


def _require_new_names(parameters: Sequence[Parameter], names: set[str], template: str) -> None:
    for parameter in parameters:
        if parameter.name.lower() in names:
            message = f"'{template}': the parameter '{parameter.name}' appears twice."
            raise RouteTemplateError(message)
        names.add(parameter.name.lower())
