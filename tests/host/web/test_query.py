"""The query string is read by the rules of the extension."""

import math
from datetime import UTC, datetime

import pytest

from func_bindings.durable.status import OrchestrationRuntimeStatus as Status
from func_host.web.query import BadArgumentError, Query


def test_names_compare_without_case_and_values_are_form_decoded() -> None:
    query = Query(b"Reason=a+b%2Bc&show%49nput=x")

    assert query.text("reason") == "a b+c"
    assert query.text("showInput") == "x"


def test_the_same_name_twice_is_joined_and_a_bare_token_is_ignored() -> None:
    query = Query(b"taskHub=a&x&&taskHub=b&=y")

    assert query.text("taskHub") == "a,b"
    assert query.text("x") is None


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"true", True),
        (b"True", True),
        (b"%20FALSE%20", False),
        *((odd, None) for odd in (b"1", b"0", b"no", b"", b"false,false")),
    ],
)
def test_a_flag_is_true_or_false_in_any_case_and_the_default_otherwise(
    value: bytes, expected: bool | None
) -> None:
    for default in (True, False):
        wanted = default if expected is None else expected

        assert Query(b"f=" + value).flag("f", default=default) is wanted


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"5", 5),
        (b"-1", -1),
        (b"%202%20", 2),
        (b"abc", None),
        (b"1.5", None),
        (b"9" * 11, None),
        (b"9" * 5000, None),
    ],
)
def test_an_integer_is_parsed_or_ignored(value: bytes, expected: int | None) -> None:
    assert Query(b"top=" + value).integer("top") == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"5", 5),
        (b".2", 0.2),
        (b"%202e1%20", 20),
        (b"1,0", 10),
        (b"-1", -1),
        (b"x", None),
        (b"", None),
        (b"1e300", 1e300),
        (b"Infinity", math.inf),
        (b"5s", None),
    ],
)
def test_seconds_take_fractions_exponents_and_thousands(
    value: bytes, expected: float | None
) -> None:
    assert Query(b"timeout=" + value).seconds("timeout") == expected


def test_nan_is_a_number_of_seconds_for_whoever_refuses_it() -> None:
    parsed = Query(b"timeout=NaN").seconds("timeout")

    assert parsed is not None
    assert math.isnan(parsed)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"2026-01-02T03:04:05Z", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
        (b"2026-01-02T03:04:05.1234567Z", datetime(2026, 1, 2, 3, 4, 5, 123456, tzinfo=UTC)),
        (b"2026-01-02T03:04:05%2B02:00", datetime(2026, 1, 2, 1, 4, 5, tzinfo=UTC)),
        (b"2026-01-02T03:04:05-08:00", datetime(2026, 1, 2, 11, 4, 5, tzinfo=UTC)),
        (b"2026-01-02T03:04:05", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
        (b"2026-01-02", datetime(2026, 1, 2, tzinfo=UTC)),
        (b"12/31/2098", datetime(2098, 12, 31, tzinfo=UTC)),
        (b"1/2/2026+03:04", datetime(2026, 1, 2, 3, 4, tzinfo=UTC)),
        (b"1-01-01T00:00:00.000000Z", datetime(1, 1, 1, tzinfo=UTC)),
        (b"0001-01-01T00:00:00%2B02:00", None),
        (b"2026-01-02T03:04:05+00:00", None),
        (b"13/31/2098", None),
        (b"yesterday", None),
        (b"", None),
    ],
)
def test_a_timestamp_is_utc_unless_it_says_otherwise(
    value: bytes, expected: datetime | None
) -> None:
    assert Query(b"t=" + value).timestamp("t") == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"Failed", (Status.Failed,)),
        (b"Failed,Suspended", (Status.Failed, Status.Suspended)),
        (b"%20Failed%20,%20Suspended", (Status.Failed, Status.Suspended)),
        (b"5", (Status.Terminated,)),
        (b"running,Failed", (Status.Failed,)),
        (b"running", None),
        (b"", None),
        (b"99", ()),
    ],
)
def test_a_status_list_keeps_exact_names_and_numbers(
    value: bytes, expected: tuple[Status, ...] | None
) -> None:
    assert Query(b"runtimeStatus=" + value).statuses("runtimeStatus") == expected


@pytest.mark.parametrize("value", [b"Unknown", b"Failed,-1"])
def test_the_status_unknown_is_a_mistake(value: bytes) -> None:
    with pytest.raises(BadArgumentError, match="'Unknown' was not found"):
        Query(b"runtimeStatus=" + value).statuses("runtimeStatus")
