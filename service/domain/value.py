"""How the values that every request makes are declared: `@value(frozen=True, slots=True)` in place of `@dataclass(…)`.

To the type checker it is `dataclasses.dataclass`, so nothing that is checked can assign to a field. At run time that is not
checked once more: the `__init__` of a frozen dataclass sets each field by a call, and takes ten times as long as a plain one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dataclasses import dataclass as value
else:
    from collections.abc import Callable
    from dataclasses import dataclass

    def value(*, frozen: bool, slots: bool) -> Callable[[type[Any]], type[Any]]:
        """A dataclass with equality and hash by its fields, as a frozen one has them."""
        assert frozen, "what may change is a plain dataclass"
        return dataclass(slots=slots, unsafe_hash=True)


__all__ = ["value"]
