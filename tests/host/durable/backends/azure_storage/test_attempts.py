"""Counting the attempts at a message: by its id, in memory, within bounds."""

from func_host.durable.backends.azure_storage.attempts import ATTEMPTS_MAX, AttemptCounter


def test_every_failure_of_a_message_counts_for_itself() -> None:
    attempts = AttemptCounter()

    assert [attempts.failed("one") for _ in range(ATTEMPTS_MAX)] == [1, 2, 3, 4, 5]
    assert attempts.failed("two") == 1


def test_a_message_that_was_handled_begins_anew() -> None:
    attempts = AttemptCounter()
    attempts.failed("one")
    attempts.failed("one")

    attempts.succeeded("one")
    attempts.succeeded("never seen")

    assert attempts.failed("one") == 1


def test_the_message_that_failed_longest_ago_is_forgotten() -> None:
    attempts = AttemptCounter(size=2)
    for message_id in ("one", "two", "one", "three"):
        attempts.failed(message_id)

    assert attempts.failed("one") == 3
    assert attempts.failed("two") == 1


def test_ten_thousand_messages_are_counted_at_a_time() -> None:
    attempts = AttemptCounter()
    for number in range(10_001):
        attempts.failed(f"{number}")

    assert attempts.failed("1") == 2
    assert attempts.failed("0") == 1
