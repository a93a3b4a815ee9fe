-- The first tables, on SQLite. Statements are separated by empty lines.

-- One stored picture.
CREATE TABLE assets (
    -- of its bytes
    sha256 TEXT NOT NULL,
    extension TEXT NOT NULL,
    mime_type TEXT NOT NULL,
    size_bytes BIGINT NOT NULL,
    width_px INTEGER NOT NULL,
    height_px INTEGER NOT NULL,
    has_alpha BOOLEAN NOT NULL,
    average_color TEXT NOT NULL,
    -- PRESENT, DELETING, GONE
    state TEXT NOT NULL,
    -- when it was last seen in the picture store
    seen_at BIGINT NOT NULL,
    CONSTRAINT assets_pkey PRIMARY KEY (sha256)
);

CREATE INDEX assets_leaving ON assets (state) WHERE state != 'PRESENT';

-- One dispatch of a render to one route.
CREATE TABLE attempts (
    -- UUIDv7, opaque; the source of its transfers
    id TEXT NOT NULL,
    render_id TEXT NOT NULL,
    -- 1, 2, 3: the order of dispatch
    number INTEGER NOT NULL,
    -- the job that created the hold, and pays
    payer_job TEXT NOT NULL,
    project TEXT NOT NULL,
    provider TEXT NOT NULL,
    route TEXT NOT NULL,
    -- the provider's own name of the model
    endpoint TEXT NOT NULL,
    -- HELD, DISPATCHING, UNKNOWN, ACCEPTED, SUCCEEDED, FAILED, CANCELLED, REJECTED
    state TEXT NOT NULL,
    version INTEGER NOT NULL,
    -- correlation token in the webhook URL
    token TEXT NOT NULL,
    -- the frozen price snapshot, as JSON
    price TEXT NOT NULL,
    -- what was set aside for it
    hold_nanos BIGINT NOT NULL,
    -- whether the hold is neither posted nor voided
    hold_open BOOLEAN NOT NULL,
    -- of its newest transfer
    ordinal INTEGER NOT NULL,
    -- what it cost as known now; NULL while the hold is open
    settled_nanos BIGINT,
    -- NONE, UNCONFIRMED, ESTIMATE, BILLED_UNITS, BILLING_EVENT, INVOICE
    grade TEXT NOT NULL,
    units TEXT NOT NULL,
    -- time of the accepting transaction: fixes window and month
    usage_at BIGINT NOT NULL,
    -- the provider's canonical id
    provider_id TEXT,
    seed_sent BIGINT,
    -- the POST must start before this
    send_before BIGINT,
    dispatched_at BIGINT,
    accepted_at BIGINT,
    ended_at BIGINT,
    queue_seconds FLOAT,
    run_seconds FLOAT,
    -- what the provider said at the end, as JSON
    result TEXT,
    result_expires_at BIGINT,
    -- as JSON
    failure TEXT,
    -- evidence says that it costs nothing
    unbilled BOOLEAN NOT NULL,
    CONSTRAINT attempts_pkey PRIMARY KEY (id),
    CONSTRAINT attempts_render_id_number_key UNIQUE (render_id, number),
    CONSTRAINT attempts_token_key UNIQUE (token)
);

CREATE INDEX attempts_by_payer ON attempts (payer_job);

CREATE INDEX attempts_by_project ON attempts (project, usage_at);

CREATE INDEX attempts_holding ON attempts (project) WHERE hold_open;

-- The audit of budgets. Never updated, never deleted; the database refuses both.
CREATE TABLE budget_changes (
    id TEXT NOT NULL,
    budget_id TEXT NOT NULL,
    revision INTEGER NOT NULL,
    at BIGINT NOT NULL,
    "by" TEXT NOT NULL,
    reason TEXT NOT NULL,
    -- the budget before, as JSON; empty when created
    "before" TEXT NOT NULL,
    -- the budget after, as JSON; empty when deleted
    "after" TEXT NOT NULL,
    CONSTRAINT budget_changes_pkey PRIMARY KEY (id)
);

CREATE INDEX budget_changes_by_budget ON budget_changes (budget_id, revision);

