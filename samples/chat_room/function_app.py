"""Rooms that people talk in: entities that signal each other, now and later."""

from typing import Any

from func_bindings import (
    DurableClient,
    EntityId,
    FunctionApp,
    HttpRequest,
    HttpResponse,
)

from . import inboxes, rooms
from .inboxes import Inbox, InboxSettings
from .messages import Draft, Message, ReadMark
from .rooms import Room, RoomSettings

app = FunctionApp()
app.register_functions(rooms.blueprint)
app.register_functions(inboxes.blueprint)

ACCEPTED = HttpResponse(status_code=202)
NOT_FOUND = HttpResponse(status_code=404)


def _room(request: HttpRequest) -> EntityId:
    return EntityId("Room", request.route_params["room"])


def _inbox(request: HttpRequest) -> EntityId:
    return EntityId("Inbox", request.route_params["user"])


@app.route(route="rooms/{room}", methods=["PUT"])
@app.durable_client_input(client_name="client")
async def open_room(request: HttpRequest, client: DurableClient) -> HttpResponse:
    settings = RoomSettings(**request.get_json()) if request.get_body() else RoomSettings()
    await client.signal_entity(_room(request), "open", settings)
    return ACCEPTED


@app.route(route="rooms/{room}", methods=["GET"])
@app.durable_client_input(client_name="client")
async def read_room(request: HttpRequest, client: DurableClient) -> HttpResponse | dict[str, Any]:
    found = await client.read_entity_state(_room(request), Room)
    if not found.entity_exists:
        return NOT_FOUND
    room: Room = found.entity_state
    after = int(request.params.get("after", 0))
    return {
        "members": room.members,
        "messages": [message for message in room.messages if message.number > after],
    }


@app.route(route="rooms", methods=["GET"])
@app.durable_client_input(client_name="client")
async def list_rooms(request: HttpRequest, client: DurableClient) -> dict[str, int]:
    prefix = request.params.get("prefix", "")
    found = await client.list_entities("Room", prefix, include_state=True)
    return {room.entity_id.key: len(room.state["members"]) for room in found if room.exists}


@app.route(route="rooms/{room}/members/{user}", methods=["PUT"])
@app.durable_client_input(client_name="client")
async def join_room(request: HttpRequest, client: DurableClient) -> HttpResponse:
    await client.signal_entity(_room(request), "join", request.route_params["user"])
    return ACCEPTED


@app.route(route="rooms/{room}/members/{user}", methods=["DELETE"])
@app.durable_client_input(client_name="client")
async def leave_room(request: HttpRequest, client: DurableClient) -> HttpResponse:
    await client.signal_entity(_room(request), "leave", request.route_params["user"])
    return ACCEPTED


@app.route(route="rooms/{room}/messages", methods=["POST"])
@app.durable_client_input(client_name="client")
async def post_message(request: HttpRequest, client: DurableClient) -> HttpResponse:
    # A phone that lost its connection sends the message again with the same key: it is said once.
    await client.signal_entity(
        _room(request),
        "post",
        Draft(**request.get_json()),
        operation_id=request.headers.get("Idempotency-Key"),
    )
    return ACCEPTED


@app.route(route="inboxes/{user}", methods=["PUT"])
@app.durable_client_input(client_name="client")
async def configure_inbox(request: HttpRequest, client: DurableClient) -> HttpResponse:
    settings = InboxSettings(**request.get_json())
    await client.signal_entity(_inbox(request), "configure", settings)
    return ACCEPTED


@app.route(route="inboxes/{user}", methods=["GET"])
@app.durable_client_input(client_name="client")
async def read_inbox(request: HttpRequest, client: DurableClient) -> dict[str, list[str]]:
    found = await client.read_entity_state(_inbox(request), Inbox)
    if not found.entity_exists:
        return {}
    inbox: Inbox = found.entity_state
    return {room: [_line(each) for each in messages] for room, messages in inbox.unread.items()}


@app.route(route="inboxes/{user}/{room}", methods=["DELETE"])
@app.durable_client_input(client_name="client")
async def mark_room_read(request: HttpRequest, client: DurableClient) -> HttpResponse:
    mark = ReadMark(request.route_params["room"], int(request.params["up_to"]))
    await client.signal_entity(_inbox(request), "mark_read", mark)
    return ACCEPTED


def _line(message: Message) -> str:
    return f"{message.number}. {message.author}: {message.text}"
