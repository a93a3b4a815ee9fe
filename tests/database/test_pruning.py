"""What retention removes from a database and what it must leave, row by row: texts, flights, evidence, what others hold."""

import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from service.clock import SystemClock
from service.database import pruning
from service.database.emptied import emptied_failure, emptied_notices, emptied_progress, emptied_result
from service.database.engine import Address
from service.database.open import Database, open_database
from service.domain import commands as c
from service.domain.records import AssetState
from service.ports import Clock
from tests.contract.bench import DAY_SECONDS, FAILURE
from tests.database.ageing import age
from tests.database.rows import all_rows
from tests.support.clock import SeededDice
from tests.support.orders import Orders, Steps, asset, draw
from tests.support.postgres import emptied_database, postgres_folder

__all__ = ["postgres_folder"]

DAY_MICROS = int(DAY_SECONDS) * 1_000_000


@pytest.fixture(params=["file", "server"])
def url(request: pytest.FixtureRequest, tmp_path: Path, postgres_folder: Path) -> Iterator[str]:
    """A database without a row, on either engine."""
    if request.param == "file":
        yield f"sqlite:///{tmp_path}/books.db"
    else:
        with emptied_database(postgres_folder) as url:
            yield url


class Old:
    """A database whose rows can be made old."""

    def __init__(self, database: Database, url: str, clock: Clock) -> None:
        self.database = database
        self.url = url
        self.orders = Orders(SeededDice(9))
        self._clock = clock

    async def run(self, *commands: c.Command) -> Any:
        """Carry them out. Answers the last outcome."""
        outcome = None
        for command in commands:
            outcome = await self.database.store.execute(command)
        return outcome

    async def age(self, days: float) -> None:
        """Let days pass."""
        await age(Address(self.url), days * DAY_SECONDS)

    async def prune(self, days: float = 30, limit: int = 100) -> c.Pruned:
        """Remove everything older than these days."""
        before = int(self._clock.now() - days * DAY_MICROS)
        pruned = await self.run(c.Prune(before, before, before, limit))
        assert isinstance(pruned, c.Pruned)
        return pruned

    def counts(self) -> dict[str, int]:
        """How many rows each table has."""
        return {name: len(rows) for name, rows in all_rows(self.url).items()}

    def row(self, table: str, key: str) -> dict[str, Any]:
        """A row by its id."""
        return next(row for row in all_rows(self.url)[table] if row["id"] == key)


@pytest.fixture
async def old(url: str) -> AsyncIterator[Old]:
    clock = SystemClock()
    database = open_database(url, clock, lambda: 0.0)
    await database.start()
    try:
        yield Old(database, url, clock)
        assert () == await database.ledger.verify()
    finally:
        await database.stop()


def test_texts_keep_their_figures() -> None:
    """Seed, evidence, seconds and codes stay; prompts, URLs and what a provider said go."""
    outputs = [{"url": "https://x.invalid/1", "flagged": True}]
    told = {"outputs": outputs, "seed": 7, "notices": ["a lighthouse"], "metrics": {"image_count": "1"}}
    assert {
        "seed": 7,
        "metrics": {"image_count": "1"},
        "outputs": [{"url": "", "flagged": True}],
    } == json.loads(emptied_result(json.dumps(told)) or "")
    assert emptied_result(None) is None
    notices = [
        {"code": "PROMPT_REWRITTEN", "message": "a lighthouse"},
        {"code": "FEWER_IMAGES", "message": "1"},
    ]
    assert notices[1:] == json.loads(emptied_notices(json.dumps(notices)))
    assert "[]" == emptied_notices(json.dumps(notices[:1])) == emptied_notices("[]")
    assert '{"store_seconds":1}' == emptied_progress("SUCCEEDED", '{"store_seconds":1}')
    assert "{}" == emptied_progress("FAILED", '{"last_log":"a lighthouse"}')
    failure = {"reason": "NO_IMAGES", "provider_message": "no lighthouses"}
    assert {"reason": "NO_IMAGES", "provider_message": ""} == json.loads(
        emptied_failure(json.dumps(failure)) or ""
    )
    assert emptied_failure(None) is None


async def test_what_was_asked_and_said_is_emptied_everywhere(old: Old) -> None:
    """Content, inputs, the provider's texts on attempts and jobs; the plan stays, for late evidence is judged by it."""
    given = asset("given")
    accept = old.orders.accept(operation="EDIT", inputs=(("IMAGE", 0, given.sha256),), input_assets=(given,))
    told = replace(FAILURE, provider_message="no lighthouses")
    steps = Steps(accept)
    failed = replace(steps.result(), ended="FAILED", failure=told, result='{"outputs":[],"notices":["x"]}')
    progress = replace(steps.progress(), progress='{"last_log":"a lighthouse"}')
    await old.run(accept, steps.dispatch(), steps.bind(), progress, failed, steps.fail(told, failover=False))
    await old.age(31)
    before = old.row("renders", accept.render_id)
    await old.run(c.Prune(SystemClock().now() - 30 * DAY_MICROS, 0, 0, 10))
    text = json.dumps(
        [
            old.row("renders", accept.render_id),
            old.row("attempts", accept.attempt_id),
            old.row("jobs", accept.job_id),
        ]
    )
    assert "lighthouse" not in text
    assert before["plan"] == old.row("renders", accept.render_id)["plan"]
    assert 0 == old.counts()["render_inputs"]
    view = await old.database.jobs.view(accept.job_id)
    assert view is not None
    assert view.job.failure is not None
    assert (FAILURE.message, "") == (view.job.failure.message, view.job.failure.provider_message)


