"""Takes an order through warehouse, bank and carrier; undoes what was done where one refuses."""

from collections.abc import Callable
from datetime import timedelta

from func_bindings import (
    DurableClient,
    FunctionApp,
    HttpRequest,
    HttpResponse,
    OrchestrationContext,
    RetryOptions,
    TaskFailedError,
)

from . import delivery, payments, stock
from .delivery import deliver_order
from .orders import Charge, Dispatch, Order, Outcome, StockRequest
from .payments import charge_card, refund_card
from .stock import release_stock, reserve_stock

app = FunctionApp()
app.register_functions(stock.blueprint)
app.register_functions(payments.blueprint)
app.register_functions(delivery.blueprint)

A_FEW_TIMES = RetryOptions(first_retry_interval_in_milliseconds=100, max_number_of_attempts=5)
UNTIL_DONE = RetryOptions(
    first_retry_interval_in_milliseconds=100,
    max_number_of_attempts=1_000,
    backoff_coefficient=2,
    max_retry_interval_in_milliseconds=60_000,
)


class OrderRefusedError(Exception):
    """Somebody said no, and asking again would not help."""


@app.orchestration_trigger(context_name="context")
async def order_saga(context: OrchestrationContext) -> Outcome:
    order = context.get_input(Order)
    undo: list[tuple[Callable[..., str], object]] = []
    try:
        return await _fulfil(context, order, undo)
    except (TaskFailedError, OrderRefusedError) as error:
        context.set_custom_status("cancelling")
        for activity, done in reversed(undo):
            await context.call_activity(activity, done, retry=UNTIL_DONE)
        return Outcome("cancelled", reason=str(error))


async def _fulfil(
    context: OrchestrationContext, order: Order, undo: list[tuple[Callable[..., str], object]]
) -> Outcome:
    """Go through the steps; leave in `undo` what takes back those that were done."""
    order_id = context.instance_id

    reservations: list[str] = []
    for line in order.lines:
        wanted = StockRequest(order_id, line, context.current_utc_datetime)
        reservation = await context.call_activity(reserve_stock, wanted, retry=A_FEW_TIMES)
        undo.append((release_stock, reservation))
        reservations.append(reservation.number)

    charge = Charge(order_id, order.card, reservations)
    payment = await context.call_activity(charge_card, charge, retry=A_FEW_TIMES)
    if not payment.is_accepted:
        raise OrderRefusedError("the card was declined")
    undo.append((refund_card, payment))

    confirmed_by: str | None = None
    if order.needs_confirmation:
        context.set_custom_status("waiting for the customer")
        confirmed_by = await context.wait_for_external_event("Confirmed", str)
        context.set_custom_status(None)

    not_before = context.current_utc_datetime + timedelta(seconds=order.dispatch_after_s)
    dispatch = Dispatch(order_id, payment.number, not_before)
    tracking = await context.call_sub_orchestrator(deliver_order, dispatch)
    return Outcome("delivered", tracking=tracking, confirmed_by=confirmed_by)


@app.route(route="orders/{id}", methods=["POST"])
@app.durable_client_input(client_name="client")
async def place_order(request: HttpRequest, client: DurableClient) -> HttpResponse:
    instance_id = await client.start_new(order_saga, request.route_params["id"], request.get_json())
    return client.create_check_status_response(request, instance_id)


@app.route(route="orders/{id}/confirmation", methods=["POST"])
@app.durable_client_input(client_name="client")
async def confirm_order(request: HttpRequest, client: DurableClient) -> HttpResponse:
    instance_id = request.route_params["id"]
    await client.raise_event(instance_id, "Confirmed", request.get_json())
    return await client.wait_for_completion_or_create_check_status_response(request, instance_id)
