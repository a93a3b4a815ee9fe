-- Days summed once they have ended, and what is counted now and then, on PostgreSQL. Statements are separated by empty lines.

CREATE TABLE day_totals (
    usage_day BIGINT NOT NULL,
    booked_day BIGINT NOT NULL,
    project TEXT NOT NULL,
    model TEXT NOT NULL,
    provider TEXT NOT NULL,
    route TEXT NOT NULL,
    operation TEXT NOT NULL,
    origin TEXT NOT NULL,
    outcome TEXT NOT NULL,
    evidence TEXT NOT NULL,
    fault TEXT NOT NULL,
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
    CONSTRAINT day_totals_pkey PRIMARY KEY (usage_day, booked_day, project, model, provider, route, operation, origin, outcome, evidence, fault)
);

COMMENT ON TABLE day_totals IS 'The totals of each day of booking that has ended, summed once: reports over months read these.';

CREATE TABLE day_label_totals (
    usage_day BIGINT NOT NULL,
    booked_day BIGINT NOT NULL,
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
    CONSTRAINT day_label_totals_pkey PRIMARY KEY (usage_day, booked_day, project, model, provider, route, operation, origin, outcome, evidence, fault, label_key, label_value)
);

COMMENT ON TABLE day_label_totals IS 'The same of label_totals.';

CREATE TABLE rolled_days (
    booked_day BIGINT NOT NULL,
    rolled_at BIGINT NOT NULL,
    CONSTRAINT rolled_days_pkey PRIMARY KEY (booked_day)
);

COMMENT ON TABLE rolled_days IS 'Which days of booking are in day_totals: all up to the last one.';

CREATE TABLE stored_bytes (
    project TEXT NOT NULL,
    size_bytes BIGINT NOT NULL,
    counted_at BIGINT NOT NULL,
    CONSTRAINT stored_bytes_pkey PRIMARY KEY (project)
);

COMMENT ON TABLE stored_bytes IS 'Bytes of pictures that are kept, as last counted; a picture belongs to the project that brought it first.';

CREATE INDEX attempts_unconfirmed ON attempts (project) WHERE grade = 'UNCONFIRMED';
