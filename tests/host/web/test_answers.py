import logging

import pytest

from func_host import log
from func_host.durable.backend import BackendUnavailableError
from func_host.web.answers import answer_to


def test_a_store_that_cannot_be_used_answers_503_and_the_log_says_why(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.WARNING, "func_host.web.answers"):
        answer = answer_to(BackendUnavailableError("a table of the task hub is not there"))

    (record,) = caplog.records
    assert answer.status_code == 503
    assert vars(record)[log.REASON] == "a table of the task hub is not there"
    assert b"a table of the task hub" not in answer.body
