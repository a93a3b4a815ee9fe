-- The first tables, on PostgreSQL. Statements are separated by empty lines.

CREATE TABLE assets (
    sha256 TEXT NOT NULL,
    extension TEXT NOT NULL,
    mime_type TEXT NOT NULL,
    size_bytes BIGINT NOT NULL,
    width_px INTEGER NOT NULL,
    height_px INTEGER NOT NULL,
    has_alpha BOOLEAN NOT NULL,
    average_color TEXT NOT NULL,
    state TEXT NOT NULL,
    seen_at BIGINT NOT NULL,
    CONSTRAINT assets_pkey PRIMARY KEY (sha256)
);

CREATE INDEX assets_leaving ON assets (state) WHERE state != 'PRESENT';

COMMENT ON TABLE assets IS 'One stored picture.';

COMMENT ON COLUMN assets.sha256 IS 'of its bytes';

COMMENT ON COLUMN assets.state IS 'PRESENT, DELETING, GONE';

COMMENT ON COLUMN assets.seen_at IS 'when it was last seen in the picture store';

CREATE TABLE attempts (
    id TEXT NOT NULL,
    render_id TEXT NOT NULL,
    number INTEGER NOT NULL,
    payer_job TEXT NOT NULL,
    project TEXT NOT NULL,
    provider TEXT NOT NULL,
    route TEXT NOT NULL,
    endpoint TEXT NOT NULL,
    state TEXT NOT NULL,
    version INTEGER NOT NULL,
    token TEXT NOT NULL,
    price TEXT NOT NULL,
    hold_nanos BIGINT NOT NULL,
    hold_open BOOLEAN NOT NULL,
    ordinal INTEGER NOT NULL,
    settled_nanos BIGINT,
    grade TEXT NOT NULL,
    units TEXT NOT NULL,
    usage_at BIGINT NOT NULL,
    provider_id TEXT,
    seed_sent BIGINT,
    send_before BIGINT,
    dispatched_at BIGINT,
    accepted_at BIGINT,
    ended_at BIGINT,
    queue_seconds FLOAT(53),
    run_seconds FLOAT(53),
    result TEXT,
    result_expires_at BIGINT,
    failure TEXT,
    unbilled BOOLEAN NOT NULL,
    CONSTRAINT attempts_pkey PRIMARY KEY (id),
    CONSTRAINT attempts_render_id_number_key UNIQUE (render_id, number),
    CONSTRAINT attempts_token_key UNIQUE (token)
)
 WITH (fillfactor = 50);

CREATE INDEX attempts_by_payer ON attempts (payer_job);

CREATE INDEX attempts_by_project ON attempts (project, usage_at);

CREATE INDEX attempts_holding ON attempts (project) WHERE hold_open;

COMMENT ON TABLE attempts IS 'One dispatch of a render to one route.';

COMMENT ON COLUMN attempts.id IS 'UUIDv7, opaque; the source of its transfers';

COMMENT ON COLUMN attempts.number IS '1, 2, 3: the order of dispatch';

COMMENT ON COLUMN attempts.payer_job IS 'the job that created the hold, and pays';

COMMENT ON COLUMN attempts.endpoint IS 'the provider''s own name of the model';

COMMENT ON COLUMN attempts.state IS 'HELD, DISPATCHING, UNKNOWN, ACCEPTED, SUCCEEDED, FAILED, CANCELLED, REJECTED';

COMMENT ON COLUMN attempts.token IS 'correlation token in the webhook URL';

COMMENT ON COLUMN attempts.price IS 'the frozen price snapshot, as JSON';

COMMENT ON COLUMN attempts.hold_nanos IS 'what was set aside for it';

COMMENT ON COLUMN attempts.hold_open IS 'whether the hold is neither posted nor voided';

COMMENT ON COLUMN attempts.ordinal IS 'of its newest transfer';

COMMENT ON COLUMN attempts.settled_nanos IS 'what it cost as known now; NULL while the hold is open';

COMMENT ON COLUMN attempts.grade IS 'NONE, UNCONFIRMED, ESTIMATE, BILLED_UNITS, BILLING_EVENT, INVOICE';

COMMENT ON COLUMN attempts.usage_at IS 'time of the accepting transaction: fixes window and month';

COMMENT ON COLUMN attempts.provider_id IS 'the provider''s canonical id';

