"""ListBudgets, SetBudget and DeleteBudget on the wire, with the real use case on a store in memory."""

from typing import Any

import pytest
from lightmeter.v1 import ledger_service_pb2 as pb
from lightmeter.v1 import money_pb2

from service.domain.budget import window_end, window_start
from service.domain.limits import MICROS_PER_SECOND, alert_percents_count_max
from service.domain.records import Period
from service.rpc.identity import Caller, Role
from tests.rpc.rig import Rig, opened, refused

DAY, MONTH = pb.BUDGET_WINDOW_DAY, pb.BUDGET_WINDOW_MONTH
HARD, SOFT = pb.BUDGET_ENFORCEMENT_HARD, pb.BUDGET_ENFORCEMENT_SOFT


class Ordinary:
    """Callers without the admin's role."""

    def identify(self, context: object) -> Caller:
        """Always the same."""
        return Caller("growth", Role.CALLER)


def usd(nanos: int) -> money_pb2.Money:
    """An amount."""
    return money_pb2.Money(currency_code="USD", amount_nanos=nanos)


def budget(**fields: Any) -> pb.Budget:
    """A hard monthly budget of one dollar for the project growth."""
    return pb.Budget(
        **{"project": "growth", "window": MONTH, "enforcement": HARD, "limit": usd(10**9)} | fields
    )


async def put(rig: Rig, **fields: Any) -> pb.Budget:
    """Set a budget."""
    answer = await rig.books.SetBudget(pb.SetBudgetRequest(budget=budget(**fields)), timeout=5)
    return answer.budget


async def test_a_budget_is_set_and_listed_with_its_window(rig: Rig) -> None:
    """What was set is answered and listed: name, limit, thresholds, nothing spent, and the UTC month's two ends."""
    set_one = await put(rig, alert_percents=[50, 90])
    listed = (await rig.books.ListBudgets(pb.ListBudgetsRequest(project="growth"), timeout=5)).budgets
    assert [set_one] == list(listed)
    assert ("growth/month", 10**9, [50, 90], 0, 0, "default") == (
        set_one.name, set_one.limit.amount_nanos, list(set_one.alert_percents),
        set_one.spent.amount_nanos, set_one.held.amount_nanos, set_one.updater,
    )  # fmt: skip
    start = window_start(Period.MONTH, rig.clock.now())
    assert start == set_one.window_start_time.ToMicroseconds()
    assert window_end(Period.MONTH, start) == set_one.window_end_time.ToMicroseconds()


async def test_a_label_budget_has_the_label_in_its_name(rig: Rig) -> None:
    """Project, label and window make the name; another window or value is another budget."""
    await put(rig, label_key="team", label_value="ads/eu", window=DAY)
    await put(rig, label_key="team", label_value="ads/eu", window=pb.BUDGET_WINDOW_TOTAL)
    listed = (await rig.books.ListBudgets(pb.ListBudgetsRequest(), timeout=5)).budgets
    assert ["growth/team=ads/eu/day", "growth/team=ads/eu/total"] == [one.name for one in listed]
    assert not listed[1].HasField("window_start_time")
    assert not listed[1].HasField("window_end_time")


async def test_setting_again_replaces_and_moves_the_etag(rig: Rig) -> None:
    """The same project, label and window is the same budget; each change makes another etag, no change the same."""
    first = await put(rig)
    second = await put(rig, limit=usd(5), enforcement=SOFT)
    third = await put(rig, limit=usd(5), enforcement=SOFT)
    assert first.etag != second.etag == third.etag
    assert (5, SOFT) == (second.limit.amount_nanos, second.enforcement)


async def test_an_old_etag_changes_nothing(rig: Rig) -> None:
    """Setting and deleting with an etag that is not the newest fail with ABORTED, ETAG_MISMATCH."""
    first = await put(rig)
    await put(rig, limit=usd(5))
    stale = pb.SetBudgetRequest(budget=budget(limit=usd(7), etag=first.etag))
    for call in (
        rig.books.SetBudget(stale, timeout=5),
        rig.books.DeleteBudget(pb.DeleteBudgetRequest(name=first.name, etag=first.etag), timeout=5),
    ):
        refusal = await refused(call)
        assert ("ABORTED", "ERROR_REASON_ETAG_MISMATCH") == (refusal.code, refusal.reason)
    [kept] = (await rig.books.ListBudgets(pb.ListBudgetsRequest(), timeout=5)).budgets
    assert 5 == kept.limit.amount_nanos