async def test_everything_of_an_old_job_goes_but_its_money(old: Old) -> None:
    """Job, labels, render, pictures' places, flight and events; never attempts, ids, journal, holds, totals."""
    await old.run(old.orders.budget(10**12))
    accept = old.orders.accept(labels=(("team", "ads"),), fresh_micros=DAY_MICROS)
    await draw(old.database.store, accept)
    lost = old.orders.accept("a boat")
    await old.run(lost, Steps(lost).dispatch(), Steps(lost).unknown())
    await old.age(1)
    await old.run(Steps(lost).unconfirmed())
    kept = old.counts()
    await old.age(31)
    assert c.Pruned(2, 2, 2, 2) == await old.prune()
    found = old.counts()
    gone = {"jobs", "job_labels", "renders", "render_assets", "flights", "events"}
    assert dict.fromkeys(gone, 0) == {name: found[name] for name in gone}
    assert {name: count for name, count in kept.items() if name not in gone} == {
        name: count for name, count in found.items() if name not in gone
    }
    assert c.Pruned(0, 0, 0, 0) == await old.prune()


async def test_a_picture_that_answers_stays_until_it_does_no_more(old: Old) -> None:
    """Kept for ever it is found long after every job has gone; kept for a time, it goes in a later turn."""
    for_ever = old.orders.accept("for ever")
    timed = old.orders.accept("timed", fresh_micros=60 * DAY_MICROS)
    for accept in (for_ever, timed):
        await draw(old.database.store, accept)
    await old.age(31)
    assert c.Pruned(2, 0, 2, 0) == await old.prune()
    assert 2 == old.counts()["flights"]
    await old.age(31)
    assert c.Pruned(0, 0, 0, 1) == await old.prune()
    picture = asset(for_ever.fingerprint)
    await old.run(c.MarkSeen((picture.sha256,)))
    found = await old.run(old.orders.accept("for ever"))
    assert isinstance(found, c.Hit)
    assert [(picture.sha256, AssetState.PRESENT)] == [(one.sha256, one.state) for _, one in found.view.assets]
    assert isinstance(await old.run(old.orders.accept("timed", fresh_micros=DAY_MICROS)), c.New)


async def test_a_render_that_may_just_have_answered_stays(old: Old) -> None:
    """Requests answered from the cache take no lock: one that went stale a moment ago is left until they have ended."""
    accept = old.orders.accept(fresh_micros=31 * DAY_MICROS)
    await draw(old.database.store, accept)
    await old.age(31)
    assert 0 == (await old.prune()).renders
    await old.age(pruning.prune_margin_seconds / DAY_SECONDS)
    assert 1 == (await old.prune()).renders


async def test_a_replaced_render_goes_while_its_successors_stay(old: Old) -> None:
    """After two refreshes the first picture is nobody's; the flight leads to the newest and remembers the one before it."""
    first = old.orders.accept()
    await draw(old.database.store, first)
    second, third = [old.orders.accept(cache_mode=c.CacheMode.REFRESH) for _ in range(2)]
    await draw(old.database.store, second)
    await draw(old.database.store, third)
    await old.age(31)
    pruned = await old.prune()
    assert (3, 1) == (pruned.jobs, pruned.renders)
    assert {second.render_id, third.render_id} == {row["id"] for row in all_rows(old.url)["renders"]}
    [flight] = all_rows(old.url)["flights"]
    assert (third.render_id, second.render_id) == (flight["render_id"], flight["good_render_id"])


async def test_a_flight_falls_back_to_its_good_render(old: Old) -> None:
    """When the failed refresh that it leads to is removed, it leads to the older picture, which still answers."""
    older = old.orders.accept()
    await draw(old.database.store, older)
    failed = old.orders.accept(cache_mode=c.CacheMode.REFRESH)
    await old.run(failed, Steps(failed).fail(FAILURE, failover=False))
    await old.age(31)
    assert 1 == (await old.prune()).renders
    [flight] = all_rows(old.url)["flights"]
    assert (older.render_id, None) == (flight["render_id"], flight["good_render_id"])


async def test_turns_reach_every_render(old: Old) -> None:
    """Ended renders that still answer do not keep those behind them from ever being looked at."""
    for number in range(4):
        await draw(old.database.store, old.orders.accept(f"for ever {number}"))
    timed = old.orders.accept("timed", fresh_micros=60 * DAY_MICROS)
    await draw(old.database.store, timed)
    await old.age(31)
    while (await old.prune(limit=2)).jobs:
        pass
    await old.age(61)
    turns = [(await old.prune(limit=2)).renders for _ in range(4)]
    assert 1 == sum(turns)
    assert 4 == old.counts()["renders"]


async def test_an_open_hold_keeps_its_job(old: Old) -> None:
    """Whatever a job's age, it stays while it is not settled."""
    accept = old.orders.accept()
    await old.run(accept, Steps(accept).dispatch(), Steps(accept).bind(), c.Cancel(accept.job_id, None))
    await old.age(100)
    await old.prune()
    assert await old.database.jobs.view(accept.job_id) is not None
