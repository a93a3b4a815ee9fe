-- Recovery, operators and retention, on PostgreSQL. Statements are separated by empty lines.

ALTER TABLE attempts
    ADD COLUMN input_digest TEXT DEFAULT '' NOT NULL,
    ADD COLUMN posted_grade TEXT DEFAULT 'NONE' NOT NULL;

COMMENT ON COLUMN attempts.input_digest IS 'of what was sent; empty before it was';

COMMENT ON COLUMN attempts.posted_grade IS 'the grade that closed the hold; NONE before, and for a void';

UPDATE attempts SET posted_grade = t.grade FROM transfers AS t
WHERE t.source = attempts.id AND t.ordinal = 1 AND t.kind = 'POST';

CREATE INDEX attempts_without_end ON attempts (usage_at) WHERE NOT hold_open AND result IS NULL;

ALTER TABLE flights ADD COLUMN good_render_id TEXT;

COMMENT ON COLUMN flights.render_id IS 'the newest render; NULL only inside the creating transaction';

COMMENT ON COLUMN flights.good_render_id IS 'an older one that answers while the newest has no picture to keep';

CREATE INDEX renders_to_empty ON renders (finished_at) WHERE finished_at IS NOT NULL AND content != '';

CREATE INDEX renders_emptied ON renders (finished_at, id) WHERE content = '';

CREATE INDEX renders_unkept ON renders (finished_at) WHERE finished_at IS NOT NULL AND fresh_until IS NULL;

CREATE TABLE events (
    id TEXT NOT NULL,
    render_id TEXT NOT NULL,
    attempt_number INTEGER NOT NULL,
    at BIGINT NOT NULL,
    kind TEXT NOT NULL,
    cause TEXT NOT NULL,
    CONSTRAINT events_pkey PRIMARY KEY (id)
);

CREATE INDEX events_by_render ON events (render_id, at, id);

CREATE INDEX events_by_time ON events (at);

COMMENT ON TABLE events IS 'What was unusual in the life of a render. Only added to; removed by age.';

COMMENT ON COLUMN events.attempt_number IS '0: the render as a whole';

COMMENT ON COLUMN events.kind IS 'such as TAKEN_OVER, UNKNOWN, FOUND, LATE';

COMMENT ON COLUMN events.cause IS 'why, in a few words';

CREATE TABLE switches (
    scope TEXT NOT NULL,
    target TEXT NOT NULL,
    state TEXT NOT NULL,
    expires_at BIGINT,
    reason TEXT NOT NULL,
    set_by TEXT NOT NULL,
    set_at BIGINT NOT NULL,
    event_id TEXT NOT NULL,
    CONSTRAINT switches_pkey PRIMARY KEY (scope, target)
);

COMMENT ON TABLE switches IS 'What operators took out of use, and may have put back.';

COMMENT ON COLUMN switches.scope IS 'PROVIDER, ROUTE, PROJECT, DISPATCH';

COMMENT ON COLUMN switches.target IS 'empty: every dispatch';

COMMENT ON COLUMN switches.state IS 'ON, DRAIN, OFF';

COMMENT ON COLUMN switches.event_id IS 'its line in audit_events';

CREATE TABLE audit_events (
    id TEXT NOT NULL,
    at BIGINT NOT NULL,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    target TEXT NOT NULL,
    reason TEXT NOT NULL,
    details TEXT NOT NULL,
    CONSTRAINT audit_events_pkey PRIMARY KEY (id)
);

CREATE INDEX audit_events_by_time ON audit_events (at, id);

COMMENT ON TABLE audit_events IS 'What was changed outside the jobs. Never updated, never deleted; the database refuses both.';

COMMENT ON COLUMN audit_events.action IS 'such as switch.set';

COMMENT ON COLUMN audit_events.target IS 'such as provider:fal';

COMMENT ON COLUMN audit_events.details IS 'as JSON; never secrets or prompts';

CREATE TRIGGER audit_events_stay BEFORE UPDATE OR DELETE ON audit_events FOR EACH ROW EXECUTE FUNCTION refuse_change();

CREATE TRIGGER audit_events_all_stay BEFORE TRUNCATE ON audit_events FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