async def test_a_deleted_budget_is_gone_and_its_audit_stays(rig: Rig) -> None:
    """Deleting ends it, deleting again is OK, and both the setting and the ending are in the audit with who and why."""
    name = (await put(rig)).name
    request = pb.DeleteBudgetRequest(name=name, reason="year ends")
    await rig.books.DeleteBudget(request, timeout=5)
    await rig.books.DeleteBudget(request, timeout=5)
    assert not (await rig.books.ListBudgets(pb.ListBudgetsRequest(), timeout=5)).budgets
    changes = rig.store.tables.budget_changes
    assert [("default", ""), ("default", "year ends")] == [(one.by, one.reason) for one in changes]


async def test_pages_of_budgets_follow_one_another(rig: Rig) -> None:
    """Pages by name, without gaps; a token of another query is refused."""
    for project in ("c", "a", "b"):
        await put(rig, project=project)
    first = await rig.books.ListBudgets(pb.ListBudgetsRequest(page_size=2), timeout=5)
    second = await rig.books.ListBudgets(
        pb.ListBudgetsRequest(page_size=2, page_token=first.next_page_token), timeout=5
    )
    assert [["a/month", "b/month"], ["c/month"]] == [
        [one.name for one in page.budgets] for page in (first, second)
    ]
    assert not second.next_page_token
    other = pb.ListBudgetsRequest(project="a", page_token=first.next_page_token)
    assert (
        "ERROR_REASON_PAGE_TOKEN_INVALID" == (await refused(rig.books.ListBudgets(other, timeout=5))).reason
    )


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"project": "No Name"}, "budget.project"),
        ({"window": 0}, "budget.window"),
        ({"window": 9}, "budget.window"),
        ({"enforcement": 0}, "budget.enforcement"),
        ({"limit": None}, "budget.limit"),
        ({"limit": usd(-1)}, "budget.limit.amount_nanos"),
        ({"limit": money_pb2.Money(currency_code="EUR", amount_nanos=1)}, "budget.limit.currency_code"),
        ({"label_key": "team"}, "budget.label_value"),
        ({"label_value": "ads"}, "budget.label_value"),
        ({"label_key": "Team", "label_value": "ads"}, "budget.label_key"),
        ({"label_key": "team", "label_value": "x" * 129}, "budget.label_value"),
        ({"alert_percents": [0]}, "budget.alert_percents[0]"),
        ({"alert_percents": [90, 50]}, "budget.alert_percents"),
        ({"alert_percents": list(range(1, alert_percents_count_max + 2))}, "budget.alert_percents"),
        ({"etag": "x"}, "budget.etag"),
    ],
)  # fmt: skip
async def test_a_malformed_budget_is_refused_by_its_field(
    rig: Rig, fields: dict[str, Any], path: str
) -> None:
    """INVALID_ARGUMENT with the field's path, and nothing is written."""
    request = pb.SetBudgetRequest(budget=budget(**fields))
    refusal = await refused(rig.books.SetBudget(request, timeout=5))
    assert ("INVALID_ARGUMENT", "ERROR_REASON_FIELD_INVALID") == (refusal.code, refusal.reason)
    assert path in refusal.fields
    assert not rig.store.tables.budgets


async def test_only_an_admin_sets_and_ends_budgets_and_sees_others() -> None:
    """A caller sees the own project's budgets; other projects, setting and ending are ROLE_INSUFFICIENT."""
    async with opened(callers=Ordinary()) as rig:
        calls = (
            rig.books.SetBudget(pb.SetBudgetRequest(budget=budget()), timeout=5),
            rig.books.DeleteBudget(pb.DeleteBudgetRequest(name="growth/month"), timeout=5),
            rig.books.ListBudgets(pb.ListBudgetsRequest(project="other"), timeout=5),
        )
        for call in calls:
            refusal = await refused(call)
            assert ("PERMISSION_DENIED", "ADMIN") == (refusal.code, refusal.metadata["requiredRole"])
        assert not (await rig.books.ListBudgets(pb.ListBudgetsRequest(), timeout=5)).budgets


async def test_a_window_of_yesterday_is_not_shown_as_today(rig: Rig) -> None:
    """A budget that was not touched today shows an empty window of today."""
    await put(rig, window=DAY)
    [state] = rig.store.tables.budgets.values()
    yesterday = window_start(Period.DAY, rig.clock.now() - 24 * 3_600 * MICROS_PER_SECOND)
    key = (state.id, yesterday)
    old = next(iter(rig.store.tables.windows.values()))
    rig.store.tables.windows.clear()
    rig.store.tables.windows[key] = type(old)(state.id, yesterday, 5, 6, 0, 0)
    [shown] = (await rig.books.ListBudgets(pb.ListBudgetsRequest(), timeout=5)).budgets
    assert (0, 0) == (shown.spent.amount_nanos, shown.held.amount_nanos)
