import io
import json
import logging
from collections.abc import Iterator

import pytest

from func_host.log import (
    FUNCTION_NAME,
    INSTANCE_ID,
    bind_log_fields,
    configure_logging,
    is_coloured,
    redact,
)


@pytest.fixture(autouse=True)
def _restore_logging() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = handlers, level
    logging.captureWarnings(capture=False)


def written(*, json_logs: bool = False, coloured: bool = False) -> io.StringIO:
    stream = io.StringIO()
    configure_logging(
        {"": logging.INFO, "shop": logging.DEBUG},
        json_logs=json_logs,
        coloured=coloured,
        stream=stream,
    )
    return stream


def test_a_json_record_is_one_object_on_one_line_with_its_fields() -> None:
    stream = written(json_logs=True)

    with bind_log_fields(**{INSTANCE_ID: "abc"}):
        logging.getLogger("shop.cart").info("two\nlines", extra={FUNCTION_NAME: "pay"})

    assert stream.getvalue().count("\n") == 1
    record = json.loads(stream.getvalue())
    assert record.pop("timestamp").endswith("+00:00")
    assert record == {
        "level": "INFO",
        "logger": "shop.cart",
        "message": "two\nlines",
        "instance_id": "abc",
        "function_name": "pay",
    }


def test_an_exception_is_part_of_its_record() -> None:
    stream = written(json_logs=True)

    try:
        int("broken")
    except ValueError:
        logging.getLogger("shop").exception("failed")

    assert "ValueError: invalid literal" in json.loads(stream.getvalue())["exception"]


def test_fields_end_with_the_block_that_binds_them() -> None:
    stream = written()

    with bind_log_fields(a=1), bind_log_fields(b=2):
        logging.getLogger("shop").warning("inside")
    logging.getLogger("shop").warning("outside")

    inside, outside = stream.getvalue().splitlines()
    assert inside.endswith("WARNING: inside (a=1, b=2)")
    assert outside.endswith("WARNING: outside")


def test_the_nearest_level_decides() -> None:
    stream = written()

    logging.getLogger("shop.cart").debug("seen")
    logging.getLogger("other").debug("unseen")

    assert stream.getvalue().splitlines()[0].endswith("DEBUG: seen")
    assert "unseen" not in stream.getvalue()


def test_colours_are_written_only_where_asked_for() -> None:
    plain, coloured = written(), written(coloured=True)

    logging.getLogger("shop").error("bad")

    assert plain.getvalue() == ""
    assert coloured.getvalue().startswith("\x1b[31m[")
    assert coloured.getvalue().endswith("bad\x1b[0m\n")


@pytest.mark.parametrize(
    "text",
    [
        "GET /api/x?code=S3CRET&a=1",
        "GET /api/x?a=1&CODE=S3CRET HTTP",
        "{'x-functions-key': 'S3CRET'}",
        "AccountName=x;AccountKey=S3CRET;EndpointSuffix=y",
        "https://x/y?sv=1&sig=S3CRET",
        "Authorization: Bearer S3CRET",
    ],
)
def test_secrets_are_struck_out(text: str) -> None:
    stream = written()

    logging.getLogger("shop").info(text)

    assert "S3CRET" not in stream.getvalue()
    assert "***" in stream.getvalue()


def test_what_is_no_secret_stays() -> None:
    assert redact("exit code=5, decode=x") == "exit code=5, decode=x"


@pytest.mark.parametrize(
    ("environment", "tty", "expected"),
    [
        ({}, False, False),
        ({"NO_COLOR": "1", "FORCE_COLOR": "1"}, True, False),
        ({"TERM": "dumb"}, True, False),
        ({"FORCE_COLOR": "1"}, False, True),
        ({"WT_SESSION": "x"}, True, True),
    ],
)
def test_colour_is_for_terminals_that_want_it(
    environment: dict[str, str], tty: bool, expected: bool
) -> None:
    stream = io.StringIO()
    stream.isatty = lambda: tty

    assert is_coloured(stream, environment) is expected