COMMENT ON COLUMN attempts.send_before IS 'the POST must start before this';

COMMENT ON COLUMN attempts.result IS 'what the provider said at the end, as JSON';

COMMENT ON COLUMN attempts.failure IS 'as JSON';

COMMENT ON COLUMN attempts.unbilled IS 'evidence says that it costs nothing';

CREATE TABLE budget_changes (
    id TEXT NOT NULL,
    budget_id TEXT NOT NULL,
    revision INTEGER NOT NULL,
    at BIGINT NOT NULL,
    by TEXT NOT NULL,
    reason TEXT NOT NULL,
    before TEXT NOT NULL,
    after TEXT NOT NULL,
    CONSTRAINT budget_changes_pkey PRIMARY KEY (id)
);

CREATE INDEX budget_changes_by_budget ON budget_changes (budget_id, revision);

COMMENT ON TABLE budget_changes IS 'The audit of budgets. Never updated, never deleted; the database refuses both.';

COMMENT ON COLUMN budget_changes.before IS 'the budget before, as JSON; empty when created';

COMMENT ON COLUMN budget_changes.after IS 'the budget after, as JSON; empty when deleted';

CREATE TABLE budget_windows (
    budget_id TEXT NOT NULL,
    window_start BIGINT NOT NULL,
    spent_nanos BIGINT NOT NULL,
    held_nanos BIGINT NOT NULL,
    overrun_nanos BIGINT NOT NULL,
    unconfirmed_nanos BIGINT NOT NULL,
    CONSTRAINT budget_windows_pkey PRIMARY KEY (budget_id, window_start)
)
 WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 500, autovacuum_vacuum_cost_delay = 0);

COMMENT ON TABLE budget_windows IS 'What a budget has seen in a window. Always spent - overrun + held <= limit of a hard budget.';

COMMENT ON COLUMN budget_windows.window_start IS '0 for TOTAL';

COMMENT ON COLUMN budget_windows.spent_nanos IS 'what settled attempts cost';

COMMENT ON COLUMN budget_windows.held_nanos IS 'what open holds set aside';

COMMENT ON COLUMN budget_windows.overrun_nanos IS 'the part of spent beyond the attempts'' holds';

COMMENT ON COLUMN budget_windows.unconfirmed_nanos IS 'the part of spent without evidence';

CREATE TABLE budgets (
    id TEXT NOT NULL,
    project TEXT NOT NULL,
    label_key TEXT NOT NULL,
    label_value TEXT NOT NULL,
    period TEXT NOT NULL,
    limit_nanos BIGINT NOT NULL,
    hard BOOLEAN NOT NULL,
    alert_percents TEXT NOT NULL,
    revision INTEGER NOT NULL,
    live BOOLEAN NOT NULL,
    updated_at BIGINT NOT NULL,
    updated_by TEXT NOT NULL,
    CONSTRAINT budgets_pkey PRIMARY KEY (id)
);

CREATE UNIQUE INDEX budgets_live ON budgets (project, label_key, label_value, period) WHERE live;

COMMENT ON TABLE budgets IS 'Limits on what a project, or a label value in it, may spend in a window.';

COMMENT ON COLUMN budgets.label_key IS 'empty: the whole project';

COMMENT ON COLUMN budgets.period IS 'DAY, MONTH, TOTAL, in UTC';

COMMENT ON COLUMN budgets.hard IS 'refuses a hold that does not fit';

COMMENT ON COLUMN budgets.alert_percents IS 'as JSON';

COMMENT ON COLUMN budgets.live IS 'false once deleted';

CREATE TABLE flights (
    scope TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    render_id TEXT,
    CONSTRAINT flights_pkey PRIMARY KEY (scope, fingerprint)
);

COMMENT ON TABLE flights IS 'One row per (scope, fingerprint), locked by whoever decides what a new request gets.';

COMMENT ON COLUMN flights.scope IS 'a project, or a shared cache scope';

COMMENT ON COLUMN flights.render_id IS 'the newest joinable or succeeded render; NULL only inside the creating transaction';

CREATE TABLE hold_budgets (
    attempt_id TEXT NOT NULL,
    budget_id TEXT NOT NULL,
    window_start BIGINT NOT NULL,
    nanos BIGINT NOT NULL,
    CONSTRAINT hold_budgets_pkey PRIMARY KEY (attempt_id, budget_id)
);

