"""fal's and Replicate's books and webhook checks keep their contracts, against the sandbox that plays them."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.contract.provider_records_contract import BillsContract, RecordsContract
from tests.contract.provider_webhooks_contract import WebhookContract
from tests.providers.books_rig import BooksRig, fal_books, replicate_books


class TestFal(RecordsContract, BillsContract, WebhookContract):
    """FalRecords and FalWebhooks."""

    @pytest.fixture
    async def books(self) -> AsyncIterator[BooksRig]:
        """fal, at once."""
        async with fal_books() as one:
            yield one

    @pytest.fixture
    async def slow_books(self) -> AsyncIterator[BooksRig]:
        """fal, at its pace."""
        async with fal_books(instant=False) as one:
            yield one


class TestReplicate(RecordsContract, BillsContract, WebhookContract):
    """ReplicateRecords and ReplicateWebhooks."""

    @pytest.fixture
    async def books(self) -> AsyncIterator[BooksRig]:
        """Replicate, at once."""
        async with replicate_books() as one:
            yield one

    @pytest.fixture
    async def slow_books(self) -> AsyncIterator[BooksRig]:
        """Replicate, at its pace."""
        async with replicate_books(instant=False) as one:
            yield one
