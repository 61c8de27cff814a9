"""Promise 2 on real input: the words of the standard library, counted by a host that is killed."""

from __future__ import annotations

import io
import re
import sysconfig
import tokenize
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.e2e.host_process import HostProcess, wait_until
from tests.e2e.witness import Line, StoredHub, check_segment, read_store, read_witness

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.chance import Chance

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

STDLIB = Path(sysconfig.get_path("stdlib"))
NOTHING = StoredHub({}, {})


def words_of_the_standard_library() -> tuple[list[list[object]], int]:
    """Count with a plain loop; give the answer and the number of files."""
    total: Counter[str] = Counter()
    files = 0
    for path in STDLIB.rglob("*.py"):
        if {"site-packages", "__pycache__"} & set(path.relative_to(STDLIB).parts):
            continue
        files += 1
        source = path.read_bytes()
        try:
            encoding = tokenize.detect_encoding(io.BytesIO(source).readline)[0]
        except SyntaxError:
            encoding = "latin-1"
        text = source.decode(encoding, errors="replace")
        total.update(word.lower() for word in re.split(r"[\W\d_]+", text) if word)
    best = sorted(total.items(), key=lambda item: (-item[1], item[0]))[:100]
    return [list(item) for item in best], files


def is_opening(line: Line, hub: StoredHub) -> bool:
    return line.activity == "list_python_files" and hub.is_pending("stdlib")


def test_word_count_equals_a_plain_script_also_when_it_is_killed_in_the_middle(
    sample: Callable[[str], Path], tmp_path: Path, chance: Chance
) -> None:
    expected, files = words_of_the_standard_library()
    witness = tmp_path / "witness.jsonl"
    with HostProcess(
        sample("word_count"), tmp_path, settings={"WITNESS_LOG": str(witness)}
    ) as host:
        host.start_instance("word_count", "stdlib", None)
        enough = chance.randrange(1, files)
        wait_until(lambda: len(read_witness(witness)) >= enough, f"{enough} files are begun")
        host.kill()
        at_kill = read_store(host.store, tmp_path / "copy")
        begun_before = read_witness(witness)
        check_segment(begun_before, NOTHING, at_kill, was_killed=True, is_opening=is_opening)

        host.start()
        status = host.wait_for_end("stdlib")
        host.kill()

        assert status["runtimeStatus"] == "Completed"
        assert status["output"] == expected
        begun_after = read_witness(witness)[len(begun_before) :]
        at_end = read_store(host.store, tmp_path / "copy")
        check_segment(begun_after, at_kill, at_end, was_killed=False, is_opening=is_opening)
        assert set(at_end.ends_by_step().values()) == {1}
        assert len(at_end.succeeded()) == files + 1