CREATE INDEX hold_budgets_by_window ON hold_budgets (budget_id, window_start);

COMMENT ON TABLE hold_budgets IS 'Which windows a hold was taken from; its post and corrections go there too, closed or not.';

CREATE TABLE job_labels (
    job_id TEXT NOT NULL,
    label_key TEXT NOT NULL,
    label_value TEXT NOT NULL,
    project TEXT NOT NULL,
    CONSTRAINT job_labels_pkey PRIMARY KEY (job_id, label_key)
);

CREATE INDEX job_labels_by_value ON job_labels (project, label_key, label_value, job_id);

COMMENT ON TABLE job_labels IS 'The labels of jobs once more, to find jobs by them.';

CREATE TABLE jobs (
    id TEXT NOT NULL,
    project TEXT NOT NULL,
    request_id TEXT NOT NULL,
    request_digest TEXT NOT NULL,
    render_id TEXT NOT NULL,
    origin TEXT NOT NULL,
    state TEXT NOT NULL,
    version INTEGER NOT NULL,
    operation TEXT NOT NULL,
    model TEXT NOT NULL,
    image_count INTEGER NOT NULL,
    fingerprint TEXT NOT NULL,
    avoided_nanos BIGINT,
    max_cost_nanos BIGINT,
    deadline_at BIGINT,
    accepted_at BIGINT NOT NULL,
    final_at BIGINT,
    labels TEXT NOT NULL,
    options TEXT NOT NULL,
    failure TEXT,
    input_seconds FLOAT(53),
    CONSTRAINT jobs_pkey PRIMARY KEY (id),
    CONSTRAINT jobs_request_id_project_key UNIQUE (request_id, project)
)
 WITH (fillfactor = 70);

CREATE INDEX jobs_by_deadline ON jobs (deadline_at) WHERE final_at IS NULL AND deadline_at IS NOT NULL;

CREATE INDEX jobs_by_project ON jobs (project, accepted_at, id);

CREATE INDEX jobs_by_render ON jobs (render_id);

CREATE INDEX jobs_by_time ON jobs (accepted_at, id);

CREATE INDEX jobs_waiting ON jobs (render_id) WHERE final_at IS NULL;

COMMENT ON TABLE jobs IS 'One accepted request of a caller.';

COMMENT ON COLUMN jobs.id IS 'UUIDv7, opaque';

COMMENT ON COLUMN jobs.project IS 'who pays';

COMMENT ON COLUMN jobs.request_id IS 'the caller''s own key, unique in the project';

COMMENT ON COLUMN jobs.request_digest IS 'SHA-256 of the request as sent; the same request_id with another digest is refused';

COMMENT ON COLUMN jobs.render_id IS 'the work behind the job';

COMMENT ON COLUMN jobs.origin IS 'PROVIDER: it made the render; SHARED: it joined a running one; CACHE: it found a finished one';

COMMENT ON COLUMN jobs.state IS 'QUEUED (while not final, the render says more), SUCCEEDED, FAILED, CANCELLED';

COMMENT ON COLUMN jobs.version IS 'the visible version while final, else a part of it (plus the render''s)';

COMMENT ON COLUMN jobs.fingerprint IS 'SHA-256 of what would be drawn';

COMMENT ON COLUMN jobs.avoided_nanos IS 'what a SHARED or CACHE job would have cost; never changes once final';

COMMENT ON COLUMN jobs.max_cost_nanos IS 'the caller''s ceiling over all attempts together';

COMMENT ON COLUMN jobs.deadline_at IS 'when the job, not the render, is given up';

COMMENT ON COLUMN jobs.final_at IS 'when the state became final; NULL while it is not';

COMMENT ON COLUMN jobs.labels IS 'pairs as JSON, in the order given';

COMMENT ON COLUMN jobs.options IS 'what else the caller asked for, as JSON';

COMMENT ON COLUMN jobs.failure IS 'why it failed, as JSON';

COMMENT ON COLUMN jobs.input_seconds IS 'time the door spent on inputs before acceptance';

CREATE TABLE label_totals (
    usage_hour BIGINT NOT NULL,
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
    label_key TEXT NOT NULL,
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
 WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 500, autovacuum_vacuum_cost_delay = 0);

CREATE INDEX label_totals_by_booked_hour ON label_totals (booked_hour);

