-- Workspaces: directories of files that live on. Their bytes are kept by executors.
ALTER TABLE scheduler.tenant
    -- NULL: the installation's default.
    ADD COLUMN storage_bytes bigint;

CREATE TABLE scheduler.workspace (
    id uuid PRIMARY KEY,
    tenant_id uuid NOT NULL,
    name text NOT NULL,
    is_default boolean NOT NULL DEFAULT false,
    quota_bytes bigint NOT NULL CHECK (quota_bytes > 0),
    max_file_bytes bigint CHECK (max_file_bytes > 0),
    -- As last told by the executor that has the files.
    used_bytes bigint NOT NULL DEFAULT 0 CHECK (used_bytes >= 0),
    -- User or API key; NULL for the tenant's own default.
    created_by uuid,
    -- The store of an executor that has the files; NULL until they are asked for.
    store_id uuid,
    -- NULL until the store has made the files.
    made_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT workspace_name_key UNIQUE (tenant_id, name)
);
SELECT public.kiln_isolate('scheduler', 'workspace');
CREATE INDEX workspace_by_tenant ON scheduler.workspace (tenant_id, id DESC);

-- A workspace is in use while one of these is there.
CREATE INDEX execution_live_in_workspace ON scheduler.execution (workspace_id)
    WHERE workspace_id IS NOT NULL AND state IN ('queued', 'dispatched', 'running');
