-- Notebooks and scripts: what people write, kept in versions; and notebooks that run by themselves.

-- One row a tenant that has any: locked by whoever writes, so that these sums are exact.
CREATE TABLE result.library (
    tenant_id uuid PRIMARY KEY,
    notebooks integer NOT NULL DEFAULT 0 CHECK (notebooks >= 0),
    scripts integer NOT NULL DEFAULT 0 CHECK (scripts >= 0),
    -- Of all versions of all of them.
    bytes bigint NOT NULL DEFAULT 0 CHECK (bytes >= 0)
);
SELECT public.kiln_isolate('result', 'library');

CREATE TABLE result.library_entry (
    id uuid PRIMARY KEY,
    tenant_id uuid NOT NULL,
    kind text NOT NULL CONSTRAINT library_entry_kind CHECK (kind IN ('notebook', 'script')),
    name text NOT NULL,
    description text NOT NULL DEFAULT '',
    -- As given: an id, or an alias that may come to mean another id.
    runtime text NOT NULL,
    workspace_id uuid,
    -- Grows with every change of any kind: the entity tag.
    revision bigint NOT NULL DEFAULT 1,
    -- The newest version, whose content is the entry's.
    version integer NOT NULL DEFAULT 1,
    -- Users or API keys.
    created_by uuid NOT NULL,
    updated_by uuid NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);
SELECT public.kiln_isolate('result', 'library_entry');
CREATE INDEX library_entry_by_tenant ON result.library_entry (tenant_id, kind, id DESC);

CREATE TABLE result.library_version (
    entry_id uuid NOT NULL REFERENCES result.library_entry ON DELETE CASCADE,
    tenant_id uuid NOT NULL,
    number integer NOT NULL,
    cause text NOT NULL CONSTRAINT library_version_cause CHECK (cause IN ('created', 'imported', 'saved', 'run', 'restored')),
    author uuid NOT NULL,
    -- A notebook's JSON, or a script's code.
    content bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    -- Saves that follow each other soon are one version.
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (entry_id, number)
);
SELECT public.kiln_isolate('result', 'library_version');

-- A notebook that runs, or has run: its latest run is kept, and those that have not ended.
CREATE TABLE result.notebook_run (
    id uuid PRIMARY KEY,
    tenant_id uuid NOT NULL,
    entry_id uuid NOT NULL REFERENCES result.library_entry ON DELETE CASCADE,
    created_by uuid NOT NULL,
    -- `starting` until the scheduler has taken its cells, `running` until all of them are written into the notebook.
    state text NOT NULL CONSTRAINT notebook_run_state CHECK (state IN ('starting', 'running', 'ended')),
    -- NULL when there is nothing to run.
    session_id uuid,
    -- Close the session once the run has ended.
    owns_session boolean NOT NULL,
    -- The scheduler's answer to its cells is expected until then.
    submitted_until timestamptz NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    ended_at timestamptz
);
SELECT public.kiln_isolate('result', 'notebook_run');
CREATE UNIQUE INDEX notebook_run_live ON result.notebook_run (entry_id) WHERE state <> 'ended';
CREATE INDEX notebook_run_by_entry ON result.notebook_run (entry_id, id DESC);

CREATE TABLE result.notebook_run_cell (
    run_id uuid NOT NULL REFERENCES result.notebook_run ON DELETE CASCADE,
    tenant_id uuid NOT NULL,
    position integer NOT NULL,
    cell_id text NOT NULL,
    execution_id uuid NOT NULL,
    -- Whether an exception is expected of it and stops nothing.
    may_raise boolean NOT NULL,
    -- How it ended (`not_run` when it did not come to run), once that is in the notebook.
    status text,
    reason jsonb,
    PRIMARY KEY (run_id, position)
);
SELECT public.kiln_isolate('result', 'notebook_run_cell');
CREATE INDEX notebook_run_cell_open ON result.notebook_run_cell (execution_id) WHERE status IS NULL;

-- Executions of a session that were sent together: once one fails, those behind it do not run.
ALTER TABLE scheduler.execution
    ADD COLUMN batch_id uuid,
    -- An exception does not count as a failure.
    ADD COLUMN may_raise boolean NOT NULL DEFAULT false;
CREATE INDEX execution_by_batch ON scheduler.execution (batch_id, id) WHERE batch_id IS NOT NULL;
CREATE INDEX execution_waiting_in_batch ON scheduler.execution (tenant_id, id) WHERE batch_id IS NOT NULL AND state = 'queued';

-- Whether one of the batch that is before this one has failed.
CREATE FUNCTION scheduler.stopped(batch uuid, behind uuid) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT EXISTS (
        SELECT FROM scheduler.execution AS e
        WHERE e.batch_id = batch AND e.id < behind AND e.state NOT IN ('queued', 'dispatched', 'running', 'succeeded')
          AND NOT (e.may_raise AND e.ended->'reason'->>'code' = 'exception'))
$$;
