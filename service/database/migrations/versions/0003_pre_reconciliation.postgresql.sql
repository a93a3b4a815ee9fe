-- Reconciliation, on PostgreSQL. Statements are separated by empty lines.

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

COMMENT ON TABLE discrepancies IS 'Charges that a provider''s books and the ledger disagree about.';

COMMENT ON COLUMN discrepancies.side IS 'who knows of it: LEDGER, PROVIDER, AMOUNT';

COMMENT ON COLUMN discrepancies.subject IS 'the bill at PROVIDER, else the attempt';

COMMENT ON COLUMN discrepancies.endpoint IS 'the provider''s own name of the model';

COMMENT ON COLUMN discrepancies.provider_id IS 'the provider''s id of the request';

COMMENT ON COLUMN discrepancies.job_id IS 'who pays';

COMMENT ON COLUMN discrepancies.ledger_nanos IS 'NULL: the ledger has nothing';

COMMENT ON COLUMN discrepancies.billed_nanos IS 'NULL: the bill has nothing, or names no money';

COMMENT ON COLUMN discrepancies.usage_at IS 'when it was used, as the better-informed side says';

COMMENT ON COLUMN discrepancies.created_at IS 'when it was first seen';

COMMENT ON COLUMN discrepancies.resolution IS 'empty while it is open';

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

COMMENT ON TABLE reconciliations IS 'Comparisons of the ledger with the providers'' books.';

COMMENT ON COLUMN reconciliations.grade IS 'what the provider''s figures are';

COMMENT ON COLUMN reconciliations.range_from IS 'usage times compared';

COMMENT ON COLUMN reconciliations.number IS 'from 1; one that finds what the one before it found is not kept';

COMMENT ON COLUMN reconciliations.complete IS 'whether absence from the provider''s books proves anything';

COMMENT ON COLUMN reconciliations.ledger_nanos IS 'what the ledger had before';

CREATE INDEX attempts_by_use ON attempts (provider, usage_at, id);
