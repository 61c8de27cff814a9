"""Moves money between two accounts under a lock over both, so that none is made or lost."""

from contextlib import suppress
from dataclasses import dataclass

from func_bindings import (
    DurableClient,
    EntityId,
    EntityProxy,
    FunctionApp,
    HttpRequest,
    HttpResponse,
    InstanceAlreadyExistsError,
    OrchestrationContext,
    TaskFailedError,
)

from . import accounts
from .accounts import Account

app = FunctionApp()
app.register_functions(accounts.blueprint)


@dataclass(frozen=True)
class Transfer:
    """So much from one account to another."""

    payer: str
    payee: str
    amount: int


@dataclass(frozen=True)
class Receipt:
    """How a transfer ended: applied with what is left, or refused for a reason."""

    state: str
    payer_balance: int | None = None
    payee_balance: int | None = None
    reason: str | None = None


@app.orchestration_trigger(context_name="context")
async def transfer(context: OrchestrationContext) -> Receipt:
    order = context.get_input(Transfer)
    if order.payer == order.payee:
        return Receipt("refused", reason="payer and payee are the same account")
    payer = context.entity(Account, order.payer)
    payee = context.entity(Account, order.payee)
    # Nobody else sees the accounts while the money is on its way. Locks are taken in one order
    # everywhere, so that two transfers in opposite directions do not wait for each other.
    async with await context.lock(payer.entity_id, payee.entity_id):
        return await _move(payer, payee, order.amount)


async def _move(payer: EntityProxy[Account], payee: EntityProxy[Account], amount: int) -> Receipt:
    try:
        payer_balance = await payer.call(Account.withdraw, amount)
    except TaskFailedError as error:
        return Receipt("refused", reason=f"payer: {error.details.message}")
    try:
        payee_balance = await payee.call(Account.deposit, amount)
    except TaskFailedError as error:
        await payer.call(Account.deposit, amount)
        return Receipt("refused", reason=f"payee: {error.details.message}")
    return Receipt("applied", payer_balance, payee_balance)


@app.route(route="accounts/{name}", methods=["PUT"])
@app.durable_client_input(client_name="client")
async def open_account(request: HttpRequest, client: DurableClient) -> HttpResponse:
    account = EntityId("Account", request.route_params["name"])
    await client.signal_entity(account, "open", request.get_json())
    return HttpResponse(status_code=202)


@app.route(route="accounts/{name}", methods=["GET"])
@app.durable_client_input(client_name="client")
async def read_account(request: HttpRequest, client: DurableClient) -> object:
    account = EntityId("Account", request.route_params["name"])
    found = await client.read_entity_state(account, Account)
    return found.entity_state if found.entity_exists else HttpResponse(status_code=404)


@app.route(route="accounts", methods=["GET"])
@app.durable_client_input(client_name="client")
async def list_accounts(request: HttpRequest, client: DurableClient) -> dict[str, int]:
    prefix = request.params.get("prefix", "")
    found = await client.list_entities("Account", prefix, include_state=True)
    return {account.entity_id.key: account.state["balance"] for account in found if account.exists}


@app.route(route="transfers/{id}", methods=["POST"])
@app.durable_client_input(client_name="client")
async def start_transfer(request: HttpRequest, client: DurableClient) -> HttpResponse:
    transfer_id = request.route_params["id"]
    # Whoever got no answer asks again with the same id, and is told how the transfer ended: only
    # an id that is new starts one.
    if await client.get_status(transfer_id) is None:
        with suppress(InstanceAlreadyExistsError):
            await client.start_new(transfer, transfer_id, request.get_json())
    return await client.wait_for_completion_or_create_check_status_response(request, transfer_id)
