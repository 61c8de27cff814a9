"""What the steps of an order hand to each other; all of it is stored as JSON."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class OrderLine:
    """So many of one article."""

    sku: str
    quantity: int = 1


@dataclass(frozen=True)
class Order:
    """What a customer asks for; the card `declined` is declined."""

    lines: list[OrderLine]
    card: str = "4242-4242"
    needs_confirmation: bool = False
    dispatch_after_s: float = 0.0


@dataclass(frozen=True)
class StockRequest:
    """Which article to set aside for which order, asked for when."""

    order_id: str
    line: OrderLine
    asked_at: datetime


@dataclass(frozen=True)
class Reservation:
    """What was set aside, under the number that the warehouse gave."""

    order_id: str
    line: OrderLine
    number: str


@dataclass(frozen=True)
class Charge:
    """What to charge to which card, and for which reservations."""

    order_id: str
    card: str
    reservations: list[str]


@dataclass(frozen=True)
class Payment:
    """The bank's answer; a declined card is an answer too, not a fault that a retry would mend."""

    order_id: str
    number: str
    is_accepted: bool


@dataclass(frozen=True)
class Dispatch:
    """What to deliver, and not before when."""

    order_id: str
    payment: str
    not_before: datetime


@dataclass(frozen=True)
class Outcome:
    """How an order ended: delivered, or cancelled with everything undone."""

    state: str
    tracking: str | None = None
    confirmed_by: str | None = None
    reason: str | None = None
