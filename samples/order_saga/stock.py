"""The warehouse: sets articles aside, and puts them back."""

from func_bindings import Blueprint

from .orders import Reservation, StockRequest
from .services import call_service

blueprint = Blueprint()


@blueprint.activity_trigger(input_name="request")
def reserve_stock(request: StockRequest) -> Reservation:
    number = call_service("reserve_stock", request)
    return Reservation(request.order_id, request.line, number)


@blueprint.activity_trigger(input_name="reservation")
def release_stock(reservation: Reservation) -> str:
    return call_service("release_stock", reservation)
