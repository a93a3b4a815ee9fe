"""The configuration file: budgets, and rules for labels and the cache, as checked values.

A mistake is named by its place in the file. `service.settings` says which file, and reads everything else.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Final, Literal, Self

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from service.domain import limits
from service.domain.money import NANOS_MAX, NANOS_PER_USD, usd_from_nanos
from service.domain.storage_price import StoragePrice

PREFIX: Final = "LIGHTMETER_"
CONFIG_BYTES_MAX: Final = 1024 * 1024

_USD: Final = re.compile(r"\d{1,10}(\.\d{1,9})?")


class SettingsInvalid(Exception):
    """The settings cannot be used. One line per mistake, each beginning with the variable or the place in
    the file.
    """

    def __init__(self, lines: Iterable[str]) -> None:
        self.lines = tuple(lines)
        super().__init__("\n".join(self.lines))


def sentence(message: str) -> str:
    """pydantic's words for a mistake, without its prefix."""
    return message.removeprefix("Value error, ")


def _usd_decimal(value: object) -> object:
    """The same, as a price."""
    nanos = _usd_nanos(value)
    return usd_from_nanos(nanos) if isinstance(nanos, int) else nanos


def _usd_nanos(value: object) -> object:
    """An exact amount in dollars, as text: YAML would read `0.10` as a binary fraction."""
    text = value if isinstance(value, str) else str(value) if type(value) is int else ""
    if not _USD.fullmatch(text):
        raise ValueError('write dollars in quotes, with at most nine decimals, such as "25.00"')
    nanos = int(Decimal(text) * NANOS_PER_USD)
    if nanos > NANOS_MAX:
        raise ValueError("is more than the ledger can hold")
    return nanos


UsdDecimal = Annotated[Decimal, BeforeValidator(_usd_decimal)]
UsdNanos = Annotated[int, BeforeValidator(_usd_nanos)]
LabelKey = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_.-]{0,62}$")]
Project = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")]


class _Strict(BaseModel):
    """A part of the file: unknown keys are mistakes."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class LabelMatch(_Strict):
    """A budget counts only jobs with this label."""

    key: LabelKey
    value: str = Field(min_length=1, max_length=limits.label_value_bytes_max)


class BudgetRule(_Strict):
    """One budget: who pays, over which UTC window, how much, and whether more is refused or only reported."""

    project: Project
    label: LabelMatch | None = None
    window: Literal["day", "month", "total"]
    limit_nanos: UsdNanos = Field(alias="limit_usd")
    enforcement: Literal["hard", "soft"] = "hard"
    alert_percents: tuple[Annotated[int, Field(ge=1, le=1000)], ...] = (50, 80, 100)


class StorageRule(_Strict):
    """What keeping pictures costs; by default Cloudflare's price list. Counts only where pictures are in a bucket."""

    gb_month_usd: UsdDecimal = Decimal("0.015")
    million_writes_usd: UsdDecimal = Decimal("4.50")
    free_gb_months: Annotated[int, Field(ge=0, le=1_000_000)] = 10
    free_writes: Annotated[int, Field(ge=0, le=10**12)] = 1_000_000

    @property
    def price(self) -> StoragePrice:
        """As a price. Its version says whether it is the published one."""
        price = StoragePrice(
            self.gb_month_usd, self.million_writes_usd, Decimal(self.free_gb_months), self.free_writes
        )
        return price if price == StoragePrice() else replace(price, version="r2/configured")


class Rules(_Strict):
    """What the file says. An absent file is the same as an empty one."""

    budgets: tuple[BudgetRule, ...] = ()
    required_labels: dict[Project, tuple[LabelKey, ...]] = {}
    """Project → labels that its requests must carry."""
    reporting_labels: dict[
        Project, Annotated[tuple[LabelKey, ...], Field(max_length=limits.reporting_labels_count_max)]
    ] = {}
    """Project → labels by which its costs can be summed, from the day on which a key is named."""
    cache_ttl_seconds: Annotated[int, Field(ge=0, le=10 * 365 * 24 * 3600)] = limits.cache_seconds_default
    """How long a picture drawn without a seed answers equal requests."""

    unpriced: dict[Project, UsdNanos] = {}
    """Project → what a request may hold at a route whose price is not known; without an entry it is refused."""

    storage: StorageRule = StorageRule()

    @model_validator(mode="after")
    def _unpriced_is_never_free(self) -> Self:
        for project, nanos in self.unpriced.items():
            if not nanos:
                raise ValueError(f"unpriced.{project}: a missing price is never 0")
        return self

    @model_validator(mode="after")
    def _budgets_differ(self) -> Self:
        seen: set[tuple[str, str, str, str]] = set()
        for budget in self.budgets:
            label = (budget.label.key, budget.label.value) if budget.label else ("", "")
            key = (budget.project, *label, budget.window)
            if key in seen:
                raise ValueError(f"two budgets of {budget.project} count the same {budget.window}")
            seen.add(key)
        return self


def read_rules(path: Path) -> Rules:
    """Read and check the file. Raises SettingsInvalid."""
    try:
        with path.open("rb") as file:
            text = file.read(CONFIG_BYTES_MAX + 1)
        if len(text) > CONFIG_BYTES_MAX:
            raise SettingsInvalid([f"{path}: is larger than {CONFIG_BYTES_MAX:,} bytes"])
        content = yaml.safe_load(text)
    except OSError as error:
        raise SettingsInvalid([f"{PREFIX}CONFIG: {path}: {error.strerror}"]) from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SettingsInvalid([f"{path}: is not YAML: {' '.join(str(error).split())}"]) from None
    if content is None:
        return Rules()
    try:
        return Rules.model_validate(content)
    except ValidationError as error:
        mistakes = error.errors(include_input=False, include_url=False, include_context=False)
        raise SettingsInvalid(
            f"{path}: {'.'.join(map(str, mistake['loc'])) or 'the file'}: {sentence(mistake['msg'])}"
            for mistake in mistakes
        ) from None
