"""What each command of the store does: pure functions from the loaded rows to changed rows and an outcome.

Nothing here waits, reads a clock or knows a database. A decision that raises is rolled back by the store and leaves no trace.
The store comes in through `decide` and `may_hold`; nobody else does.
"""

from service.domain.decisions.table import decide, may_hold

__all__ = ["decide", "may_hold"]
