"""What of a dead letter is shown: the pure parts; the store itself is tried on the emulator."""

import pytest

from func_host.durable.backends.azure_storage.dead_letters import (
    REASON_LENGTH_MAX,
    letter_id_of,
    short_reason,
    shown_text,
)
from func_host.durable.backends.azure_storage.queue_text import QueueEncoding, to_queue_text


def test_an_id_names_the_queue_and_the_message() -> None:
    assert letter_id_of("myhub-control-00", "6f96-19ff") == "myhub-control-00/6f96-19ff"


def test_a_reason_is_one_line() -> None:
    assert short_reason("ValueError: no\n\n  way\t!") == "ValueError: no way !"


def test_a_long_reason_is_cut() -> None:
    assert short_reason("x" * REASON_LENGTH_MAX) == "x" * REASON_LENGTH_MAX

    cut = short_reason("x" * 10_000)
    assert len(cut) == REASON_LENGTH_MAX
    assert cut.endswith("x…")


@pytest.mark.parametrize(
    "secret", ["https://a/b?sv=1&sig=S3CRET", "AccountName=a;AccountKey=S3CRET;", "?code=S3CRET"]
)
def test_a_reason_holds_no_secrets_wherever_it_is_cut(secret: str) -> None:
    assert "S3C" not in short_reason(f"refused: {secret}")
    assert "S3C" not in short_reason(" ".join([secret] * 100))


@pytest.mark.parametrize("encoding", list(QueueEncoding))
def test_a_message_is_shown_as_its_json(encoding: QueueEncoding) -> None:
    assert shown_text(to_queue_text(b'{"Name": "one"}', encoding)) == '{"Name": "one"}'


@pytest.mark.parametrize("text", ["", "no message", "{broken", "/////w==", "bm8gSlNPTg=="])
def test_a_message_that_cannot_be_read_is_shown_as_it_lay_there(text: str) -> None:
    assert shown_text(text) == text
