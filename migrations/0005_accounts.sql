-- Accounts finished: proof of e-mail addresses, forgotten passwords, invitations, plans, secrets, deletion of tenants.

ALTER TABLE auth.users ADD COLUMN email_verified_at timestamptz;

-- `user`: whatever was known of the person before is to be asked again.
ALTER TABLE auth.revocations DROP CONSTRAINT revocations_kind_check;
ALTER TABLE auth.revocations ADD CONSTRAINT revocations_kind_check CHECK (kind IN ('sign_in', 'api_key', 'user'));

-- Single-use links sent by mail; only the newest of a kind is good.
CREATE TABLE auth.mail_tokens (
    user_id uuid NOT NULL REFERENCES auth.users (id) ON DELETE CASCADE,
    purpose text NOT NULL CHECK (purpose IN ('password_reset', 'email_verification')),
    sha256 bytea NOT NULL CONSTRAINT mail_tokens_sha256_key UNIQUE CHECK (octet_length(sha256) = 32),
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    PRIMARY KEY (user_id, purpose)
);
CREATE INDEX mail_tokens_expires_at_idx ON auth.mail_tokens (expires_at);

CREATE TABLE auth.invitations (
    id uuid PRIMARY KEY,
    tenant_id uuid NOT NULL REFERENCES auth.tenants (tenant_id) ON DELETE CASCADE,
    email text NOT NULL,
    email_folded text NOT NULL,
    role text NOT NULL CHECK (role IN ('viewer', 'member', 'admin', 'owner')),
    sha256 bytea NOT NULL CONSTRAINT invitations_sha256_key UNIQUE CHECK (octet_length(sha256) = 32),
    -- User or API key.
    created_by uuid NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    CONSTRAINT invitations_one_an_address UNIQUE (tenant_id, email_folded)
);
CREATE INDEX invitations_expires_at_idx ON auth.invitations (expires_at);

-- What a tenant on the plan may use; null leaves the installation's limit in force. A tenant's own quota comes first.
CREATE TABLE auth.plans (
    name text PRIMARY KEY CHECK (name ~ '^[a-z][a-z0-9-]{0,62}$'),
    max_concurrent bigint CHECK (max_concurrent > 0),
    max_queued bigint CHECK (max_queued > 0),
    executions_per_minute bigint CHECK (executions_per_minute > 0),
    cpu_ms_per_day bigint CHECK (cpu_ms_per_day > 0),
    max_timeout_ms bigint CHECK (max_timeout_ms > 0),
    max_memory_bytes bigint CHECK (max_memory_bytes > 0),
    max_cpu_millis bigint CHECK (max_cpu_millis > 0),
    max_sessions bigint CHECK (max_sessions > 0),
    storage_bytes bigint CHECK (storage_bytes > 0)
);
INSERT INTO auth.plans VALUES
    ('free', 4, 200, 120, 2 * 3600 * 1000, 60000, 512 * 1024 * 1024, 1000, 2, 1024 * 1024 * 1024),
    ('team', 32, 10000, 6000, 200 * 3600 * 1000, 300000, NULL, NULL, 20, 100::bigint * 1024 * 1024 * 1024),
    ('unlimited', 100000, 10000000, 10000000, 9000000000000000, NULL, NULL, NULL, 100000, 9000000000000000);
-- Data of the operator's: the services only read it.
REVOKE INSERT, UPDATE, DELETE ON auth.plans FROM kiln_auth, kiln_auth_system;

ALTER TABLE auth.tenants ADD COLUMN plan text CONSTRAINT tenants_plan_fkey REFERENCES auth.plans (name);

-- Each value is encrypted under a key of its own, which is encrypted under the operator's key named by `key_id`.
CREATE TABLE auth.secrets (
    id uuid NOT NULL CONSTRAINT secrets_id_key UNIQUE,
    tenant_id uuid NOT NULL REFERENCES auth.tenants (tenant_id) ON DELETE CASCADE,
    name text NOT NULL CHECK (name ~ '^[A-Za-z_][A-Za-z0-9_]{0,127}$'),
    key_id text NOT NULL,
    wrapped_key bytea NOT NULL,
    value bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    -- User or API key.
    updated_by uuid NOT NULL,
    PRIMARY KEY (tenant_id, name)
);

-- A tenant that is gone, and what each service says it has removed of it.
CREATE TABLE auth.tenant_deletions (
    former_tenant uuid PRIMARY KEY,
    slug text NOT NULL,
    requested_by uuid NOT NULL,
    requested_at timestamptz NOT NULL DEFAULT now(),
    removed jsonb NOT NULL DEFAULT '{}'
);

SELECT public.kiln_isolate('auth', name) FROM unnest(ARRAY['invitations', 'secrets']) AS name;
REVOKE ALL ON auth.mail_tokens, auth.tenant_deletions FROM kiln_auth;
