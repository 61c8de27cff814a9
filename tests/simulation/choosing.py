"""Goes through every way in which a sequence of choices can be made."""

from __future__ import annotations


class Choices:
    """Every way to choose, one after the other."""

    def __init__(self) -> None:
        self._path: list[tuple[int, int]] = []
        self._position = 0

    def choose(self, count: int) -> int:
        if count == 1:
            return 0
        if self._position == len(self._path):
            self._path.append((0, count))
        chosen, _ = self._path[self._position]
        self._position += 1
        return chosen

    def advance(self) -> bool:
        """Go to the next way; give whether there is one."""
        self._position = 0
        while self._path:
            chosen, count = self._path.pop()
            if chosen + 1 < count:
                self._path.append((chosen + 1, count))
                return True
        return False
