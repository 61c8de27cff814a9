"""Counts the words of every Python file below a folder: fan out, one activity a file, fan in."""

import sysconfig
from collections import Counter
from dataclasses import dataclass

from func_bindings import (
    DurableClient,
    HttpRequest,
    HttpResponse,
    OrchestrationContext,
    activity_trigger,
    durable_client,
    orchestration_trigger,
    route,
)

from .witness import record
from .words import python_files, words_of


@dataclass(frozen=True)
class WordCountRequest:
    """What to count: without a folder, the standard library of the Python that runs the host."""

    folder: str | None = None
    top: int = 100


@activity_trigger
def list_python_files(folder: str | None) -> list[str]:
    record("list_python_files", folder)
    return python_files(folder or sysconfig.get_path("stdlib"))


@activity_trigger
def count_words(path: str) -> dict[str, int]:
    record("count_words", path)
    return Counter(words_of(path))


@orchestration_trigger
async def word_count(context: OrchestrationContext) -> list[tuple[str, int]]:
    request = context.get_input(WordCountRequest) or WordCountRequest()
    paths = await context.call_activity(list_python_files, request.folder)
    context.set_custom_status(f"counting {len(paths)} files")

    counts = await context.task_all([context.call_activity(count_words, path) for path in paths])

    total: Counter[str] = Counter()
    for count in counts:
        total.update(count)
    # Ties are ordered by word, so that every replay gives the same answer.
    return sorted(total.items(), key=lambda item: (-item[1], item[0]))[: request.top]


@route("word-counts", methods=["POST"])
@durable_client
async def start_word_count(request: HttpRequest, client: DurableClient) -> HttpResponse:
    order = request.get_json() if request.get_body() else None
    instance_id = await client.start_new(word_count, client_input=order)
    return await client.wait_for_completion_or_create_check_status_response(
        request, instance_id, timeout_in_milliseconds=60_000
    )
