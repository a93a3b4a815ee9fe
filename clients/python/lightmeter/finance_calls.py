"""The calls of finance: budgets, statements, the FOCUS export, reconciliations."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Final

import grpc

from lightmeter import wire
from lightmeter.book_calls import span_of
from lightmeter.connection import Connection, pages
from lightmeter.errors import AssetCorrupt
from lightmeter.finance import Budget, Discrepancy, FocusFile, Reconciliation, Statement
from lightmeter.money import Money, usd
from lightmeter.parquet import require_parquet, write_parquet
from lightmeter.status import verdict
from lightmeter.v1 import ledger_service_pb2 as pb

_PAGE_SIZE: Final = 500
_EXPORT_SECONDS_MAX: Final = 3_600.0


class FinanceCalls:
    """Calls of finance, for AsyncClient and with it for Client."""

    _connection: Connection

    async def budgets(self, project: str = "") -> tuple[Budget, ...]:
        """The budgets of a project, or of all that the caller may see, by name."""

        async def fetch(token: str) -> pb.ListBudgetsResponse:
            request = pb.ListBudgetsRequest(project=project, page_size=_PAGE_SIZE, page_token=token)
            page: pb.ListBudgetsResponse = await self._connection.call(
                self._connection.books.ListBudgets, request
            )
            return page

        return tuple([Budget.from_proto(one) async for page in pages(fetch) for one in page.budgets])

    async def set_budget(
        self,
        limit: Money | Decimal | int | str,
        window: str = "month",
        *,
        project: str = "",
        label: tuple[str, str] | None = None,
        enforcement: str = "hard",
        alert_percents: Sequence[int] = (),
        etag: str = "",
        reason: str = "",
    ) -> Budget:
        """Create the budget of a project (and label value) for a window, or replace its settings.

        `window` is day, month or total, in UTC; `enforcement` hard or soft. With the `etag` that was read, a change by somebody
        else in between is a Conflict.
        """
        key, value = label or ("", "")
        budget = pb.Budget(
            project=project,
            label_key=key,
            label_value=value,
            window=wire.number(pb.BudgetWindow, window, "window"),
            enforcement=wire.number(pb.BudgetEnforcement, enforcement, "enforcement"),
            limit=usd(limit).proto,
            alert_percents=alert_percents,
            etag=etag,
        )
        answer: pb.SetBudgetResponse = await self._connection.call(
            self._connection.books.SetBudget, pb.SetBudgetRequest(budget=budget, reason=reason)
        )
        return Budget.from_proto(answer.budget)

    async def delete_budget(self, name: str, *, etag: str = "", reason: str = "") -> None:
        """End a budget by its name (`growth/month`); nothing happens when there is none."""
        request = pb.DeleteBudgetRequest(name=name, etag=etag, reason=reason)
        await self._connection.call(self._connection.books.DeleteBudget, request)

    async def statement(self, month: str, *, project: str = "") -> Statement:
        """The account of a project for a UTC month such as `2026-11`."""
        request = pb.GetStatementRequest(month=month, project=project)
        answer: pb.GetStatementResponse = await self._connection.call(
            self._connection.books.GetStatement, request
        )
        return Statement.from_proto(answer)

    async def export_focus(
        self,
        path: str | os.PathLike[str],
        *,
        month: str = "",
        start: datetime | None = None,
        end: datetime | None = None,
        project: str = "",
        as_of: datetime | None = None,
    ) -> FocusFile:
        """Write the costs of a month, or from `start` up to `end`, in FOCUS columns: as CSV, or as Parquet where the path ends in
        `.parquet` (needs the extra `parquet`, else ModuleNotFoundError before anything is asked for).

        The file appears only when the export arrived whole and its checksum is right; AssetCorrupt says that it did not.
        """
        request = pb.ExportFocusRequest(range=span_of(month, start, end), project=project)
        if as_of is not None:
            request.as_of_time.CopyFrom(wire.as_timestamp(as_of))
        target = Path(path)
        in_parquet = target.suffix == ".parquet"
        if in_parquet:
            require_parquet()
        part, whole = (target.with_name(f"{target.name}.{word}") for word in ("part", "whole"))
        try:
            written, columns = await self._write_focus(request, part)
            if in_parquet:
                await asyncio.to_thread(write_parquet, part, whole, columns)
            await asyncio.to_thread((whole if in_parquet else part).replace, target)
        finally:
            for file in (part, whole):
                with suppress(FileNotFoundError):
                    file.unlink()
        return written

    async def _write_focus(
        self, request: pb.ExportFocusRequest, part: Path
    ) -> tuple[FocusFile, tuple[str, ...]]:
        digest = hashlib.sha256()
        header, trailer = None, None
        stream = self._connection.open(
            self._connection.books.ExportFocus, request, seconds=_EXPORT_SECONDS_MAX
        )
        with part.open("wb") as file:
            try:
                async for message in stream:
                    kind = message.WhichOneof("part")
                    if kind == "header":
                        header = message.header
                    elif kind == "chunk":
                        digest.update(message.chunk)
                        await asyncio.to_thread(file.write, message.chunk)
                    elif kind == "trailer":
                        trailer = message.trailer
            except grpc.aio.AioRpcError as error:
                raise verdict(error).error from error
        if header is None or trailer is None or trailer.sha256 != digest.hexdigest():
            raise AssetCorrupt("the export did not arrive whole; nothing was kept of it")
        written = FocusFile(
            focus_version=header.focus_version,
            row_count=trailer.row_count,
            billed_cost=Money.from_proto(trailer.billed_cost),
            sha256=trailer.sha256,
            as_of_time=wire.time(header, "as_of_time"),
        )
        return written, tuple(header.columns)

    async def reconciliations(
        self,
        *,
        provider: str = "",
        start: datetime | None = None,
        end: datetime | None = None,
        limit: int = _PAGE_SIZE,
    ) -> tuple[Reconciliation, ...]:
        """Comparisons of the ledger with the providers' bills, newest first, at most `limit`."""
        request = pb.ListReconciliationsRequest(provider=provider, page_size=min(limit, _PAGE_SIZE))
        _put_range(request.range, start, end)
        found: list[Reconciliation] = []

        async def fetch(token: str) -> pb.ListReconciliationsResponse:
            request.page_token = token
            page: pb.ListReconciliationsResponse = await self._connection.call(
                self._connection.books.ListReconciliations, request
            )
            return page

        async for page in pages(fetch):
            found += [Reconciliation.from_proto(one) for one in page.reconciliations]
            if len(found) >= limit:
                break
        return tuple(found[:limit])

    async def discrepancies(
        self,
        *,
        provider: str = "",
        sides: Sequence[str] = (),
        start: datetime | None = None,
        end: datetime | None = None,
        include_resolved: bool = False,
        limit: int = _PAGE_SIZE,
    ) -> tuple[Discrepancy, ...]:
        """Charges that a bill and the ledger disagree about, newest first, at most `limit`. Sides: ledger, provider, amount."""
        request = pb.ListDiscrepanciesRequest(
            provider=provider, include_resolved=include_resolved, page_size=min(limit, _PAGE_SIZE)
        )
        request.sides.extend(wire.number(pb.DiscrepancySide, side, "side") for side in sides)
        _put_range(request.range, start, end)
        found: list[Discrepancy] = []

        async def fetch(token: str) -> pb.ListDiscrepanciesResponse:
            request.page_token = token
            page: pb.ListDiscrepanciesResponse = await self._connection.call(
                self._connection.books.ListDiscrepancies, request
            )
            return page

        async for page in pages(fetch):
            found += [Discrepancy.from_proto(one) for one in page.discrepancies]
            if len(found) >= limit:
                break
        return tuple(found[:limit])


def _put_range(field: pb.TimeRange, start: datetime | None, end: datetime | None) -> None:
    if start is not None:
        field.start_time.CopyFrom(wire.as_timestamp(start))
    if end is not None:
        field.end_time.CopyFrom(wire.as_timestamp(end))
