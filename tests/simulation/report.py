"""What came of one seed."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class Report:
    """What came of one seed."""

    seed: int
    jobs: int = 0
    kills: int = 0
    stops: int = 0
    lost: int = 0
    paid_twice: int = 0
    unexplained_nanos: int = 0
    unconfirmed_nanos: int = 0
    broken_invariants: int = 0
    posts: int = 0
    commits: int = 0
    seconds_lived: float = 0.0
    digest: str = ""
    findings: list[str] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    """The trace of what the first finding is about."""
    seen: dict[str, int] = field(default_factory=dict)
    """How often each unusual thing happened."""

    @property
    def is_good(self) -> bool:
        """Whether every zero is zero."""
        return not (self.lost or self.paid_twice or self.unexplained_nanos or self.broken_invariants)
