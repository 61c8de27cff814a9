"""What stood in the hub before each recording, and where we answer otherwise on purpose."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime

_RESTART = "rewind and restart are not there yet"
_UNRECORDED = "what happened before it was not recorded"
_CUT = "the body was cut from the recording"
_CUT_OFF = "a cut-off body is not JSON, and a mistake of the caller is 400"
_VERBATIM = "what is sent is kept character by character"
_LIVE_ID = "a live id is a conflict"
_OTHER_HUB = "a host serves one hub"
_DECODED_ONCE = "a path is decoded exactly once"
_NO_CHANGE = "suspending and resuming what already is so changes nothing"
_ONLY_ENDED = "only what has ended is purged"
_MISTAKE = "a mistake of the caller is 400"
_NO_LENGTH = "a signal without a body has no input"
_ONE_NONE = "Python has one None, for JSON's null too"
_WORDED = "our words say what is wrong"
_KEPT_NULL = "a state of JSON's null is stored as such"
_GOES_ON = "an entity does not end and is not held: what would do so means nothing to it"
_IN_ORDER = "the store in memory keeps the order of senders by itself"


@dataclass(frozen=True, slots=True)
class Instance:
    """An instance that stood in the hub; without a state it is what its run leads to.

    An entity goes by the name `Entity`, and its input is what was added to it.
    """

    name: str
    input: str | None = None
    state: str = ""
    at_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """How a file is replayed; steps are named by regular expressions, or requests from `GET /` on.

    Args:
        instances: What stood in the hub, by id.
        before: What was done before a step without being recorded: operation, id, argument.
        skipped: Steps that are not replayed, with the reason.
        differs: Steps that are answered otherwise: the status we answer with, and the reason.
        start: When the recording began.
        passed_s: How long to wait before the first step.
        any_state: A start replaces live instances too.
    """

    instances: dict[str, Instance] = field(default_factory=dict[str, Instance])
    before: dict[str, tuple[str, str, str]] = field(default_factory=dict[str, tuple[str, str, str]])
    skipped: dict[str, str] = field(default_factory=dict[str, str])
    differs: dict[str, tuple[int, str]] = field(default_factory=dict[str, tuple[int, str]])
    start: datetime = datetime(2026, 1, 1, tzinfo=UTC)
    passed_s: float = 0
    any_state: bool = False


RECORDINGS: dict[str, Recording] = {
    "start": Recording(
        instances={
            "s-run": Instance("WaitEvent"),
            "s-pend": Instance("Echo", None, "Pending"),
            "s-tT": Instance("WaitEvent", None, "Terminated"),
        },
        before={r"id in use, Suspended": ("Suspended", "s-run", "x")},
        skipped={r"its status: Pending": _OTHER_HUB},
        differs={
            r"unknown function on another hub": (400, _OTHER_HUB),
            r"taskHub and connection in the query": (400, _OTHER_HUB),
            r"status by \+$": (200, "a plus may be meant as a space"),
            r"id with percent sign": (202, _DECODED_ONCE),
            r"status by %2541": (200, _DECODED_ONCE),
            r"status by pA": (404, _DECODED_ONCE),
            r"id in use": (409, _LIVE_ID),
        },
    ),
    "start-bodies": Recording(
        skipped={r"70 kB": _CUT},
        differs={
            r"status after body: exponent": (200, _VERBATIM),
            r"status after body: \$type key": (200, _VERBATIM),
            r"^bad body: cut-off (object|array)|^bad body: empty .* cut off": (400, _CUT_OFF),
            r"^instance after bad body: cut-off (array$|object in)": (404, _CUT_OFF),
        },
    ),
    "start-any-state": Recording(
        any_state=True,
        before={r"^suspended": ("Suspended", "as-2", "")},
        skipped={r"restart": _RESTART},
    ),
    "status": Recording(
        instances={
            "st-p": Instance("Echo", '{"a":1}', "Pending"),
            "st-c": Instance("Chain", '{"city":"Oslo"}'),
            "st-f": Instance("Fail", '"in"'),
            "st-t": Instance("WaitEvent", None, "Terminated:Found it"),
            "st-r": Instance("WaitEvent"),
            "st-s": Instance("WaitEvent", None, "Suspended:pause"),
            "reason-42": Instance("WaitEvent"),
            "reason-none": Instance("WaitEvent"),
            "reason-json": Instance("WaitEvent"),
            "reason-empty": Instance("WaitEvent"),
            "st-no": Instance("NoOutput"),
            "st-cs0": Instance("TextStatus", '"plain"'),
            "st-cs1": Instance("TextStatus", '{"a":null}'),
            "st-cs2": Instance("TextStatus", "null"),
            "st-cs3": Instance("TextStatus", "7"),
            "st-cs4": Instance("TextStatus", '""'),
            "@counter@ks": Instance("Entity", "5"),
        },
        before={r"output is an empty string": ("Event", "st-cs0", "Go=null")},
        skipped={r"row edited by hand": "the edited texts have a test of their own"},
        differs={r"^the same, escaped @": (202, "the URL is given back as it was sent")},
    ),
    "suspend-resume": Recording(
        instances={
            "su-1": Instance("WaitEvent"),
            "su-2": Instance("WaitEvent"),
            "su-3": Instance("WaitEvent"),
            "su-4": Instance("LoopWait"),
            "su-p": Instance("Echo", None, "Pending"),
            "@counter@su": Instance("Entity", "1"),
        },
        before={r"^completed$": ("Event", "su-1", 'Approve="ok"')},
        differs={
            r"^its row": (202, _GOES_ON),
            r"resume while running|suspend again|resume a pending one": (202, _NO_CHANGE),
        },
    ),
    "raise-event": Recording(
        instances={
            "ev-1": Instance("TwoEvents"),
            "ev-2": Instance("WaitEvent"),
            "@counter@ev": Instance("Entity", "1"),
            **{f"ev-v{number}": Instance("WaitEvent") for number in range(8)},
        },
        skipped={
            r"value: big": _CUT,
            r"^bad: (empty body, JSON|blank body)": "an empty event is an event: it has its test",
        },
        differs={r"the event name matched in any case": (200, _VERBATIM)},
    ),
    "terminate": Recording(
        instances={
            "te-p": Instance("Echo", None, "Pending"),
            "te-3": Instance("Slow"),
            "te-4": Instance("ParentPending"),
            "te-8": Instance("WaitEvent", None, "Suspended"),
            "@counter@te": Instance("Entity", "1"),
            **{f"te-{number}": Instance("WaitEvent") for number in (1, 2, 5, 6, 7)},
        },
        skipped={r"status right after": "a race"},
        differs={r"^the entity row afterwards": (202, _GOES_ON)},
    ),
    "purge": Recording(
        start=datetime(2026, 11, 22, 3, 50, 0, tzinfo=UTC),
        instances={
            "pu-1": Instance("Echo"),
            "pu-2": Instance("WaitEvent"),
            "pu-3": Instance("Echo"),
            "pu-4": Instance("Parent"),
            "pu-p": Instance("Echo", None, "Pending"),
            "@counter@pu": Instance("Entity", "1"),
            "@counter@pf": Instance("Entity", "1", "", 17),
            "pf-c": Instance("Echo", "1"),
            "pf-f": Instance("Fail", "1"),
            "pf-r": Instance("WaitEvent", "1"),
            "pf-t": Instance("WaitEvent", "1", "Terminated:x"),
        },
        skipped={
            r"three pending|left over|everything goes|only Completed counts": _OTHER_HUB,
            r"^status: 404$|^left$": "it stands for two steps",
            r"^other parameters": _UNRECORDED,
        },
        differs={
            r"^running: purged|^pending$": (412, _ONLY_ENDED),
            r"hub that does not exist yet": (404, _OTHER_HUB),
            r"^no status: running one and entity go too": (404, _ONLY_ENDED),
        },
    ),
    "wait": Recording(
        skipped={r"^terminated while waiting": _UNRECORDED},
        differs={
            r"^only timeout": (200, "the wait is woken, so an interval is not needed"),
            r"^huge|^Infinity": (400, _MISTAKE),
        },
    ),
    "paths": Recording(
        instances={"p-1": Instance("Echo", "1")},
        skipped={r"absolute-form": "the server below cuts the origin off"},
        differs={r"id double escaped": (404, _DECODED_ONCE)},
    ),
    "matrix": Recording(
        instances={
            f"m{row}-{column}": Instance(
                name, "0" if column == "ca" else f'{{"s":"{column}"}}', state
            )
            for row in (0, 1, 2, 3, 4, 8, 9)
            for column, name, state in (
                ("pe", "WaitEvent", "Pending"),
                ("ru", "WaitEvent", ""),
                ("ca", "LoopWait", "ContinuedAsNew"),
                ("su", "WaitEvent", "Suspended:p"),
                ("co", "Echo", ""),
                ("fa", "Fail", ""),
                ("te", "WaitEvent", "Terminated:x"),
                ("cc", "Echo", "Canceled"),
            )
        },
        skipped={r"^rewind|^restart": _RESTART},
        differs={
            r"^suspend on Suspended|^resume on (Pending|Running|ContinuedAsNew)": (202, _NO_CHANGE),
            r"^start with that id on (Pending|Running|ContinuedAsNew|Suspended)": (409, _LIVE_ID),
            r"^purge on (Pending|Running|ContinuedAsNew|Suspended)": (412, _ONLY_ENDED),
        },
    ),
    "list-instances": Recording(
        start=datetime(2026, 11, 22, 3, 47, 19, tzinfo=UTC),
        instances={
            "l-a1": Instance("Echo", '{"n":1}', "", 0.1),
            "l-a2": Instance("Fail", '{"n":2}', "", 5.1),
            "l-b1": Instance("WaitEvent", '{"n":3}', "", 6.1),
            "l-b2": Instance("WaitEvent", '"text"', "Suspended:r", 8.1),
            "L-B3": Instance("WaitEvent", None, "Terminated:stop", 9.1),
            "l-c1": Instance("Loop", "0", "", 10.1),
            "@counter@k1": Instance("Entity", "5", "", 10.5),
        },
        skipped={r"^empty hub|^trailing slash is": "the hub is not empty any more"},
        differs={
            r"showInput=false alone": (200, "it is honoured"),
            r"^(rubbish token|token header that is base64)": (400, _MISTAKE),
            r"^connection unknown": (400, _MISTAKE),
        },
    ),
    "history": Recording(
        instances={
            "h-chain": Instance("Chain", '{"city":"Oslo"}'),
            "h-retry": Instance("FailRetry", '"in"'),
            "h-fail": Instance("Fail"),
            "h-timer": Instance("Timer"),
            "h-ltimer": Instance("LongTimer"),
            "h-ev": Instance("WaitEvent", None, 'Event:Approve={"ok":true}'),
            "h-sub": Instance("Parent"),
            "h-subf": Instance("ParentFail"),
            "h-subp": Instance("ParentPending"),
            "h-act": Instance("Slow"),
            "h-can": Instance("Loop", "0"),
            "h-term": Instance("WaitEvent", None, 'Terminated:{"a":1}'),
            "h-sus": Instance("WaitEvent", None, "Suspended:hold"),
            "h-ent": Instance("CallsEntity"),
        },
        before={r"^resumed: showHistory$": ("Resumed", "h-sus", "go")},
        passed_s=5,
        skipped={r"raises an event|large input": _UNRECORDED},
        differs={
            r"^the entity: showHistory": (202, _IN_ORDER),
            r"^activity fails|^sub-orchestration fails": (200, "failures are worded as Python's"),
        },
    ),
    "entities": Recording(
        instances={
            f"@counter@{key}": Instance("Entity", added)
            for key, added in (
                ("called", "5"),
                ("ev", "1"),
                ("k1", "5"),
                ("ks", "5"),
                ("rp", "1"),
                ("rs", "1"),
                ("su", "1"),
                ("te", "1"),
            )
        },
        before={
            r"^list all$": ("Added", "@counter@l0", "0"),
            r"^list all": ("Added", "@counter@l1", "1"),
            r"^list all\b": ("Added", "@counter@l2", "2"),
        },
        differs={
            r"unknown function on another hub": (400, _OTHER_HUB),
            r"GET /.*/Recorder/(r1|r9|r1[0-2]|r20)$": (200, _NO_LENGTH),
            r"chunked empty body": (202, _NO_LENGTH),
            r"GET /.*/Recorder/r8$": (200, _NO_LENGTH),
            r"GET /.*/Recorder/r4$": (200, _ONE_NONE),
            r"^key with #": (400, _WORDED),
            r"^its row$": (202, _KEPT_NULL),
            r"^list all|^GET without key": (200, "it holds what a chunked empty body was sent to"),
            r"^top=(0|-1)": (400, _WORDED),
            r"^rubbish token": (400, _MISTAKE),
        },
    ),
}
