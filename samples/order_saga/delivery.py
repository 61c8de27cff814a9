"""The carrier: a sub-orchestration that waits for its day and then books a courier."""

from collections.abc import Generator
from typing import Any

from func_bindings import Blueprint, OrchestrationContext, RetryOptions

from .orders import Dispatch
from .services import call_service

blueprint = Blueprint()

COURIERS = RetryOptions(
    first_retry_interval_in_milliseconds=100,
    max_number_of_attempts=8,
    backoff_coefficient=2,
    max_retry_interval_in_milliseconds=2_000,
)


@blueprint.activity_trigger(input_name="dispatch")
def book_courier(dispatch: Dispatch) -> str:
    return call_service("book_courier", dispatch)


@blueprint.orchestration_trigger(context_name="context")
def deliver_order(context: OrchestrationContext) -> Generator[Any, Any, str]:
    dispatch = context.get_input(Dispatch)
    yield context.create_timer(dispatch.not_before)
    return (yield context.call_activity(book_courier, dispatch, retry=COURIERS))
