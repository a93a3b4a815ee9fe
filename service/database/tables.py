"""The tables of the work: jobs, flights, renders, attempts, pictures, replicas; and what operators see and set. Columns are the
fields of domain/records.py and domain/oversight.py.

Times are microseconds since 1970 UTC by the database's clock. Enums are their names as text; texts named "as JSON" hold
what no query looks into. There are no foreign keys: their checks would lock parent rows outside the one lock order.
"""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    Float,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    and_,
    literal_column,
    not_,
)
from sqlalchemy import text as sql_text

from service.database.dialect import clustered, partial_index, roomy

metadata = MetaData(
    naming_convention={
        "pk": "%(table_name)s_pkey",
        "uq": "%(table_name)s_%(column_0_N_name)s_key",
    }
)


def text(
    name: str,
    comment: str | None = None,
    *,
    null: bool = False,
    key: bool = False,
    default: str | None = None,
) -> Column[Any]:
    """A text column. `default` is the server's: for columns that a release before does not know."""
    return Column(
        name, Text, nullable=null, primary_key=key, comment=comment, server_default=_quoted(default)
    )


def _quoted(default: str | None) -> ColumnElement[str] | None:
    # As SQL: an empty text would be taken for no default.
    return None if default is None else literal_column(f"'{default}'")


def micros(name: str, comment: str | None = None, *, null: bool = False) -> Column[Any]:
    """A time."""
    return Column(name, BigInteger, nullable=null, comment=comment)


def nanos(name: str, comment: str | None = None, *, null: bool = False) -> Column[Any]:
    """An amount of money."""
    return Column(name, BigInteger, nullable=null, comment=comment)


def number(name: str, comment: str | None = None, *, null: bool = False, key: bool = False) -> Column[Any]:
    """A small whole number."""
    return Column(name, Integer, nullable=null, primary_key=key, autoincrement=False, comment=comment)


def seconds(name: str, comment: str | None = None) -> Column[Any]:
    """A measured duration; NULL when not known."""
    return Column(name, Float(53), nullable=True, comment=comment)


def flag(name: str, comment: str | None = None) -> Column[Any]:
    """A yes or no."""
    return Column(name, Boolean, nullable=False, comment=comment)


jobs = Table(
    "jobs",
    metadata,
    text("id", "UUIDv7, opaque", key=True),
    text("project", "who pays"),
    text("request_id", "the caller's own key, unique in the project"),
    text(
        "request_digest", "SHA-256 of the request as sent; the same request_id with another digest is refused"
    ),
    text("render_id", "the work behind the job"),
    text(
        "origin",
        "PROVIDER: it made the render; SHARED: it joined a running one; CACHE: it found a finished one",
    ),
    text("state", "QUEUED (while not final, the render says more), SUCCEEDED, FAILED, CANCELLED"),
    number("version", "the visible version while final, else a part of it (plus the render's)"),
    text("operation"),
    text("model"),
    number("image_count"),
    text("fingerprint", "SHA-256 of what would be drawn"),
    nanos("avoided_nanos", "what a SHARED or CACHE job would have cost; never changes once final", null=True),
    nanos("max_cost_nanos", "the caller's ceiling over all attempts together", null=True),
    micros("deadline_at", "when the job, not the render, is given up", null=True),
    micros("accepted_at"),
    micros("final_at", "when the state became final; NULL while it is not", null=True),
    text("labels", "pairs as JSON, in the order given"),
    text("options", "what else the caller asked for, as JSON"),
    text("failure", "why it failed, as JSON", null=True),
    seconds("input_seconds", "time the door spent on inputs before acceptance"),
    UniqueConstraint("request_id", "project"),
    Index("jobs_by_project", "project", "accepted_at", "id"),
    Index("jobs_by_time", "accepted_at", "id"),
    comment="One accepted request of a caller.",
    **roomy(fillfactor=70),
)
Index("jobs_by_render", jobs.c.render_id)
partial_index("jobs_waiting", jobs.c.render_id, where=jobs.c.final_at.is_(None))
partial_index(
    "jobs_by_deadline",
    jobs.c.deadline_at,
    # The second half keeps the planner from reading this index for jobs that wait without a deadline.
    where=and_(jobs.c.final_at.is_(None), jobs.c.deadline_at.is_not(None)),
)

job_labels = Table(
    "job_labels",
    metadata,
    text("job_id", key=True),
    text("label_key", key=True),
    text("label_value"),
    text("project"),
    Index("job_labels_by_value", "project", "label_key", "label_value", "job_id"),
    comment="The labels of jobs once more, to find jobs by them.",
    **clustered(),
)

