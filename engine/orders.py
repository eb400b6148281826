"""The guide's order example: what spans two wallet operations is the caller's, here the order's.

An order withdraws, is fulfilled by somebody else's code, and is refunded if that fails. A crash may
come between any two of these, and the customer may retry, so each step is one that can be repeated:
payment and refund carry idempotency keys made from the order's id, and the decision between them
is written once; the first one stands.
"""

from collections.abc import Awaitable, Callable
from typing import Protocol

from engine.errors import OrderRejected
from engine.history import Receipt
from engine.operations import valid_account
from engine.ports import Store

ACCEPTED, REJECTED = "accepted", "rejected"
# Clients may not send keys of this kind: they are made from order ids here.
KEY_PREFIX = "order:"


class Payments(Protocol):
    """What an order needs of a wallet."""

    async def withdraw(
        self, account: str, amount: int, description: str = "", *, key: str | None = None
    ) -> Receipt: ...

    async def add(
        self, account: str, amount: int, description: str = "", *, key: str | None = None
    ) -> Receipt: ...


# Asked on every attempt, so it must answer alike for one order id each time; what is shipped is
# shipped after `create_order` has returned.
Fulfil = Callable[[str], Awaitable[bool]]


async def accept(order_id: str) -> bool:
    """The default fulfilment: every paid order is accepted."""
    return True


class OrderService:
    """Orders over one wallet service. `fulfil(order_id)` says whether a paid order can be met."""

    def __init__(
        self, wallet: Payments, sessions: Callable[[], Store], fulfil: Fulfil = accept
    ) -> None:
        self._wallet = wallet
        self._sessions = sessions
        self._fulfil = fulfil

    async def create_order(self, order_id: str, account: str, amount: int) -> Receipt:
        """Pay for and fulfil an order; the payment's receipt. Repeat it freely with the same id.

        Raises OrderRejected after the payment was given back, KeyReused for an id that stands for
        another payment, and what a withdrawal raises.
        """
        valid_account(order_id)  # the same alphabet, so that it fits into a key
        paid = await self._wallet.withdraw(
            account, amount, f"order {order_id}", key=f"{KEY_PREFIX}{order_id}:pay"
        )
        wanted = ACCEPTED if await self._fulfil(order_id) else REJECTED
        if await self._sessions().decide(f"{KEY_PREFIX}{order_id}", wanted) == ACCEPTED:
            return paid
        await self._wallet.add(
            account, amount, f"refund of order {order_id}", key=f"{KEY_PREFIX}{order_id}:refund"
        )
        raise OrderRejected(
            f"order {order_id!r} could not be fulfilled, its payment was given back",
            "start a new order with a new id",
        )
