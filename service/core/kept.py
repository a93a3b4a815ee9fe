"""Results of pure work that are kept for the next request like it: so many at most, the longest unused one goes first."""

from __future__ import annotations

from collections import OrderedDict
from typing import Generic, TypeVar

Key = TypeVar("Key")
Result = TypeVar("Result")


class Kept(Generic[Key, Result]):
    """At most `count_max` results by key. What may be large is not handed in."""

    def __init__(self, count_max: int) -> None:
        self._count_max = count_max
        self._results: OrderedDict[Key, Result] = OrderedDict()

    def get(self, key: Key) -> Result | None:
        """The result of a key that was put, unless it had to go."""
        found = self._results.get(key)
        if found is not None:
            self._results.move_to_end(key)
        return found

    def put(self, key: Key, result: Result) -> Result:
        """Keep the result, and answer it."""
        self._results[key] = result
        if len(self._results) > self._count_max:
            self._results.popitem(last=False)
        return result
