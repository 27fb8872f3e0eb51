-- The scheduler: executions and their states, and what each tenant holds.
SELECT public.kiln_service_tables('scheduler');

-- What a tenant may do, and what it holds now. The counts are the reservations: they change in the transaction that
-- accepts, starts or ends an execution, under this row's lock.
CREATE TABLE scheduler.tenant (
    tenant_id uuid PRIMARY KEY,
    suspended boolean NOT NULL DEFAULT false,
    -- NULL: the installation's default.
    max_concurrent integer,
    max_queued integer,
    executions_per_minute integer,
    queued integer NOT NULL DEFAULT 0 CONSTRAINT tenant_queued_not_negative CHECK (queued >= 0),
    active integer NOT NULL DEFAULT 0 CONSTRAINT tenant_active_not_negative CHECK (active >= 0),
    -- Executions accepted in the current minute.
    minute timestamptz NOT NULL DEFAULT 'epoch',
    minute_count integer NOT NULL DEFAULT 0
);
SELECT public.kiln_isolate('scheduler', 'tenant');
CREATE INDEX tenant_with_queue ON scheduler.tenant (tenant_id) WHERE queued > 0;

CREATE TABLE scheduler.execution (
    id uuid PRIMARY KEY,
    tenant_id uuid NOT NULL,
    -- User or API key.
    created_by uuid NOT NULL,
    -- `dispatched` is a queued execution whose attempt waits on the bus for an executor.
    state text NOT NULL CONSTRAINT execution_state CHECK (state IN
        ('queued', 'dispatched', 'running', 'succeeded', 'failed', 'timed_out', 'out_of_memory', 'cancelled', 'lost')),
    -- 0 low, 1 normal, 2 high.
    priority smallint NOT NULL,
    runtime text NOT NULL,
    limits jsonb NOT NULL,
    labels jsonb NOT NULL,
    interactive boolean NOT NULL,
    session_id uuid,
    workspace_id uuid,
    max_attempts integer NOT NULL,
    attempt integer NOT NULL DEFAULT 0,
    dispatched_at timestamptz,
    executor_id text,
    -- One start of the executor's process; a restarted executor does not own what its forerunner ran.
    executor_instance uuid,
    lease_expires_at timestamptz,
    cancel_requested_at timestamptz,
    -- The verdict, once the state is terminal.
    ended jsonb,
    start text,
    isolation text,
    created_at timestamptz NOT NULL DEFAULT now(),
    started_at timestamptz,
    finished_at timestamptz
);
SELECT public.kiln_isolate('scheduler', 'execution');
CREATE INDEX execution_by_tenant ON scheduler.execution (tenant_id, id DESC);
CREATE INDEX execution_queue ON scheduler.execution (tenant_id, priority DESC, id) WHERE state = 'queued';
CREATE INDEX execution_dispatched ON scheduler.execution (dispatched_at) WHERE state = 'dispatched';
CREATE INDEX execution_lease ON scheduler.execution (lease_expires_at) WHERE state = 'running';

-- What the program is and is given; in the object store when it is large.
CREATE TABLE scheduler.payload (
    execution_id uuid PRIMARY KEY REFERENCES scheduler.execution ON DELETE CASCADE,
    tenant_id uuid NOT NULL,
    body bytea,
    object text,
    CONSTRAINT payload_is_somewhere CHECK ((body IS NULL) <> (object IS NULL))
);
SELECT public.kiln_isolate('scheduler', 'payload');

-- Runtimes that executors have offered, so that they are known before an executor has called after a restart.
CREATE TABLE scheduler.runtime (
    id text PRIMARY KEY,
    definition jsonb NOT NULL,
    seen_at timestamptz NOT NULL DEFAULT now()
);
