"""`/admin/metrics`: numbers about this host in Prometheus' text format 0.0.4.

A scraper gives the key, where the host needs one, as others do: `x-functions-key` or `?code=`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from starlette.responses import Response

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from func_host.durable.backend import RequestCount

_CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
_ESCAPES: Final = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})

_Sample = tuple["Mapping[str, str]", float]


def metrics_answer(
    *, version: str, up_seconds: float, requests: Sequence[RequestCount]
) -> Response:
    """Answer with the numbers of this moment."""
    lines = [
        *_metric("func_host_info", "gauge", "The host's version.", [({"version": version}, 1)]),
        *_metric(
            "func_host_up_seconds", "gauge", "Seconds since the host started.", [({}, up_seconds)]
        ),
        *_metric(
            "func_host_storage_requests_total",
            "counter",
            "Requests to the storage account; status 0 is one without an answer.",
            [_of_requests(each) for each in requests],
        ),
    ]
    return Response("".join(f"{line}\n" for line in lines), headers={"Content-Type": _CONTENT_TYPE})


def _of_requests(counted: RequestCount) -> _Sample:
    labels = {
        "service": counted.service,
        "operation": counted.operation,
        "status": str(counted.status),
    }
    return labels, counted.count


def _metric(name: str, kind: str, text: str, samples: Iterable[_Sample]) -> Iterator[str]:
    yield f"# HELP {name} {text}"
    yield f"# TYPE {name} {kind}"
    for labels, value in samples:
        pairs = ",".join(f'{key}="{text.translate(_ESCAPES)}"' for key, text in labels.items())
        yield f"{name}{{{pairs}}} {value!r}" if pairs else f"{name} {value!r}"
