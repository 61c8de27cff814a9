"""A failed operation, told in the ways of every kind of host, as the exception that is caught."""

from __future__ import annotations

import json

from func_host.durable.engine.entities.answers import error_of
from func_host.durable.engine.entities.messages import Response, read_response
from func_host.durable.history import EventRaised, Failure
from tests.golden.histories.rows import histories, read_scenario


def test_ours_says_it_with_details_and_the_text() -> None:
    inner = Failure(error_type="KeyError", error_message="'k'")
    failure = Failure(error_type="shop.Empty", error_message="empty", inner_failure=inner)

    error = error_of(
        Response(result="Empty: empty", exception_type="Empty", failure_details=failure)
    )

    assert str(error) == "Empty: empty"
    assert error.details.error_type == "shop.Empty"
    assert error.details.is_caused_by(KeyError)


def test_newer_workers_say_it_with_details_alone() -> None:
    failure = Failure(error_type="System.Exception", error_message="no")

    error = error_of(Response(failure_details=failure))

    assert str(error) == "no"
    assert error.details.error_type == "System.Exception"


def test_the_extension_says_it_with_the_exception_as_dotnet_writes_it() -> None:
    history = histories(read_scenario("entity-throws")["final_history"])["golden-entity-throws"]
    answer = next(event for event in history if isinstance(event, EventRaised))

    error = error_of(read_response(answer.input))

    assert str(error) == "entity says no"
    assert error.details.error_type == "System.InvalidOperationException"
    assert error.details.message == "entity says no"
    assert "at Counter.Run" in (error.details.stack_trace or "")
    assert error.details.inner_failure is not None
    assert error.details.inner_failure.error_type == "System.ArgumentException"
    assert error.details.inner_failure.message == "inner"


def test_entities_of_other_languages_say_it_with_text() -> None:
    error = error_of(Response(result="KeyError: 'k'", exception_type="Error"))

    assert str(error) == error.details.message == "KeyError: 'k'"
    assert error.details.error_type == "Error"


def test_a_class_without_text_is_told_by_its_name() -> None:
    error = error_of(Response(exception_type="System.Exception, System.Private.CoreLib"))

    assert str(error) == error.details.error_type == "System.Exception"


def test_a_chain_of_causes_without_end_is_cut() -> None:
    text = '{"ClassName":"E","Message":null,"InnerException":null}'
    for number in range(100):
        text = f'{{"ClassName":"E{number}","Message":null,"InnerException":{text}}}'

    error = error_of(Response(result=text, exception_type="E"))
    deepest = error_of(Response(result="[" * 100_000, exception_type="E"))

    assert len(list(error.details.causes())) == 17
    assert deepest.details.error_type == "E"
    assert json.loads(text)["ClassName"] == error.details.error_type == "E99"
