"""What every reader of paid renders promises; `test_paid.py` binds it."""

from dataclasses import replace

from service.domain.queries import PaidQuery
from service.domain.whatif import PaidRender
from service.ports import PaidReader, Store
from tests.contract.bench import FAILURE
from tests.support.orders import CEILING_NANOS, PRICE_JSON, Orders, Steps, draw

EVER = 2**60


class PaidContract:
    """The suite. The store is empty at the start."""

    async def test_what_was_drawn_and_paid_is_read(self, store: Store, paid: PaidReader) -> None:
        """With its project, model, route, price, request and net amount; what is open, refused or elsewhere is not."""
        orders = Orders()
        accept = orders.accept("drawn")
        await draw(store, accept)
        await store.execute(orders.accept("open"))
        (found,) = await paid.paid(PaidQuery("fal", 0, EVER, 10))
        expected = PaidRender(
            attempt_id=accept.attempt_id,
            usage_at=found.usage_at,
            project="growth",
            model="house",
            provider="fal",
            route="fal-one",
            operation="GENERATE",
            price=PRICE_JSON,
            net_nanos=CEILING_NANOS,
            content=accept.content,
        )
        assert expected == found
        assert () == await paid.paid(PaidQuery("replicate", 0, EVER, 10))

    async def test_filters_and_range_narrow_it(self, store: Store, paid: PaidReader) -> None:
        """Each filter by itself; the range is half-open."""
        orders = Orders()
        for subject, project, model in (
            ("a", "growth", "house"),
            ("b", "ads", "house"),
            ("c", "ads", "tree"),
        ):
            await draw(store, replace(orders.accept(subject, project=project, scope=project), model=model))

        async def count(**changes: object) -> int:
            return len(await paid.paid(replace(PaidQuery("fal", 0, EVER, 10), **changes)))  # type: ignore[arg-type]  # by name

        every = await paid.paid(PaidQuery("fal", 0, EVER, 10))
        assert [3, 1, 2, 3] == [
            await count(),
            await count(projects=("growth",)),
            await count(projects=("ads", "others")),
            await count(projects=("ads", "growth")),
        ]
        assert [2, 3, 0] == [
            await count(models=("house",)),
            await count(routes=("fal-one",), operations=("GENERATE",)),
            await count(operations=("EDIT",)),
        ]
        first, last = every[0].usage_at, every[-1].usage_at
        assert (len([one for one in every if one.usage_at < last]), 3) == (
            await count(used_before=last),
            await count(used_from=first, used_before=last + 1),
        )

    async def test_pages_follow_one_another(self, store: Store, paid: PaidReader) -> None:
        """By time and id, nothing twice and nothing left out."""
        orders = Orders()
        for number in range(5):
            await draw(store, orders.accept(f"subject {number}"))
        query, seen = PaidQuery("fal", 0, EVER, 2), []
        while page := await paid.paid(query):
            assert len(page) <= 2
            seen += page
            query = replace(query, after=(page[-1].usage_at, page[-1].attempt_id))
        assert list(await paid.paid(PaidQuery("fal", 0, EVER, 10))) == seen
        assert 5 == len({one.attempt_id for one in seen})

    async def test_what_failed_is_left_out(self, store: Store, paid: PaidReader) -> None:
        """Even where it was charged: it cannot be told whether it would fail elsewhere."""
        orders = Orders()
        steps = Steps(orders.accept("failed"))
        failed = replace(steps.result(), ended="FAILED", failure=FAILURE)
        for command in (steps.accept, steps.dispatch(), steps.bind(), failed):
            await store.execute(command)
        assert () == await paid.paid(PaidQuery("fal", 0, EVER, 10))

    async def test_versions_of_prices_are_counted_by_route(self, store: Store, paid: PaidReader) -> None:
        """By what was held, drawn or not; with the newest use; nothing from before."""
        orders = Orders()
        for subject in ("a", "b"):
            await draw(store, orders.accept(subject))
        await store.execute(orders.accept("open", model="tree"))
        found = await paid.priced_with(0)
        assert [("house", "fal", "fal-one", "1", 2), ("tree", "fal", "fal-one", "1", 1)] == [
            (one.model, one.provider, one.route, one.version, one.count) for one in found
        ]
        newest = await paid.paid(PaidQuery("fal", 0, EVER, 10))
        assert newest[-1].usage_at == found[0].used_at
        assert () == await paid.priced_with(EVER)
