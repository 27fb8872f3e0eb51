-- The result service: what executions printed, displayed and left, and how they ended.
SELECT public.kiln_service_tables('result');

-- One row an execution that has printed or ended.
CREATE TABLE result.execution (
    id uuid PRIMARY KEY,
    tenant_id uuid NOT NULL,
    -- The attempt whose output is kept; frames of an earlier one are dropped.
    attempt integer NOT NULL,
    -- The scheduler's last word, once the execution has ended and all its output is stored.
    record jsonb,
    -- Sequence number of the `ended` frame, NULL until then.
    ended_seq integer,
    -- Deleted by its tenant; what it left is being removed.
    hidden boolean NOT NULL DEFAULT false,
    created_at timestamptz NOT NULL DEFAULT now()
);
SELECT public.kiln_isolate('result', 'execution');

-- The story of the kept attempt, frame by frame.
CREATE TABLE result.frame (
    execution_id uuid NOT NULL REFERENCES result.execution ON DELETE CASCADE,
    tenant_id uuid NOT NULL,
    attempt integer NOT NULL,
    seq integer NOT NULL,
    kind text NOT NULL CONSTRAINT frame_kind CHECK (kind IN ('status', 'stdout', 'stderr', 'display')),
    -- Bytes as printed for stdout and stderr, JSON for the others.
    body bytea NOT NULL,
    PRIMARY KEY (execution_id, attempt, seq)
);
SELECT public.kiln_isolate('result', 'frame');
