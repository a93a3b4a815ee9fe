"""The call that prices anew what was paid."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from lightmeter import wire
from lightmeter.book_calls import span_of
from lightmeter.connection import Connection, Deadline
from lightmeter.v1 import drawing_pb2
from lightmeter.v1 import ledger_service_pb2 as pb
from lightmeter.whatif import WhatIfReport

_SECONDS_MAX: Final = 180.0


class WhatIfCalls:
    """The call of what-if, for AsyncClient and with it for Client."""

    _connection: Connection

    async def what_if(
        self,
        *,
        model: str = "",
        quality: str = "",
        pin: str = "",
        prices: str = "",
        month: str = "",
        start: datetime | None = None,
        end: datetime | None = None,
        from_models: Sequence[str] = (),
        projects: Sequence[str] = (),
        providers: Sequence[str] = (),
        routes: Sequence[str] = (),
        operations: Sequence[str] = (),
        timeout: float | None = None,
    ) -> WhatIfReport:
        """What the pictures that were drawn and paid in a range would have cost with another `model`, `quality`, `pin`
        (`fal` or `fal/flux-dev`) or `prices` (the text of a catalog file).

        The range is that of `costs`, at most 31 days. The other arguments say which pictures: `from_models` those that these
        models drew, and so on. What failed or cost nothing is left out on both sides.
        """
        provider, _, route = pin.partition("/")
        request = pb.WhatIfRequest(
            range=span_of(month, start, end),
            filter=pb.CostFilter(projects=projects, models=from_models, providers=providers, routes=routes),
            change=pb.WhatIfChange(model=model, provider=provider, route=route, catalog_yaml=prices),
        )
        request.filter.operations.extend(
            wire.number(drawing_pb2.Operation, one, "operation") for one in operations
        )
        if quality:
            request.change.quality = wire.number(drawing_pb2.Quality, quality, "quality")
        answer: pb.WhatIfResponse = await self._connection.call(
            self._connection.books.WhatIf, request, deadline=Deadline(timeout), seconds=_SECONDS_MAX
        )
        return WhatIfReport.from_proto(answer)
