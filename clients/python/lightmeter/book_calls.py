"""The calls that read the catalog and the books: models, costs, transfers, receipts."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from lightmeter import wire
from lightmeter.catalog import Model
from lightmeter.connection import Connection, Deadline, pages
from lightmeter.job import Job
from lightmeter.ledger import CostReport, Receipt, Transfer
from lightmeter.v1 import ledger_service_pb2 as pb
from lightmeter.v1 import model_service_pb2

PAGE_SIZE: Final = 500
REPORT_ROWS_MAX: Final = 10_000


class BookCalls:
    """Calls about models and money, for AsyncClient and with it for Client."""

    _connection: Connection

    async def models(self) -> tuple[Model, ...]:
        """All models that the caller may use, by name."""

        async def fetch(token: str) -> model_service_pb2.ListModelsResponse:
            request = model_service_pb2.ListModelsRequest(page_size=PAGE_SIZE, page_token=token)
            page: model_service_pb2.ListModelsResponse = await self._connection.call(
                self._connection.catalog.ListModels, request
            )
            return page

        return tuple([Model.from_proto(model) async for page in pages(fetch) for model in page.models])

    async def model(self, name: str) -> Model:
        """One model by its name or an alias of it; NotFound with a `suggestion` if there is none."""
        request = model_service_pb2.GetModelRequest(name=name)
        answer: model_service_pb2.GetModelResponse = await self._connection.call(
            self._connection.catalog.GetModel, request
        )
        return Model.from_proto(answer.model)

    async def costs(
        self,
        *,
        by: Sequence[str] = (),
        month: str = "",
        start: datetime | None = None,
        end: datetime | None = None,
        interval: str = "",
        basis: str = "",
        projects: Sequence[str] = (),
        models: Sequence[str] = (),
        providers: Sequence[str] = (),
        labels: Mapping[str, str] | None = None,
        latency: bool = False,
        as_of: datetime | None = None,
    ) -> CostReport:
        """Totals of a range, grouped `by` dimensions such as `model`, `provider`, `origin` or `label:team`.

        The range is a UTC month (`2026-11`), or from `start` up to `end` on whole UTC hours; without either
        it is the present month up to now. `interval` (hour, day, month) splits it; `basis` is usage or
        booked.
        """
        request = pb.SummarizeCostsRequest(
            range=span_of(month, start, end), include_latency=latency, page_size=PAGE_SIZE
        )
        for dimension in by:
            name, _, key = dimension.partition(":")
            request.group_by.append(wire.number(pb.CostDimension, name, "dimension"))
            if key:
                request.label_key = key
        if interval:
            request.interval = wire.number(pb.CostInterval, interval, "interval")
        if basis:
            request.basis = wire.number(pb.CostBasis, basis, "basis")
        if as_of is not None:
            request.as_of_time.CopyFrom(wire.as_timestamp(as_of))
        if projects or models or providers or labels:
            request.filter.CopyFrom(
                pb.CostFilter(projects=projects, models=models, providers=providers, labels=labels)
            )

        async def fetch(token: str) -> pb.SummarizeCostsResponse:
            request.page_token = token
            page: pb.SummarizeCostsResponse = await self._connection.call(
                self._connection.books.SummarizeCosts, request
            )
            return page

        gathered = pb.SummarizeCostsResponse()
        async for page in pages(fetch):
            gathered.rows.extend(page.rows)
            gathered.total.CopyFrom(page.total)
            gathered.as_of_time.CopyFrom(page.as_of_time)
            if len(gathered.rows) >= REPORT_ROWS_MAX:
                raise ValueError(
                    f"the report has more than {REPORT_ROWS_MAX} rows; group by less or narrow the range"
                )
        return CostReport.from_proto(gathered)

    async def transfers(
        self,
        job: Job | str | None = None,
        *,
        start: datetime | None = None,
        end: datetime | None = None,
        kinds: Sequence[str] = (),
        providers: Sequence[str] = (),
        projects: Sequence[str] = (),
        limit: int | None = None,
    ) -> AsyncGenerator[Transfer]:
        """Rows of the ledger in the order in which they were booked, page by page; at most `limit`.

        Rows of the last minute may not be listed yet. With `job`, the rows that this job pays.
        """
        request = pb.ListTransfersRequest(page_size=min(limit or PAGE_SIZE, PAGE_SIZE))
        request.filter.providers.extend(providers)
        request.filter.projects.extend(projects)
        request.filter.kinds.extend(wire.number(pb.TransferKind, kind, "kind") for kind in kinds)
        if job is not None:
            request.filter.job_id = job.job_id if isinstance(job, Job) else job
        if start is not None:
            request.range.start_time.CopyFrom(wire.as_timestamp(start))
        if end is not None:
            request.range.end_time.CopyFrom(wire.as_timestamp(end))

        async def fetch(token: str) -> pb.ListTransfersResponse:
            request.page_token = token
            page: pb.ListTransfersResponse = await self._connection.call(
                self._connection.books.ListTransfers, request
            )
            return page

        count = 0
        async for page in pages(fetch):
            for message in page.transfers:
                if limit is not None and count >= limit:
                    return
                count += 1
                yield Transfer.from_proto(message)

    async def receipt(self, job: Job | str, *, timeout: float | None = None) -> Receipt:
        """The newest receipt of a job. It may change after the job is final, when the bill comes."""
        job_id = job.job_id if isinstance(job, Job) else job
        answer: pb.GetReceiptResponse = await self._connection.call(
            self._connection.books.GetReceipt, pb.GetReceiptRequest(job_id=job_id), deadline=Deadline(timeout)
        )
        return Receipt.from_proto(answer.receipt)


def span_of(month: str, start: datetime | None, end: datetime | None) -> pb.TimeRange:
    """A UTC month (`2026-11`), or from `start` up to `end`; the present month up to now without either."""
    now = datetime.now(UTC)
    if month:
        if start is not None or end is not None:
            raise ValueError("give either a month or start and end")
        try:
            start = datetime.strptime(month, "%Y-%m").replace(tzinfo=UTC)
        except ValueError:
            raise ValueError(f"{month!r} is no month; write it like 2026-11") from None
        end = (start + timedelta(days=31)).replace(day=1)
    if start is None:
        start = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    if end is None:
        end = now.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
    return pb.TimeRange(start_time=wire.as_timestamp(start), end_time=wire.as_timestamp(end))
