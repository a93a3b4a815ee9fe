"""Messages of jobs and receipts, with the few transfers that an exact receipt needs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from lightmeter.v1 import job_pb2, money_pb2

from service.domain.limits import page_size_max
from service.domain.queries import TransferQuery
from service.domain.view import JobView
from service.ports import Blobs, LedgerReader
from service.rpc.job_out import job_message
from service.rpc.money_out import Posted, is_corrected, own_attempts, posted_by_source, receipt

_NOTHING: Final[Mapping[str, Posted]] = {}


class Receipts:
    """Writes jobs. Reads the ledger only for a job with a correction, which is one in many."""

    def __init__(self, ledger: LedgerReader, blobs: Blobs) -> None:
        self._ledger = ledger
        self._blobs = blobs

    async def job(self, view: JobView, *, full: bool = False) -> job_pb2.Job:
        """The job's message. May raise StoreUnavailable."""
        return job_message(view, self._blobs, full=full, posted=await self._posted(view))

    async def receipt(self, view: JobView) -> money_pb2.Receipt:
        """The job's receipt alone. May raise StoreUnavailable."""
        return receipt(view, await self._posted(view))

    async def _posted(self, view: JobView) -> Mapping[str, Posted]:
        if not any(is_corrected(one) for one in own_attempts(view)):
            return _NOTHING
        # Three attempts and their corrections are far fewer rows than a page holds.
        query = TransferQuery(project=view.job.project, limit=page_size_max, job_id=view.job.id)
        return posted_by_source((await self._ledger.transfers(query)).transfers)
