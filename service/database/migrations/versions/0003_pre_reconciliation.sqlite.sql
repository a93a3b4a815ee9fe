-- Reconciliation, on SQLite. Statements are separated by empty lines.

CREATE TABLE discrepancies (
    provider TEXT NOT NULL,
    side TEXT NOT NULL,
    subject TEXT NOT NULL,
    endpoint TEXT NOT NULL,
    bill_id TEXT NOT NULL,
    provider_id TEXT NOT NULL,
    attempt_id TEXT NOT NULL,
    job_id TEXT NOT NULL,
    attempt_number INTEGER NOT NULL,
    ledger_nanos BIGINT,
    billed_nanos BIGINT,
    usage_at BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    resolved_at BIGINT,
    resolution TEXT NOT NULL,
    CONSTRAINT discrepancies_pkey PRIMARY KEY (provider, side, subject)
);

CREATE INDEX discrepancies_by_time ON discrepancies (usage_at, provider, side, subject);

CREATE INDEX discrepancies_open ON discrepancies (provider, usage_at) WHERE resolved_at IS NULL;

CREATE TABLE reconciliations (
    provider TEXT NOT NULL,
    grade TEXT NOT NULL,
    range_from BIGINT NOT NULL,
    number INTEGER NOT NULL,
    range_before BIGINT NOT NULL,
    complete BOOLEAN NOT NULL,
    ledger_nanos BIGINT NOT NULL,
    billed_nanos BIGINT NOT NULL,
    corrected_nanos BIGINT NOT NULL,
    matched_count INTEGER NOT NULL,
    unmatched_ledger_count INTEGER NOT NULL,
    unmatched_provider_count INTEGER NOT NULL,
    started_at BIGINT NOT NULL,
    finished_at BIGINT NOT NULL,
    CONSTRAINT reconciliations_pkey PRIMARY KEY (provider, grade, range_from, number)
);

CREATE INDEX reconciliations_by_time ON reconciliations (started_at, provider, grade, range_from, number);

CREATE INDEX attempts_by_use ON attempts (provider, usage_at, id);
