"""Pydantic models as values, where an app uses pydantic."""

from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest

from func_bindings.errors import SerializationError
from func_host.invocation.values import dump_json, load_json

if TYPE_CHECKING:
    import pydantic
else:
    pydantic = pytest.importorskip("pydantic")


class Line(pydantic.BaseModel):
    name: str
    at: datetime | None = None
    price: float = pydantic.Field(default=1.0, gt=0)


class Invoice(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(strict=True)

    number: int = pydantic.Field(alias="invoiceNumber")
    lines: list[Line]
    due: datetime


INVOICE = (
    '{"invoiceNumber":7,"lines":[{"name":"a","at":null,"price":2.0}],"due":"2026-08-01T00:00:00Z"}'
)


def test_a_model_comes_back_as_it_went_by_its_aliases() -> None:
    invoice = load_json(INVOICE, Invoice)

    assert isinstance(invoice, Invoice)
    assert isinstance(invoice.lines[0], Line)
    assert dump_json(invoice) == INVOICE


@pytest.mark.parametrize("expected_type", [list[Line], list[Line | int], tuple[Line, ...]])
def test_models_inside_other_types_are_read(expected_type: Any) -> None:
    (line,) = load_json('[{"name":"a"}]', expected_type)

    assert line == Line(name="a")


def test_a_model_that_does_not_fit_names_the_field() -> None:
    with pytest.raises(SerializationError, match=r"\$\[1\]: Line\.price: Input should be greater"):
        load_json('[{"name":"a"},{"name":"b","price":0}]', list[Line])


def test_a_number_that_json_lacks_is_named_inside_a_model() -> None:
    line = Line(name="a", price=float("inf"))

    with pytest.raises(SerializationError, match=r"^\$\.rows\[0\]\.price: inf"):
        dump_json({"rows": [line]})
