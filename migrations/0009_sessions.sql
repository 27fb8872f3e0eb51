-- Sessions: interpreters that live on, each in one executor's sandbox, under a lease.
CREATE TABLE scheduler.session (
    id uuid PRIMARY KEY,
    tenant_id uuid NOT NULL,
    -- User or API key.
    created_by uuid NOT NULL,
    name text NOT NULL,
    runtime text NOT NULL,
    limits jsonb NOT NULL,
    workspace_id uuid,
    idle_timeout_ms bigint NOT NULL,
    -- Whether it is busy is what its executions say.
    state text NOT NULL CONSTRAINT session_state CHECK (state IN ('starting', 'open', 'closed')),
    -- Code and message, once it is closed.
    reason jsonb,
    executor_id text,
    -- One start of the executor's process; a restarted executor does not have what its forerunner had.
    executor_instance uuid,
    lease_expires_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    -- Made, restarted or given an execution; the ends of its executions count as well.
    last_active_at timestamptz NOT NULL DEFAULT now(),
    closed_at timestamptz
);
SELECT public.kiln_isolate('scheduler', 'session');
CREATE INDEX session_by_tenant ON scheduler.session (tenant_id, id DESC);
CREATE INDEX session_live ON scheduler.session (tenant_id) WHERE state <> 'closed';

CREATE INDEX execution_by_session ON scheduler.execution (session_id, id) WHERE session_id IS NOT NULL;

-- NULL: the installation's default.
ALTER TABLE scheduler.tenant ADD COLUMN max_sessions integer;
