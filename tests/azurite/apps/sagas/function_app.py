"""Orchestrations that say in a log of their own which activity began when, and what it gave."""

import json
import os
import time
import uuid
from datetime import timedelta
from pathlib import Path
from typing import Any

from func_bindings import HttpRequest, OrchestrationContext, activity_trigger, orchestration_trigger
from func_bindings import route as http_route

WITNESS = Path(os.environ["WITNESS_LOG"])


@activity_trigger
def work(call: dict[str, Any]) -> str:
    """Take a moment; what is given is another text each time."""
    token = uuid.uuid4().hex  # noqa: TID251 -- an app, which knows no host
    entry = {
        "instance": call["instance"],
        "step": call["step"],
        "token": token,
        "process": os.getpid(),
    }
    with WITNESS.open("a") as log:
        log.write(json.dumps(entry) + "\n")
    time.sleep(call.get("seconds", 0.05))
    return token


@orchestration_trigger
async def child(context: OrchestrationContext) -> str:
    """Run one activity."""
    return await context.call_activity(work, {"instance": context.instance_id, "step": 0})


@orchestration_trigger
async def saga(context: OrchestrationContext) -> list[str]:
    """Two steps, a timer, a child or a step, and three at once."""
    number: int = context.get_input()
    me = context.instance_id
    tokens = [
        await context.call_activity(work, {"instance": me, "step": step}) for step in range(2)
    ]
    await context.create_timer(timedelta(seconds=1 + number % 3))
    if number % 3 == 0:
        tokens.append(await context.call_sub_orchestrator(child))
    else:
        tokens.append(await context.call_activity(work, {"instance": me, "step": 2}))
    calls = [context.call_activity(work, {"instance": me, "step": step}) for step in (3, 4, 5)]
    return tokens + await context.task_all(calls)


@orchestration_trigger
async def slow(context: OrchestrationContext) -> list[str]:
    """Steps that last, one after the other."""
    me, plan = context.instance_id, context.get_input()
    return [
        await context.call_activity(
            work, {"instance": me, "step": step, "seconds": plan["seconds"]}
        )
        for step in range(plan["steps"])
    ]


@orchestration_trigger
async def wide(context: OrchestrationContext) -> list[str]:
    """Steps that last, all at once."""
    me, plan = context.instance_id, context.get_input()
    calls = [
        context.call_activity(work, {"instance": me, "step": step, "seconds": plan["seconds"]})
        for step in range(plan["steps"])
    ]
    return await context.task_all(calls)


@http_route("block")
async def block(request: HttpRequest) -> str:
    """Keep the loop of the host from everything else, as careless user code does."""
    time.sleep(float(request.params["seconds"]))  # noqa: ASYNC251 -- that is the point
    return "done"