COMMENT ON TABLE label_totals IS 'The totals once more, by the values of a project''s reporting labels.';

COMMENT ON COLUMN label_totals.usage_hour IS '0: the lifetime row';

COMMENT ON COLUMN label_totals.booked_hour IS '0: the lifetime row';

COMMENT ON COLUMN label_totals.label_key IS 'a reporting label of the project';

COMMENT ON COLUMN label_totals.label_value IS 'empty: the job had none';

CREATE TABLE provider_ids (
    provider TEXT NOT NULL,
    provider_id TEXT NOT NULL,
    attempt_id TEXT NOT NULL,
    source TEXT NOT NULL,
    canonical BOOLEAN NOT NULL,
    CONSTRAINT provider_ids_pkey PRIMARY KEY (provider, provider_id)
);

CREATE INDEX provider_ids_by_attempt ON provider_ids (attempt_id);

COMMENT ON TABLE provider_ids IS 'Every id that a provider gave to an attempt.';

COMMENT ON COLUMN provider_ids.source IS 'POST, WEBHOOK, SEARCH or OPERATOR';

COMMENT ON COLUMN provider_ids.canonical IS 'the first id; others are aliases';

CREATE TABLE render_assets (
    render_id TEXT NOT NULL,
    position INTEGER NOT NULL,
    sha256 TEXT NOT NULL,
    flagged BOOLEAN NOT NULL,
    CONSTRAINT render_assets_pkey PRIMARY KEY (render_id, position)
);

CREATE INDEX render_assets_by_asset ON render_assets (sha256);

COMMENT ON TABLE render_assets IS 'The pictures of a finished render.';

COMMENT ON COLUMN render_assets.flagged IS 'the provider''s safety check marked it';

CREATE TABLE render_inputs (
    render_id TEXT NOT NULL,
    role TEXT NOT NULL,
    position INTEGER NOT NULL,
    sha256 TEXT NOT NULL,
    CONSTRAINT render_inputs_pkey PRIMARY KEY (render_id, role, position)
);

CREATE INDEX render_inputs_by_asset ON render_inputs (sha256);

COMMENT ON TABLE render_inputs IS 'The pictures that a render starts from.';

COMMENT ON COLUMN render_inputs.role IS 'IMAGE or MASK';

CREATE TABLE renders (
    id TEXT NOT NULL,
    project TEXT NOT NULL,
    scope TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    state TEXT NOT NULL,
    version INTEGER NOT NULL,
    joinable BOOLEAN NOT NULL,
    cancel_requested_at BIGINT,
    owner TEXT NOT NULL,
    fence INTEGER NOT NULL,
    next_step_at BIGINT NOT NULL,
    operation TEXT NOT NULL,
    model TEXT NOT NULL,
    image_count INTEGER NOT NULL,
    plan TEXT NOT NULL,
    content TEXT NOT NULL,
    progress TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    finished_at BIGINT,
    fresh_until BIGINT,
    partial BOOLEAN NOT NULL,
    notices TEXT NOT NULL,
    CONSTRAINT renders_pkey PRIMARY KEY (id)
)
 WITH (fillfactor = 50);

CREATE INDEX renders_by_owner ON renders (owner) WHERE finished_at IS NULL;

CREATE INDEX renders_by_step ON renders (next_step_at) WHERE finished_at IS NULL;

CREATE UNIQUE INDEX renders_joinable ON renders (scope, fingerprint) WHERE joinable;

COMMENT ON TABLE renders IS 'The work behind one or more jobs; paid at most once.';

COMMENT ON COLUMN renders.id IS 'UUIDv7, opaque';

COMMENT ON COLUMN renders.state IS 'PENDING, DISPATCHING, QUEUED, RUNNING, STORING, SUCCEEDED, FAILED, CANCELLED';

COMMENT ON COLUMN renders.version IS 'grows with every visible change';

COMMENT ON COLUMN renders.joinable IS 'whether further jobs may wait for it';

COMMENT ON COLUMN renders.owner IS 'the replica that acts for it';

COMMENT ON COLUMN renders.fence IS 'grows with every takeover; an owner with an older number has lost it';

COMMENT ON COLUMN renders.next_step_at IS 'overdue: any replica may take it over';

COMMENT ON COLUMN renders.plan IS 'the routes to try, as JSON';

COMMENT ON COLUMN renders.content IS 'the canonical request that was hashed, as JSON';

