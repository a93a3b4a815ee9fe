"""The composition root: the only place that knows every class. It builds them leaves first and says in which order they stop.

Nothing is decided here. `__main__` and tests come in; nobody else does.
"""

from service.app.application import REFUSALS, Application
from service.app.doctor import examined, healthy, report
from service.app.finance import compared_days, compared_invoice, statement_of, verified
from service.app.works import UsageWrong, add_works

__all__ = [
    "REFUSALS",
    "Application",
    "UsageWrong",
    "add_works",
    "compared_days",
    "compared_invoice",
    "examined",
    "healthy",
    "report",
    "statement_of",
    "verified",
]
