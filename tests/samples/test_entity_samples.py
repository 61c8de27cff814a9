"""What the samples with entities show, driven over HTTP."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from samples.bank_transfer.accounts import Account, Opening, RefusedError
from samples.counter.function_app import Counter
from tests.e2e.host_process import wait_until

if TYPE_CHECKING:
    from tests.e2e.host_process import HostProcess

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

ADMIN = "/admin/entities"
ENTITIES = "/runtime/webhooks/durabletask/entities"


def send(host: HostProcess, method: str, path: str, json: object = None, key: str = "") -> None:
    """Make a request that is accepted."""
    headers = {"Idempotency-Key": key} if key else {}
    answer = host.client.request(method, f"/api/{path}", json=json, headers=headers)
    assert answer.status_code == 202, answer.text


def read(host: HostProcess, path: str) -> Any:
    """Read something; None where it is not there."""
    answer = host.client.get(f"/api/{path}")
    return None if answer.status_code == 404 else answer.json()


def wait_for(host: HostProcess, path: str, expected: object) -> None:
    wait_until(lambda: read(host, path) == expected, f"{path} is {expected}")


# counter


def test_a_decorated_class_stays_a_plain_one() -> None:
    counter = Counter(40)

    assert counter.add(2) == 42


@pytest.mark.parametrize(("entity", "state"), [("counter", {"value": 10}), ("tally", 10)])
def test_both_counters_add(host: HostProcess, entity: str, state: object) -> None:
    assert read(host, f"counts/{entity}/sum") is None
    for amount in range(5):
        send(host, "POST", f"counts/{entity}/sum", amount)

    wait_for(host, f"counts/{entity}/sum", state)


@pytest.mark.parametrize(("entity", "state"), [("counter", {"value": 3}), ("tally", 3)])
def test_an_amount_that_is_sent_again_counts_once(
    host: HostProcess, entity: str, state: object
) -> None:
    for _ in range(3):
        send(host, "POST", f"counts/{entity}/once", 1, key=f"{entity}-first")
    send(host, "POST", f"counts/{entity}/once", 2, key=f"{entity}-second")

    wait_for(host, f"counts/{entity}/once", state)


@pytest.mark.parametrize("entity", ["counter", "tally"])
def test_a_deleted_counter_is_not_there(host: HostProcess, entity: str) -> None:
    send(host, "POST", f"counts/{entity}/gone", 1)
    wait_until(lambda: read(host, f"counts/{entity}/gone"), "it counts")
    assert host.client.delete(f"{ENTITIES}/{entity}/gone").status_code == 202

    wait_until(lambda: read(host, f"counts/{entity}/gone") is None, "it is gone")


def test_other_entities_are_not_counted_with(host: HostProcess) -> None:
    assert host.client.post("/api/counts/room/lobby", json=1).status_code == 404


# bank_transfer


def transfer(
    host: HostProcess, transfer_id: str, payer: str, payee: str, amount: int
) -> dict[str, Any]:
    """Make a transfer; give its receipt. Asked again, as long as it is told to have patience."""
    order = {"payer": payer, "payee": payee, "amount": amount}

    def asked() -> dict[str, Any] | None:
        answer = host.client.post(f"/api/transfers/{transfer_id}", json=order)
        assert answer.status_code in {200, 202}, answer.text
        return answer.json() if answer.status_code == 200 else None

    return wait_until(asked, f"transfer {transfer_id} has ended")


def open_account(host: HostProcess, name: str, balance: int) -> None:
    send(host, "PUT", f"accounts/{name}", {"owner": name.title(), "balance": balance})
    wait_until(lambda: read(host, f"accounts/{name}"), f"{name} has an account")


def test_an_account_that_is_overdrawn_raises_and_stays_as_it_is() -> None:
    account = Account()
    account.open(Opening("Ada", 100))

    with pytest.raises(RefusedError, match="there are 100 cents, and 101 were asked for"):
        account.withdraw(101)

    assert account == Account("Ada", 100)


def test_a_transfer_moves_money_once_however_often_it_is_sent(host: HostProcess) -> None:
    open_account(host, "once-ada", 1_000)
    open_account(host, "once-grace", 0)

    receipts = [transfer(host, "once-1", "once-ada", "once-grace", 300) for _ in range(3)]

    assert {receipt["state"] for receipt in receipts} == {"applied"}
    assert read(host, "accounts?prefix=once-") == {"once-ada": 700, "once-grace": 300}


@pytest.mark.parametrize(
    ("payee", "amount", "reason"),
    [
        ("refused-grace", 1_001, "payer: there are 1000 cents, and 1001 were asked for"),
        ("refused-grace", -5, "payer: -5 is no amount"),
        ("refused-nobody", 100, "payee: there is no such account"),
        ("refused-ada", 100, "payer and payee are the same account"),
    ],
)
def test_a_transfer_that_is_refused_moves_nothing(
    host: HostProcess, payee: str, amount: int, reason: str
) -> None:
    open_account(host, "refused-ada", 1_000)
    open_account(host, "refused-grace", 0)

    receipt = transfer(host, f"refused-{payee}{amount}", "refused-ada", payee, amount)

    assert (receipt["state"], receipt["reason"]) == ("refused", reason)
    assert read(host, "accounts?prefix=refused-") == {"refused-ada": 1_000, "refused-grace": 0}


def test_transfers_in_a_circle_wait_for_each_other_and_end(host: HostProcess) -> None:
    names = [f"circle-{number}" for number in range(4)]
    for name in names:
        open_account(host, name, 100)

    def pass_on(number: int) -> str:
        payer, payee = names[number % 4], names[(number + 1) % 4]
        state: str = transfer(host, f"circle-{number}", payer, payee, 10)["state"]
        return state

    with ThreadPoolExecutor(12) as customers:
        states = set(customers.map(pass_on, range(24)))

    assert states == {"applied"}
    assert read(host, "accounts?prefix=circle-") == dict.fromkeys(names, 100)

    def nobody_holds_one() -> bool:
        query = {"name": "account", "keyPrefix": "circle-", "locked": "true"}
        return host.client.get(ADMIN, params=query).json() == []

    wait_until(nobody_holds_one, "the last lock is given back")


def test_an_account_with_money_in_it_cannot_be_deleted(host: HostProcess) -> None:
    open_account(host, "full", 10)
    open_account(host, "empty", 0)
    for name in ("full", "empty"):
        host.client.delete(f"{ENTITIES}/account/{name}")
    wait_until(lambda: read(host, "accounts/empty") is None, "the empty one is gone")
    transfer(host, "after-delete", "full", "nowhere", 10)

    assert read(host, "accounts/full") == {"owner": "Full", "balance": 10}


# chat_room


def enter(host: HostProcess, room: str, *members: str, closes_after_s: float = 3600) -> None:
    send(host, "PUT", f"rooms/{room}", {"closes_after_s": closes_after_s})
    for member in members:
        send(host, "PUT", f"rooms/{room}/members/{member}")


def say(host: HostProcess, room: str, author: str, text: str, key: str = "") -> None:
    send(host, "POST", f"rooms/{room}/messages", {"author": author, "text": text}, key)


def test_what_is_said_in_all_rooms_is_in_the_inboxes_of_the_others(host: HostProcess) -> None:
    enter(host, "kitchen", "in-ada", "in-grace")
    enter(host, "garden", "in-ada", "in-alan", "in-grace")
    say(host, "kitchen", "in-ada", "Coffee?")
    say(host, "garden", "in-alan", "Sun!")
    say(host, "garden", "in-ada", "Coming.")

    wait_for(
        host,
        "inboxes/in-grace",
        {"kitchen": ["1. in-ada: Coffee?"], "garden": ["1. in-alan: Sun!", "2. in-ada: Coming."]},
    )
    wait_for(host, "inboxes/in-ada", {"garden": ["1. in-alan: Sun!"]})


def test_a_room_keeps_the_order_and_its_latest_hundred_messages(host: HostProcess) -> None:
    enter(host, "log", "log-ada")
    for number in range(1, 121):
        say(host, "log", "log-ada", f"{number}")
    wait_until(lambda: len(read(host, "rooms/log?after=119")["messages"]) == 1, "all are said")

    messages = read(host, "rooms/log")["messages"]

    assert [message["text"] for message in messages] == [str(number) for number in range(21, 121)]
    assert [message["number"] for message in messages] == list(range(21, 121))


def test_a_message_that_is_sent_again_is_said_once(host: HostProcess) -> None:
    enter(host, "twice", "twice-ada", "twice-grace")
    for text in ("Hello", "Hello", "Bye"):
        say(host, "twice", "twice-ada", text, key=f"twice-{text}")

    wait_for(host, "inboxes/twice-grace", {"twice": ["1. twice-ada: Hello", "2. twice-ada: Bye"]})


def test_only_members_are_heard_and_hear(host: HostProcess) -> None:
    enter(host, "club", "club-ada", "club-grace", "club-alan")
    send(host, "DELETE", "rooms/club/members/club-alan")
    say(host, "club", "club-alan", "Hello?")
    say(host, "club", "club-ada", "Nobody there.")
    say(host, "no-such-room", "club-ada", "Hello?")

    wait_for(host, "inboxes/club-grace", {"club": ["1. club-ada: Nobody there."]})
    assert read(host, "inboxes/club-alan") == {}
    assert read(host, "rooms/no-such-room") is None


def test_what_is_read_is_no_longer_in_the_inbox(host: HostProcess) -> None:
    enter(host, "books", "read-ada", "read-grace")
    for text in ("one", "two", "three"):
        say(host, "books", "read-ada", text)
    wait_until(lambda: len(read(host, "inboxes/read-grace").get("books", ())) == 3, "all came")
    send(host, "DELETE", "inboxes/read-grace/books?up_to=2")
    wait_for(host, "inboxes/read-grace", {"books": ["3. read-ada: three"]})
    send(host, "DELETE", "inboxes/read-grace/books?up_to=3")

    wait_for(host, "inboxes/read-grace", {})


def test_a_mail_tells_of_what_stays_unread(host: HostProcess) -> None:
    send(host, "PUT", "inboxes/mail-grace", {"mail_after_s": 0.3})
    enter(host, "news", "mail-ada", "mail-grace")
    say(host, "news", "mail-ada", "First")
    say(host, "news", "mail-ada", "Second")

    def is_mailed() -> bool:
        path = "/runtime/webhooks/durabletask/instances/mail-mail-grace-1"
        answer = host.client.get(path)
        return answer.status_code == 200 and answer.json()["runtimeStatus"] == "Completed"

    wait_until(is_mailed, "the mail is sent")

    output = host.status("mail-mail-grace-1")["output"]
    assert isinstance(output, str)
    assert output.startswith("To mail-grace: you have not read ")
    assert output.endswith(" in news.")


def test_a_room_closes_once_nobody_has_written_for_a_while(host: HostProcess) -> None:
    enter(host, "short", "short-ada", "short-grace", closes_after_s=1)
    say(host, "short", "short-ada", "Is it late?")
    wait_for(host, "inboxes/short-grace", {"short": ["1. short-ada: Is it late?"]})
    wait_until(lambda: read(host, "rooms/short") is None, "it closes")

    assert "short" not in read(host, "rooms")
    enter(host, "short", "short-grace")
    wait_for(host, "rooms/short", {"members": ["short-grace"], "messages": []})
