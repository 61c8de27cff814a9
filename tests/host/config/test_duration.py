from datetime import timedelta

import pytest

from func_host.config.duration import parse_duration


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("00:05:00", timedelta(minutes=5)),
        ("10:30", timedelta(hours=10, minutes=30)),
        ("1.02:03:04", timedelta(days=1, hours=2, minutes=3, seconds=4)),
        ("00:00:00.5", timedelta(milliseconds=500)),
        ("00:00:01.0000001", timedelta(seconds=1)),
    ],
)
def test_a_time_span_is_read_as_net_writes_it(text: str, expected: timedelta) -> None:
    assert parse_duration(text) == expected


@pytest.mark.parametrize("text", ["", "5", "5 minutes", "00:00:61", "24:00:00", "-00:01:00"])
def test_what_is_no_time_span_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match="expected") as caught:
        parse_duration(text)

    assert f'"{text}"' in str(caught.value)
