"""The bank: charges a card, and gives the money back."""

from func_bindings import Blueprint

from .orders import Charge, Payment
from .services import call_service

blueprint = Blueprint()


@blueprint.activity_trigger(input_name="charge")
def charge_card(charge: Charge) -> Payment:
    number = call_service("charge_card", charge)
    return Payment(charge.order_id, number, is_accepted=charge.card != "declined")


@blueprint.activity_trigger(input_name="payment")
def refund_card(payment: Payment) -> str:
    return call_service("refund_card", payment)
