-- What tenants may use by plan, what they have used by day, and how their deletion goes.
ALTER TABLE scheduler.tenant
    ADD COLUMN cpu_ms_per_day bigint,
    ADD COLUMN max_timeout_ms bigint,
    ADD COLUMN max_memory_bytes bigint,
    ADD COLUMN max_cpu_millis bigint,
    -- CPU time of executions that ended on this day (UTC).
    ADD COLUMN cpu_day date NOT NULL DEFAULT 'epoch',
    ADD COLUMN cpu_ms_spent bigint NOT NULL DEFAULT 0,
    -- When the auth service last said how the tenant is; older news is dropped.
    ADD COLUMN told_at timestamptz NOT NULL DEFAULT 'epoch',
    ADD COLUMN deleted boolean NOT NULL DEFAULT false;

-- Sums over ended executions, added to in the transaction that ends each; they outlive the executions themselves.
CREATE TABLE scheduler.usage (
    tenant_id uuid NOT NULL,
    -- The day (UTC) on which the executions ended.
    day date NOT NULL,
    -- User or API key.
    created_by uuid NOT NULL,
    runtime text NOT NULL,
    executions bigint NOT NULL,
    cpu_ms bigint NOT NULL,
    wall_ms bigint NOT NULL,
    -- Peak memory times wall time.
    memory_byte_ms numeric(38, 0) NOT NULL,
    PRIMARY KEY (tenant_id, day, created_by, runtime)
);
SELECT public.kiln_isolate('scheduler', 'usage');

INSERT INTO scheduler.usage
SELECT tenant_id, (finished_at AT TIME ZONE 'UTC')::date, created_by, runtime, count(*),
       sum((ended->'usage'->>'cpu_ms')::bigint), sum((ended->'usage'->>'wall_ms')::bigint),
       sum((ended->'usage'->>'memory_peak_bytes')::numeric * (ended->'usage'->>'wall_ms')::numeric)
FROM scheduler.execution WHERE ended IS NOT NULL AND finished_at IS NOT NULL GROUP BY 1, 2, 3, 4;

UPDATE scheduler.tenant AS t SET cpu_day = u.day, cpu_ms_spent = u.cpu_ms
FROM (SELECT tenant_id, day, sum(cpu_ms)::bigint AS cpu_ms FROM scheduler.usage
      WHERE day = (now() AT TIME ZONE 'UTC')::date GROUP BY 1, 2) AS u
WHERE u.tenant_id = t.tenant_id;

-- `stop_cause`: why a run is being stopped; NULL with `cancel_requested_at` set: its user wished so.
ALTER TABLE scheduler.execution
    ADD COLUMN stop_cause text,
    -- Names of the tenant's secrets that it is given; the values come when its attempt has been claimed.
    ADD COLUMN secrets text[] NOT NULL DEFAULT '{}';