-- What a budget has seen in a window. Always spent - overrun + held <= limit of a hard budget.
CREATE TABLE budget_windows (
    budget_id TEXT NOT NULL,
    -- 0 for TOTAL
    window_start BIGINT NOT NULL,
    -- what settled attempts cost
    spent_nanos BIGINT NOT NULL,
    -- what open holds set aside
    held_nanos BIGINT NOT NULL,
    -- the part of spent beyond the attempts' holds
    overrun_nanos BIGINT NOT NULL,
    -- the part of spent without evidence
    unconfirmed_nanos BIGINT NOT NULL,
    CONSTRAINT budget_windows_pkey PRIMARY KEY (budget_id, window_start)
)
 WITHOUT ROWID;

-- Limits on what a project, or a label value in it, may spend in a window.
CREATE TABLE budgets (
    id TEXT NOT NULL,
    project TEXT NOT NULL,
    -- empty: the whole project
    label_key TEXT NOT NULL,
    label_value TEXT NOT NULL,
    -- DAY, MONTH, TOTAL, in UTC
    period TEXT NOT NULL,
    limit_nanos BIGINT NOT NULL,
    -- refuses a hold that does not fit
    hard BOOLEAN NOT NULL,
    -- as JSON
    alert_percents TEXT NOT NULL,
    revision INTEGER NOT NULL,
    -- false once deleted
    live BOOLEAN NOT NULL,
    updated_at BIGINT NOT NULL,
    updated_by TEXT NOT NULL,
    CONSTRAINT budgets_pkey PRIMARY KEY (id)
);

CREATE UNIQUE INDEX budgets_live ON budgets (project, label_key, label_value, period) WHERE live;

-- One row per (scope, fingerprint), locked by whoever decides what a new request gets.
CREATE TABLE flights (
    -- a project, or a shared cache scope
    scope TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    -- the newest joinable or succeeded render; NULL only inside the creating transaction
    render_id TEXT,
    CONSTRAINT flights_pkey PRIMARY KEY (scope, fingerprint)
)
 WITHOUT ROWID;

-- Which windows a hold was taken from; its post and corrections go there too, closed or not.
CREATE TABLE hold_budgets (
    attempt_id TEXT NOT NULL,
    budget_id TEXT NOT NULL,
    window_start BIGINT NOT NULL,
    nanos BIGINT NOT NULL,
    CONSTRAINT hold_budgets_pkey PRIMARY KEY (attempt_id, budget_id)
)
 WITHOUT ROWID;

CREATE INDEX hold_budgets_by_window ON hold_budgets (budget_id, window_start);

-- The labels of jobs once more, to find jobs by them.
CREATE TABLE job_labels (
    job_id TEXT NOT NULL,
    label_key TEXT NOT NULL,
    label_value TEXT NOT NULL,
    project TEXT NOT NULL,
    CONSTRAINT job_labels_pkey PRIMARY KEY (job_id, label_key)
)
 WITHOUT ROWID;

CREATE INDEX job_labels_by_value ON job_labels (project, label_key, label_value, job_id);

