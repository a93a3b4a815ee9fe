"""The composition root: the only place that knows every class. It builds them leaves first and says in which order they stop.

Nothing is decided here. `__main__` and tests come in; nobody else does.
"""

from service.app.application import REFUSALS, Application
from service.app.books import verified
from service.app.doctor import examined, healthy, report

__all__ = ["REFUSALS", "Application", "examined", "healthy", "report", "verified"]