COMMENT ON COLUMN renders.progress IS 'queue position, fraction, last log line, as JSON';

COMMENT ON COLUMN renders.fresh_until IS 'until when it may answer requests from the cache; NULL: never';

COMMENT ON COLUMN renders.partial IS 'fewer pictures than asked for';

COMMENT ON COLUMN renders.notices IS 'as JSON';

CREATE TABLE replicas (
    id TEXT NOT NULL,
    ordinal INTEGER NOT NULL,
    lease_until BIGINT NOT NULL,
    CONSTRAINT replicas_pkey PRIMARY KEY (id)
);

COMMENT ON TABLE replicas IS 'The running processes.';

COMMENT ON COLUMN replicas.ordinal IS 'the smallest that no living replica has';

COMMENT ON COLUMN replicas.lease_until IS 'alive until then unless it beats again';

CREATE TABLE totals (
    usage_hour BIGINT NOT NULL,
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
 WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 500, autovacuum_vacuum_cost_delay = 0);

CREATE INDEX totals_by_booked_hour ON totals (booked_hour);

COMMENT ON TABLE totals IS 'Sums over jobs and transfers, kept in the transactions of what they sum; every column only grows.';

COMMENT ON COLUMN totals.usage_hour IS '0: the lifetime row';

COMMENT ON COLUMN totals.booked_hour IS '0: the lifetime row';

COMMENT ON COLUMN totals.slot IS 'the writing replica''s ordinal mod 8, so that replicas seldom meet on a row';

CREATE TABLE transfers (
    source TEXT NOT NULL,
    ordinal INTEGER NOT NULL,
    kind TEXT NOT NULL,
    debit TEXT NOT NULL,
    credit TEXT NOT NULL,
    amount_nanos BIGINT NOT NULL,
    total_after_nanos BIGINT NOT NULL,
    grade TEXT NOT NULL,
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
    job_id TEXT NOT NULL,
    render_id TEXT NOT NULL,
    attempt_number INTEGER NOT NULL,
    usage_at BIGINT NOT NULL,
    booked_at BIGINT NOT NULL,
    target_ordinal INTEGER,
    memo TEXT NOT NULL,
    CONSTRAINT transfers_pkey PRIMARY KEY (source, ordinal)
);

CREATE INDEX transfers_by_job ON transfers (job_id);

CREATE INDEX transfers_by_project ON transfers (project, booked_at);

CREATE INDEX transfers_by_time ON transfers (booked_at, source, ordinal);

COMMENT ON TABLE transfers IS 'The journal. Never updated, never deleted; the database refuses both.';

COMMENT ON COLUMN transfers.source IS 'an attempt, or a storage day';

COMMENT ON COLUMN transfers.ordinal IS '0 HOLD, 1 POST or VOID, 2 and on CORRECTION';

COMMENT ON COLUMN transfers.kind IS 'HOLD, POST, VOID, CORRECTION, ACCRUAL';

COMMENT ON COLUMN transfers.debit IS 'account; a refund swaps the sides';

COMMENT ON COLUMN transfers.credit IS 'account';

COMMENT ON COLUMN transfers.total_after_nanos IS 'what the source costs after this transfer';

COMMENT ON COLUMN transfers.grade IS 'how good the evidence is';

COMMENT ON COLUMN transfers.evidence_ref IS 'the provider''s id or bill';

COMMENT ON COLUMN transfers.job_id IS 'the payer';

COMMENT ON COLUMN transfers.usage_at IS 'when it was used: fixes window and month';

COMMENT ON COLUMN transfers.booked_at IS 'when this row was written';

COMMENT ON COLUMN transfers.target_ordinal IS 'which transfer a correction moves';

CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% only grows: % is refused', TG_TABLE_NAME, TG_OP USING ERRCODE = 'restrict_violation';
END
$$;

CREATE TRIGGER transfers_stay BEFORE UPDATE OR DELETE ON transfers FOR EACH ROW EXECUTE FUNCTION refuse_change();

CREATE TRIGGER transfers_all_stay BEFORE TRUNCATE ON transfers FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

CREATE TRIGGER budget_changes_stay BEFORE UPDATE OR DELETE ON budget_changes FOR EACH ROW EXECUTE FUNCTION refuse_change();

CREATE TRIGGER budget_changes_all_stay BEFORE TRUNCATE ON budget_changes FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