-- One accepted request of a caller.
CREATE TABLE jobs (
    -- UUIDv7, opaque
    id TEXT NOT NULL,
    -- who pays
    project TEXT NOT NULL,
    -- the caller's own key, unique in the project
    request_id TEXT NOT NULL,
    -- SHA-256 of the request as sent; the same request_id with another digest is refused
    request_digest TEXT NOT NULL,
    -- the work behind the job
    render_id TEXT NOT NULL,
    -- PROVIDER: it made the render; SHARED: it joined a running one; CACHE: it found a finished one
    origin TEXT NOT NULL,
    -- QUEUED (while not final, the render says more), SUCCEEDED, FAILED, CANCELLED
    state TEXT NOT NULL,
    -- the visible version while final, else a part of it (plus the render's)
    version INTEGER NOT NULL,
    operation TEXT NOT NULL,
    model TEXT NOT NULL,
    image_count INTEGER NOT NULL,
    -- SHA-256 of what would be drawn
    fingerprint TEXT NOT NULL,
    -- what a SHARED or CACHE job would have cost; never changes once final
    avoided_nanos BIGINT,
    -- the caller's ceiling over all attempts together
    max_cost_nanos BIGINT,
    -- when the job, not the render, is given up
    deadline_at BIGINT,
    accepted_at BIGINT NOT NULL,
    -- when the state became final; NULL while it is not
    final_at BIGINT,
    -- pairs as JSON, in the order given
    labels TEXT NOT NULL,
    -- what else the caller asked for, as JSON
    options TEXT NOT NULL,
    -- why it failed, as JSON
    failure TEXT,
    -- time the door spent on inputs before acceptance
    input_seconds FLOAT,
    CONSTRAINT jobs_pkey PRIMARY KEY (id),
    CONSTRAINT jobs_request_id_project_key UNIQUE (request_id, project)
);

CREATE INDEX jobs_by_deadline ON jobs (deadline_at) WHERE final_at IS NULL AND deadline_at IS NOT NULL;

CREATE INDEX jobs_by_project ON jobs (project, accepted_at, id);

CREATE INDEX jobs_by_render ON jobs (render_id);

CREATE INDEX jobs_by_time ON jobs (accepted_at, id);

CREATE INDEX jobs_waiting ON jobs (render_id) WHERE final_at IS NULL;

-- The totals once more, by the values of a project's reporting labels.
CREATE TABLE label_totals (
    -- 0: the lifetime row
    usage_hour BIGINT NOT NULL,
    -- 0: the lifetime row
    booked_hour BIGINT NOT NULL,
    project TEXT NOT NULL,
    model TEXT NOT NULL,
    provider TEXT NOT NULL,
    route TEXT NOT NULL,
    operation TEXT NOT NULL,
    origin TEXT NOT NULL,
    outcome TEXT NOT NULL,
    evidence TEXT NOT NULL,
    fault TEXT NOT NULL,
    -- a reporting label of the project
    label_key TEXT NOT NULL,
    -- empty: the job had none
    label_value TEXT NOT NULL,
    slot INTEGER NOT NULL,
    charged_nanos BIGINT NOT NULL,
    corrected_up_nanos BIGINT NOT NULL,
    corrected_down_nanos BIGINT NOT NULL,
    avoided_nanos BIGINT NOT NULL,
    jobs BIGINT NOT NULL,
    attempts BIGINT NOT NULL,
    images BIGINT NOT NULL,
    latency_micros BIGINT NOT NULL,
    bucket_00 BIGINT NOT NULL,
    bucket_01 BIGINT NOT NULL,
    bucket_02 BIGINT NOT NULL,
    bucket_03 BIGINT NOT NULL,
    bucket_04 BIGINT NOT NULL,
    bucket_05 BIGINT NOT NULL,
    bucket_06 BIGINT NOT NULL,
    bucket_07 BIGINT NOT NULL,
    bucket_08 BIGINT NOT NULL,
    bucket_09 BIGINT NOT NULL,
    bucket_10 BIGINT NOT NULL,
    bucket_11 BIGINT NOT NULL,
    bucket_12 BIGINT NOT NULL,
    bucket_13 BIGINT NOT NULL,
    bucket_14 BIGINT NOT NULL,
    bucket_15 BIGINT NOT NULL,
    CONSTRAINT label_totals_pkey PRIMARY KEY (usage_hour, booked_hour, project, model, provider, route, operation, origin, outcome, evidence, fault, label_key, label_value, slot)
)
 WITHOUT ROWID;

CREATE INDEX label_totals_by_booked_hour ON label_totals (booked_hour);

-- Every id that a provider gave to an attempt.
CREATE TABLE provider_ids (
    provider TEXT NOT NULL,
    provider_id TEXT NOT NULL,
    attempt_id TEXT NOT NULL,
    -- POST, WEBHOOK, SEARCH or OPERATOR
    source TEXT NOT NULL,
    -- the first id; others are aliases
    canonical BOOLEAN NOT NULL,
    CONSTRAINT provider_ids_pkey PRIMARY KEY (provider, provider_id)
)
 WITHOUT ROWID;

CREATE INDEX provider_ids_by_attempt ON provider_ids (attempt_id);

-- The pictures of a finished render.
CREATE TABLE render_assets (
    render_id TEXT NOT NULL,
    position INTEGER NOT NULL,
    sha256 TEXT NOT NULL,
    -- the provider's safety check marked it
    flagged BOOLEAN NOT NULL,
    CONSTRAINT render_assets_pkey PRIMARY KEY (render_id, position)
)
 WITHOUT ROWID;

CREATE INDEX render_assets_by_asset ON render_assets (sha256);

-- The pictures that a render starts from.
CREATE TABLE render_inputs (
    render_id TEXT NOT NULL,
    -- IMAGE or MASK
    role TEXT NOT NULL,
    position INTEGER NOT NULL,
    sha256 TEXT NOT NULL,
    CONSTRAINT render_inputs_pkey PRIMARY KEY (render_id, role, position)
)
 WITHOUT ROWID;

CREATE INDEX render_inputs_by_asset ON render_inputs (sha256);

-- The work behind one or more jobs; paid at most once.
CREATE TABLE renders (
    -- UUIDv7, opaque
    id TEXT NOT NULL,
    project TEXT NOT NULL,
    scope TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    -- PENDING, DISPATCHING, QUEUED, RUNNING, STORING, SUCCEEDED, FAILED, CANCELLED
    state TEXT NOT NULL,
    -- grows with every visible change
    version INTEGER NOT NULL,
    -- whether further jobs may wait for it
    joinable BOOLEAN NOT NULL,
    cancel_requested_at BIGINT,
    -- the replica that acts for it
    owner TEXT NOT NULL,
    -- grows with every takeover; an owner with an older number has lost it
    fence INTEGER NOT NULL,
    -- overdue: any replica may take it over
    next_step_at BIGINT NOT NULL,
    operation TEXT NOT NULL,
    model TEXT NOT NULL,
    image_count INTEGER NOT NULL,
    -- the routes to try, as JSON
    "plan" TEXT NOT NULL,
    -- the canonical request that was hashed, as JSON
    content TEXT NOT NULL,
    -- queue position, fraction, last log line, as JSON
    progress TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    finished_at BIGINT,
    -- until when it may answer requests from the cache; NULL: never
    fresh_until BIGINT,
    -- fewer pictures than asked for
    partial BOOLEAN NOT NULL,
    -- as JSON
    notices TEXT NOT NULL,
    CONSTRAINT renders_pkey PRIMARY KEY (id)
);

CREATE INDEX renders_by_owner ON renders (owner) WHERE finished_at IS NULL;

CREATE INDEX renders_by_step ON renders (next_step_at) WHERE finished_at IS NULL;

CREATE UNIQUE INDEX renders_joinable ON renders (scope, fingerprint) WHERE joinable;

-- The running processes.
CREATE TABLE replicas (
    id TEXT NOT NULL,
    -- the smallest that no living replica has
    ordinal INTEGER NOT NULL,
    -- alive until then unless it beats again
    lease_until BIGINT NOT NULL,
    CONSTRAINT replicas_pkey PRIMARY KEY (id)
);

-- Sums over jobs and transfers, kept in the transactions of what they sum; every column only grows.
CREATE TABLE totals (
    -- 0: the lifetime row
    usage_hour BIGINT NOT NULL,
    -- 0: the lifetime row
    booked_hour BIGINT NOT NULL,
    project TEXT NOT NULL,
    model TEXT NOT NULL,
    provider TEXT NOT NULL,
    route TEXT NOT NULL,
    operation TEXT NOT NULL,
    origin TEXT NOT NULL,
    outcome TEXT NOT NULL,
    evidence TEXT NOT NULL,
    fault TEXT NOT NULL,
    -- the writing replica's ordinal mod 8, so that replicas seldom meet on a row
    slot INTEGER NOT NULL,
    charged_nanos BIGINT NOT NULL,
    corrected_up_nanos BIGINT NOT NULL,
    corrected_down_nanos BIGINT NOT NULL,
    avoided_nanos BIGINT NOT NULL,
    jobs BIGINT NOT NULL,
    attempts BIGINT NOT NULL,
    images BIGINT NOT NULL,
    latency_micros BIGINT NOT NULL,
    bucket_00 BIGINT NOT NULL,
    bucket_01 BIGINT NOT NULL,
    bucket_02 BIGINT NOT NULL,
    bucket_03 BIGINT NOT NULL,
    bucket_04 BIGINT NOT NULL,
    bucket_05 BIGINT NOT NULL,
    bucket_06 BIGINT NOT NULL,
    bucket_07 BIGINT NOT NULL,
    bucket_08 BIGINT NOT NULL,
    bucket_09 BIGINT NOT NULL,
    bucket_10 BIGINT NOT NULL,
    bucket_11 BIGINT NOT NULL,
    bucket_12 BIGINT NOT NULL,
    bucket_13 BIGINT NOT NULL,
    bucket_14 BIGINT NOT NULL,
    bucket_15 BIGINT NOT NULL,
    CONSTRAINT totals_pkey PRIMARY KEY (usage_hour, booked_hour, project, model, provider, route, operation, origin, outcome, evidence, fault, slot)
)
 WITHOUT ROWID;

CREATE INDEX totals_by_booked_hour ON totals (booked_hour);

-- The journal. Never updated, never deleted; the database refuses both.
CREATE TABLE transfers (
    -- an attempt, or a storage day
    source TEXT NOT NULL,
    -- 0 HOLD, 1 POST or VOID, 2 and on CORRECTION
    ordinal INTEGER NOT NULL,
    -- HOLD, POST, VOID, CORRECTION, ACCRUAL
    kind TEXT NOT NULL,
    -- account; a refund swaps the sides
    debit TEXT NOT NULL,
    -- account
    credit TEXT NOT NULL,
    amount_nanos BIGINT NOT NULL,
    -- what the source costs after this transfer
    total_after_nanos BIGINT NOT NULL,
    -- how good the evidence is
    grade TEXT NOT NULL,
    -- the provider's id or bill
    evidence_ref TEXT NOT NULL,
    units TEXT NOT NULL,
    price_version TEXT NOT NULL,
    list_price_nanos BIGINT NOT NULL,
    discount_nanos BIGINT NOT NULL,
    project TEXT NOT NULL,
    model TEXT NOT NULL,
    provider TEXT NOT NULL,
    route TEXT NOT NULL,
    operation TEXT NOT NULL,
    -- the payer
    job_id TEXT NOT NULL,
    render_id TEXT NOT NULL,
    attempt_number INTEGER NOT NULL,
    -- when it was used: fixes window and month
    usage_at BIGINT NOT NULL,
    -- when this row was written
    booked_at BIGINT NOT NULL,
    -- which transfer a correction moves
    target_ordinal INTEGER,
    memo TEXT NOT NULL,
    CONSTRAINT transfers_pkey PRIMARY KEY (source, ordinal)
)
 WITHOUT ROWID;

CREATE INDEX transfers_by_job ON transfers (job_id);

CREATE INDEX transfers_by_project ON transfers (project, booked_at);

CREATE INDEX transfers_by_time ON transfers (booked_at, source, ordinal);

CREATE TRIGGER transfers_stay_unchanged BEFORE UPDATE ON transfers
BEGIN
    SELECT RAISE(ABORT, 'transfers only grows: UPDATE is refused');
END;

CREATE TRIGGER transfers_stay BEFORE DELETE ON transfers
BEGIN
    SELECT RAISE(ABORT, 'transfers only grows: DELETE is refused');
END;

-- INSERT OR REPLACE takes the old row away without firing DELETE triggers, unless the session turns recursive triggers on.
CREATE TRIGGER transfers_stay_themselves BEFORE INSERT ON transfers
WHEN EXISTS (SELECT 1 FROM transfers WHERE source = NEW.source AND ordinal = NEW.ordinal)
BEGIN
    SELECT RAISE(ABORT, 'UNIQUE constraint failed: transfers.source, transfers.ordinal');
END;

CREATE TRIGGER budget_changes_stay_unchanged BEFORE UPDATE ON budget_changes
BEGIN
    SELECT RAISE(ABORT, 'budget_changes only grows: UPDATE is refused');
END;

CREATE TRIGGER budget_changes_stay BEFORE DELETE ON budget_changes
BEGIN
    SELECT RAISE(ABORT, 'budget_changes only grows: DELETE is refused');
END;

CREATE TRIGGER budget_changes_stay_themselves BEFORE INSERT ON budget_changes
WHEN EXISTS (SELECT 1 FROM budget_changes WHERE id = NEW.id)
BEGIN
    SELECT RAISE(ABORT, 'UNIQUE constraint failed: budget_changes.id');
END;
