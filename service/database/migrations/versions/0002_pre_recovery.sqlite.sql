-- Recovery, operators and retention, on SQLite. Statements are separated by empty lines.

-- of what was sent; empty before it was
ALTER TABLE attempts ADD COLUMN input_digest TEXT NOT NULL DEFAULT '';

-- the grade that closed the hold; NONE before, and for a void
ALTER TABLE attempts ADD COLUMN posted_grade TEXT NOT NULL DEFAULT 'NONE';

UPDATE attempts SET posted_grade = (
    SELECT t.grade FROM transfers AS t WHERE t.source = attempts.id AND t.ordinal = 1
) WHERE EXISTS (
    SELECT 1 FROM transfers AS t WHERE t.source = attempts.id AND t.ordinal = 1 AND t.kind = 'POST'
);

-- Conditions on columns that change with the hold only.
CREATE INDEX attempts_without_end ON attempts (usage_at) WHERE NOT hold_open AND result IS NULL;

-- an older one that answers while the newest has no picture to keep
ALTER TABLE flights ADD COLUMN good_render_id TEXT;

CREATE INDEX renders_to_empty ON renders (finished_at) WHERE finished_at IS NOT NULL AND content != '';

CREATE INDEX renders_emptied ON renders (finished_at, id) WHERE content = '';

CREATE INDEX renders_unkept ON renders (finished_at) WHERE finished_at IS NOT NULL AND fresh_until IS NULL;

-- What was unusual in the life of a render. Only added to; removed by age.
CREATE TABLE events (
    id TEXT NOT NULL,
    render_id TEXT NOT NULL,
    -- 0: the render as a whole
    attempt_number INTEGER NOT NULL,
    at BIGINT NOT NULL,
    -- such as TAKEN_OVER, UNKNOWN, FOUND, LATE
    kind TEXT NOT NULL,
    -- why, in a few words
    cause TEXT NOT NULL,
    CONSTRAINT events_pkey PRIMARY KEY (id)
);

CREATE INDEX events_by_render ON events (render_id, at, id);

CREATE INDEX events_by_time ON events (at);

-- What operators took out of use, and may have put back.
CREATE TABLE switches (
    -- PROVIDER, ROUTE, PROJECT, DISPATCH
    scope TEXT NOT NULL,
    -- empty: every dispatch
    target TEXT NOT NULL,
    -- ON, DRAIN, OFF
    state TEXT NOT NULL,
    expires_at BIGINT,
    reason TEXT NOT NULL,
    set_by TEXT NOT NULL,
    set_at BIGINT NOT NULL,
    -- its line in audit_events
    event_id TEXT NOT NULL,
    CONSTRAINT switches_pkey PRIMARY KEY (scope, target)
) WITHOUT ROWID;

-- What was changed outside the jobs. Never updated, never deleted; the database refuses both.
CREATE TABLE audit_events (
    id TEXT NOT NULL,
    at BIGINT NOT NULL,
    actor TEXT NOT NULL,
    -- such as switch.set
    action TEXT NOT NULL,
    -- such as provider:fal
    target TEXT NOT NULL,
    reason TEXT NOT NULL,
    -- as JSON; never secrets or prompts
    details TEXT NOT NULL,
    CONSTRAINT audit_events_pkey PRIMARY KEY (id)
);

CREATE INDEX audit_events_by_time ON audit_events (at, id);

CREATE TRIGGER audit_events_stay_unchanged BEFORE UPDATE ON audit_events
BEGIN
    SELECT RAISE(ABORT, 'audit_events only grows: UPDATE is refused');
END;

CREATE TRIGGER audit_events_stay BEFORE DELETE ON audit_events
BEGIN
    SELECT RAISE(ABORT, 'audit_events only grows: DELETE is refused');
END;

-- INSERT OR REPLACE takes the old row away without firing DELETE triggers, unless the session turns recursive triggers on.
CREATE TRIGGER audit_events_stay_themselves BEFORE INSERT ON audit_events
WHEN EXISTS (SELECT 1 FROM audit_events WHERE id = NEW.id)
BEGIN
    SELECT RAISE(ABORT, 'UNIQUE constraint failed: audit_events.id');
END;