flights = Table(
    "flights",
    metadata,
    text("scope", "a project, or a shared cache scope", key=True),
    text("fingerprint", key=True),
    text("render_id", "the newest render; NULL only inside the creating transaction", null=True),
    text("good_render_id", "an older one that answers while the newest has no picture to keep", null=True),
    comment="One row per (scope, fingerprint), locked by whoever decides what a new request gets.",
    **clustered(),
)

renders = Table(
    "renders",
    metadata,
    text("id", "UUIDv7, opaque", key=True),
    text("project"),
    text("scope"),
    text("fingerprint"),
    text("state", "PENDING, DISPATCHING, QUEUED, RUNNING, STORING, SUCCEEDED, FAILED, CANCELLED"),
    number("version", "grows with every visible change"),
    flag("joinable", "whether further jobs may wait for it"),
    micros("cancel_requested_at", null=True),
    text("owner", "the replica that acts for it"),
    number("fence", "grows with every takeover; an owner with an older number has lost it"),
    micros("next_step_at", "overdue: any replica may take it over"),
    text("operation"),
    text("model"),
    number("image_count"),
    text("plan", "the routes to try, as JSON"),
    text("content", "the canonical request that was hashed, as JSON"),
    text("progress", "queue position, fraction, last log line, as JSON"),
    micros("created_at"),
    micros("finished_at", null=True),
    micros("fresh_until", "until when it may answer requests from the cache; NULL: never", null=True),
    flag("partial", "fewer pictures than asked for"),
    text("notices", "as JSON"),
    comment="The work behind one or more jobs; paid at most once.",
    **roomy(fillfactor=50),
)
partial_index(
    "renders_joinable", renders.c.scope, renders.c.fingerprint, where=renders.c.joinable, unique=True
)
partial_index("renders_by_step", renders.c.next_step_at, where=renders.c.finished_at.is_(None))
partial_index("renders_by_owner", renders.c.owner, where=renders.c.finished_at.is_(None))
# Ended ones wait in the first until their content is removed, and are in the second from then on.
partial_index(
    "renders_to_empty",
    renders.c.finished_at,
    where=and_(renders.c.finished_at.is_not(None), renders.c.content != ""),
)
partial_index("renders_emptied", renders.c.finished_at, renders.c.id, where=renders.c.content == "")
partial_index(
    "renders_unkept",
    renders.c.finished_at,
    where=and_(renders.c.finished_at.is_not(None), renders.c.fresh_until.is_(None)),
)

attempts = Table(
    "attempts",
    metadata,
    text("id", "UUIDv7, opaque; the source of its transfers", key=True),
    text("render_id"),
    number("number", "1, 2, 3: the order of dispatch"),
    text("payer_job", "the job that created the hold, and pays"),
    text("project"),
    text("provider"),
    text("route"),
    text("endpoint", "the provider's own name of the model"),
    text("state", "HELD, DISPATCHING, UNKNOWN, ACCEPTED, SUCCEEDED, FAILED, CANCELLED, REJECTED"),
    number("version"),
    text("token", "correlation token in the webhook URL"),
    text("price", "the frozen price snapshot, as JSON"),
    nanos("hold_nanos", "what was set aside for it"),
    flag("hold_open", "whether the hold is neither posted nor voided"),
    number("ordinal", "of its newest transfer"),
    nanos("settled_nanos", "what it cost as known now; NULL while the hold is open", null=True),
    text("grade", "NONE, UNCONFIRMED, ESTIMATE, BILLED_UNITS, BILLING_EVENT, INVOICE"),
    text("units"),
    micros("usage_at", "time of the accepting transaction: fixes window and month"),
    text("provider_id", "the provider's canonical id", null=True),
    Column("seed_sent", BigInteger, nullable=True),
    micros("send_before", "the POST must start before this", null=True),
    micros("dispatched_at", null=True),
    micros("accepted_at", null=True),
    micros("ended_at", null=True),
    seconds("queue_seconds"),
    seconds("run_seconds"),
    text("result", "what the provider said at the end, as JSON", null=True),
    micros("result_expires_at", null=True),
    text("failure", "as JSON", null=True),
    flag("unbilled", "evidence says that it costs nothing"),
    text("input_digest", "of what was sent; empty before it was", default=""),
    text("posted_grade", "the grade that closed the hold; NONE before, and for a void", default="NONE"),
    UniqueConstraint("render_id", "number"),
    UniqueConstraint("token"),
    comment="One dispatch of a render to one route.",
    **roomy(fillfactor=50),
)
partial_index("attempts_holding", attempts.c.project, where=attempts.c.hold_open)
Index("attempts_by_payer", attempts.c.payer_job)
Index("attempts_by_project", attempts.c.project, attempts.c.usage_at)
Index("attempts_by_use", attempts.c.provider, attempts.c.usage_at, attempts.c.id)
HOLDING: Final = sql_text("attempts.hold_open")
"""The condition of `attempts_holding` for queries, word for word: an engine without booleans uses the index for nothing else."""
WITHOUT_END: Final = sql_text("NOT attempts.hold_open AND attempts.result IS NULL")
"""The same of `attempts_without_end`."""
UNCONFIRMED: Final = sql_text("attempts.grade = 'UNCONFIRMED'")
"""The same of `attempts_unconfirmed`."""
# Conditions on columns that change with the hold only: an index on what every step changes would make every step dearer.
partial_index("attempts_unconfirmed", attempts.c.project, where=attempts.c.grade == "UNCONFIRMED")
partial_index(
    "attempts_without_end",
    attempts.c.usage_at,
    where=and_(not_(attempts.c.hold_open), attempts.c.result.is_(None)),
)

