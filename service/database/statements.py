"""The texts of the loader's statements, built once per engine. Every one takes its keys as the JSON parameter `keys`."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Table

from service.database import ledger_tables as money
from service.database import tables as work
from service.database.dialect import Dialect, Upsert


class Statements:
    """SELECTs in the order of their key; those named `…_locked` also lock what they read, where the engine has locks."""

    def __init__(self, dialect: Dialect) -> None:
        self.dialect: Final = dialect
        d, lock = dialect, dialect.row_lock
        jobs, renders, attempts, flights = work.jobs.c, work.renders.c, work.attempts.c, work.flights.c

        def select(table: Table, where: str, order: str, suffix: str = "") -> str:
            return f"SELECT {d.columns(table)} FROM {table.name} WHERE {where} ORDER BY {order}{suffix}"

        by_id = d.keys(jobs.id)
        by_render = d.keys(attempts.render_id)
        waiting = f"{by_render} AND final_at IS NULL"
        self.jobs_by_request_id = select(work.jobs, d.keys(jobs.request_id), "id")
        self.jobs_locked = select(work.jobs, by_id, "id", lock)
        self.waiting_locked = select(work.jobs, waiting, "id", lock)
        self.render_of_job = f"SELECT id, render_id FROM jobs WHERE {by_id}"
        self.render_of_attempt = f"SELECT id, render_id FROM attempts WHERE {d.keys(attempts.id)}"

        self.flights_ahead = self._flights_ahead()
        self.flights = select(
            work.flights, d.keys(flights.scope, flights.fingerprint), "scope, fingerprint", lock
        )
        self.make_flights = d.insert(work.flights, Upsert(("scope", "fingerprint")))
        self.flights_of_renders = (
            "SELECT f.scope, f.fingerprint FROM renders AS r "
            "JOIN flights AS f ON f.scope = r.scope AND f.fingerprint = r.fingerprint "
            f"WHERE {d.keys(renders.id, prefix='r.')}"
        )

        self.renders = select(work.renders, d.keys(renders.id), "id")
        self.renders_locked = self.renders + lock
        self.projects_of_renders = f"SELECT DISTINCT project FROM renders WHERE {d.keys(renders.id)}"
        self.attempts = select(work.attempts, by_render, "id")
        self.attempts_locked = self.attempts + lock
        ids = work.provider_ids.c
        self.provider_ids = select(
            work.provider_ids, d.keys(ids.provider, ids.provider_id), "provider, provider_id"
        )

        self.assets_locked = select(work.assets, d.keys(work.assets.c.sha256), "sha256", lock)
        self.assets_of_renders = (
            f"SELECT {d.columns(work.render_assets, 'ra.')}, {d.columns(work.assets, 'a.')} "
            f"FROM render_assets AS ra JOIN assets AS a ON a.sha256 = ra.sha256 WHERE {by_render}"
        )
        self.replicas = f"SELECT {d.columns(work.replicas)} FROM replicas"
        self.lock_replicas = d.lock_table(work.replicas, readers_too=False)
        switches = work.switches.c
        self.switches_locked = select(
            work.switches, d.keys(switches.scope, switches.target), "scope, target", lock
        )
        first = f"{d.keys(money.transfers.c.source)} AND ordinal = 0"
        self.sources = f"SELECT source FROM transfers WHERE {first}"
        self.audit_events = select(work.audit_events, d.keys(work.audit_events.c.id), "id")
        self._build_money()

    def _build_money(self) -> None:
        d = self.dialect
        budgets, windows = money.budgets.c, money.budget_windows.c

        def select(table: Table, where: str) -> str:
            return f"SELECT {d.columns(table)} FROM {table.name} WHERE {where}"

        self.lock_budgets = d.lock_table(money.budgets, readers_too=True)
        self.hold_budgets_table = d.share_table(money.budgets)
        self.live_budgets = f"{select(money.budgets, d.keys(budgets.project))} AND live"
        self.budgets = select(money.budgets, d.keys(budgets.id))
        self.budget_changes = select(money.budget_changes, d.keys(money.budget_changes.c.id))
        self.hold_budgets = select(money.hold_budgets, d.keys(money.hold_budgets.c.attempt_id))
        self.make_windows = d.insert(money.budget_windows, Upsert(("budget_id", "window_start")))
        self.windows_locked = (
            f"{select(money.budget_windows, d.keys(windows.budget_id, windows.window_start))} "
            f"ORDER BY budget_id, window_start{d.row_lock}"
        )

    def _flights_ahead(self) -> str:
        d = self.dialect
        clock = f"({d.clock_sql})" if d.clock_sql is not None else "0"
        where = d.keys(work.flights.c.scope, work.flights.c.fingerprint, prefix="f.")
        return (
            f"SELECT {d.columns(work.flights, 'f.')}, {clock}, {d.columns(work.renders, 'r.')} "
            f"FROM flights AS f LEFT JOIN renders AS r ON r.id = f.render_id WHERE {where}"
        )
