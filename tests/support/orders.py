"""Commands for tests of the store: requests with made-up content, and what a run of one hands in, step by step."""

import hashlib
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from service.domain import commands as c
from service.domain.catalog import FailureCharge
from service.domain.price import PriceSnapshot
from service.domain.price_rules import PerImage
from service.domain.records import Asset, AssetState, Period
from service.domain.routing import PlannedRoute
from service.ports import Dice, Store
from tests.support.clock import SeededDice

CEILING_NANOS = 40_000_000
"""What every made-up request holds, and costs."""

PRICE = PriceSnapshot("made-up", "1", "https://prices.invalid/", "2026-01-01", PerImage(Decimal("0.04")))
PRICE_JSON = replace(PRICE, metric_prices=(("image_count", Decimal("0.04")),)).to_json()


def route(provider: str = "fal", ceiling_nanos: int = CEILING_NANOS) -> PlannedRoute:
    """A route that charges 0.04 dollars a picture."""
    return PlannedRoute(
        provider=provider,
        route=f"{provider}-one",
        endpoint="house/one",
        ceiling_nanos=ceiling_nanos,
        expected_nanos=ceiling_nanos,
        price_json=PRICE_JSON,
        failure_charge=FailureCharge.NONE,
        images_max=1,
        run_seconds_max=120,
        start_timeout_seconds=600,
        takes_seed=True,
        time_priced=False,
    )


class Orders:
    """Makes commands. Ids come from the dice, everything else stays the same unless a test says so."""

    def __init__(
        self, dice: Dice | None = None, *, owner: str = "replica-1", project: str = "growth"
    ) -> None:
        self.dice = dice or SeededDice()
        self.owner = owner
        self.project = project

    def accept(self, subject: str = "a lighthouse", **changes: Any) -> c.Accept:
        """A request for a picture of the subject; the same subject has the same fingerprint."""
        project = changes.get("project", self.project)
        made = c.Accept(
            job_id=self.dice.new_id(),
            render_id=self.dice.new_id(),
            attempt_id=self.dice.new_id(),
            token=self.dice.new_token(),
            project=project,
            request_id=self.dice.new_id(),
            request_digest=".".join([sha(subject)[:8]] * 3),
            fingerprint=sha(subject),
            scope=project,
            cache_mode=c.CacheMode.USE,
            cache_max_age_micros=None,
            operation="GENERATE",
            model="house",
            content=f'{{"prompt":"{subject}"}}',
            image_count=1,
            plan=(route("fal"), route("replicate")),
            fresh_micros=None,
            owner=self.owner,
        )
        return replace(made, **changes)

    def budget(self, limit_nanos: int, **changes: Any) -> c.SetBudget:
        """A hard budget per month on the whole project."""
        made = c.SetBudget(
            budget_id=self.dice.new_id(),
            change_id=self.dice.new_id(),
            project=self.project,
            label_key="",
            label_value="",
            period=Period.MONTH,
            limit_nanos=limit_nanos,
            hard=True,
            alert_percents=(80, 100),
            by="tests",
        )
        return replace(made, **changes)


@dataclass(frozen=True)
class Steps:
    """What the owner of a new render hands in, in order, until its picture is stored."""

    accept: c.Accept

    @property
    def _fence(self) -> dict[str, Any]:
        a = self.accept
        return {"render_id": a.render_id, "attempt_id": a.attempt_id, "owner": a.owner, "fence": 1}

    def dispatch(self) -> c.Dispatch:
        """Mark it as about to be sent."""
        return c.Dispatch(**self._fence, seed=7)

    def bind(self) -> c.BindProviderId:
        """The provider took it."""
        return c.BindProviderId(self.accept.attempt_id, "fal", f"fal-{self.accept.attempt_id}")

    def progress(self) -> c.Progress:
        """It runs."""
        return c.Progress(**self._fence, state="RUNNING", progress='{"fraction":0.5}')

    def unknown(self) -> c.MarkUnknown:
        """Nobody knows whether the provider took it."""
        return c.MarkUnknown(**self._fence, cause="timeout")

    def unconfirmed(self) -> c.ResolveUnconfirmed:
        """Give up on it."""
        return c.ResolveUnconfirmed(**self._fence)

    def result(self) -> c.RecordResult:
        """The provider has a picture."""
        return c.RecordResult(
            self.accept.attempt_id,
            ended="SUCCEEDED",
            images_count=1,
            metrics=(("image_count", "1"),),
            result='{"outputs":[]}',
            run_seconds=1.5,
        )

    def finish(self, picture: Asset | None = None) -> c.Finish:
        """The picture is stored."""
        return c.Finish(**self._fence, assets=((0, picture or asset(self.accept.fingerprint), False),))

    def fail(self, failure: Any, **changes: Any) -> c.Fail:
        """No picture came."""
        return c.Fail(**self._fence, failure=failure, **changes)

    def all(self) -> list[c.Command]:
        """Every step of a run that goes well."""
        return [self.accept, self.dispatch(), self.bind(), self.progress(), self.result(), self.finish()]


async def draw(store: Store, accept: c.Accept) -> None:
    """Carry a new request out to its stored picture."""
    for command in Steps(accept).all():
        await store.execute(command)


def asset(seed: str) -> Asset:
    """A stored picture whose bytes are named by the seed."""
    return Asset(sha(seed), "png", "image/png", 1_234, 1024, 1024, False, "#336699", AssetState.PRESENT, 0)


def sha(text: str) -> str:
    """The SHA-256 of a text, in hex."""
    return hashlib.sha256(text.encode()).hexdigest()