provider_ids = Table(
    "provider_ids",
    metadata,
    text("provider", key=True),
    text("provider_id", key=True),
    text("attempt_id"),
    text("source", "POST, WEBHOOK, SEARCH or OPERATOR"),
    flag("canonical", "the first id; others are aliases"),
    Index("provider_ids_by_attempt", "attempt_id"),
    comment="Every id that a provider gave to an attempt.",
    **clustered(),
)

assets = Table(
    "assets",
    metadata,
    text("sha256", "of its bytes", key=True),
    text("extension"),
    text("mime_type"),
    Column("size_bytes", BigInteger, nullable=False),
    number("width_px"),
    number("height_px"),
    flag("has_alpha"),
    text("average_color"),
    text("state", "PRESENT, DELETING, GONE"),
    micros("seen_at", "when it was last seen in the picture store"),
    comment="One stored picture.",
)
partial_index("assets_leaving", assets.c.state, where=assets.c.state != "PRESENT")

render_assets = Table(
    "render_assets",
    metadata,
    text("render_id", key=True),
    number("position", key=True),
    text("sha256"),
    flag("flagged", "the provider's safety check marked it"),
    Index("render_assets_by_asset", "sha256"),
    comment="The pictures of a finished render.",
    **clustered(),
)

render_inputs = Table(
    "render_inputs",
    metadata,
    text("render_id", key=True),
    text("role", "IMAGE or MASK", key=True),
    number("position", key=True),
    text("sha256"),
    Index("render_inputs_by_asset", "sha256"),
    comment="The pictures that a render starts from.",
    **clustered(),
)

replicas = Table(
    "replicas",
    metadata,
    text("id", key=True),
    number("ordinal", "the smallest that no living replica has"),
    micros("lease_until", "alive until then unless it beats again"),
    comment="The running processes.",
)

events = Table(
    "events",
    metadata,
    text("id", key=True),
    text("render_id"),
    number("attempt_number", "0: the render as a whole"),
    micros("at"),
    text("kind", "such as TAKEN_OVER, UNKNOWN, FOUND, LATE"),
    text("cause", "why, in a few words"),
    Index("events_by_render", "render_id", "at", "id"),
    Index("events_by_time", "at"),
    comment="What was unusual in the life of a render. Only added to; removed by age.",
)

switches = Table(
    "switches",
    metadata,
    text("scope", "PROVIDER, ROUTE, PROJECT, DISPATCH", key=True),
    text("target", "empty: every dispatch", key=True),
    text("state", "ON, DRAIN, OFF"),
    micros("expires_at", null=True),
    text("reason"),
    text("set_by"),
    micros("set_at"),
    text("event_id", "its line in audit_events"),
    comment="What operators took out of use, and may have put back.",
    **clustered(),
)

audit_events = Table(
    "audit_events",
    metadata,
    text("id", key=True),
    micros("at"),
    text("actor"),
    text("action", "such as switch.set"),
    text("target", "such as provider:fal"),
    text("reason"),
    text("details", "as JSON; never secrets or prompts"),
    Index("audit_events_by_time", "at", "id"),
    comment="What was changed outside the jobs. Never updated, never deleted; the database refuses both.",
)
