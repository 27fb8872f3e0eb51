-- Accounts, tenants, credentials and the record of who did what.
-- Tables that know accounts across tenants are for the system role alone; `kiln_auth` itself sees one tenant at a time.

CREATE TABLE auth.users (
    id uuid PRIMARY KEY,
    -- As the person wrote it, in NFC; `email_folded` is what makes it one account.
    email text NOT NULL CHECK (octet_length(email) BETWEEN 3 AND 254),
    email_folded text NOT NULL CONSTRAINT users_email_folded_key UNIQUE,
    name text NOT NULL CHECK (char_length(name) BETWEEN 1 AND 200),
    platform_admin boolean NOT NULL DEFAULT false,
    disabled_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now()
);

-- One way in; others (single sign-on) get tables of their own beside it.
CREATE TABLE auth.passwords (
    user_id uuid PRIMARY KEY REFERENCES auth.users (id) ON DELETE CASCADE,
    -- A PHC string: algorithm, cost, salt and hash.
    hash text NOT NULL,
    changed_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE auth.tenants (
    tenant_id uuid PRIMARY KEY,
    name text NOT NULL CHECK (char_length(name) BETWEEN 1 AND 200),
    slug text NOT NULL CONSTRAINT tenants_slug_key UNIQUE CHECK (slug ~ '^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$'),
    suspended_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now()
);

-- A tenant's own limits; null leaves the installation's in force.
CREATE TABLE auth.quotas (
    tenant_id uuid PRIMARY KEY REFERENCES auth.tenants (tenant_id) ON DELETE CASCADE,
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

CREATE TABLE auth.memberships (
    tenant_id uuid NOT NULL REFERENCES auth.tenants (tenant_id) ON DELETE CASCADE,
    user_id uuid NOT NULL REFERENCES auth.users (id) ON DELETE CASCADE,
    role text NOT NULL CHECK (role IN ('viewer', 'member', 'admin', 'owner')),
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, user_id)
);
CREATE INDEX memberships_user_id_idx ON auth.memberships (user_id, created_at);

-- A signed-in device: the family of every refresh token that began with one login.
CREATE TABLE auth.sign_ins (
    id uuid PRIMARY KEY,
    user_id uuid NOT NULL REFERENCES auth.users (id) ON DELETE CASCADE,
    address inet NOT NULL,
    user_agent text NOT NULL CHECK (char_length(user_agent) <= 400),
    created_at timestamptz NOT NULL DEFAULT now(),
    last_used_at timestamptz NOT NULL DEFAULT now(),
    -- However often it is refreshed, it ends here.
    expires_at timestamptz NOT NULL,
    revoked_at timestamptz,
    revoked_because text CHECK (revoked_because IN ('logout', 'reuse', 'by_user', 'password', 'disabled')),
    CHECK ((revoked_at IS NULL) = (revoked_because IS NULL))
);
CREATE INDEX sign_ins_user_id_idx ON auth.sign_ins (user_id, id DESC);
CREATE INDEX sign_ins_expires_at_idx ON auth.sign_ins (expires_at);

-- `for_tenant` is not this row's owner but what tokens made from it are for.
CREATE TABLE auth.refresh_tokens (
    sha256 bytea PRIMARY KEY CHECK (octet_length(sha256) = 32),
    sign_in_id uuid NOT NULL REFERENCES auth.sign_ins (id) ON DELETE CASCADE,
    for_tenant uuid NOT NULL,
    issued_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    used_at timestamptz
);
CREATE INDEX refresh_tokens_sign_in_id_idx ON auth.refresh_tokens (sign_in_id, issued_at);

-- Single-use passes for streams, good for half a minute.
CREATE TABLE auth.tickets (
    sha256 bytea PRIMARY KEY CHECK (octet_length(sha256) = 32),
    sign_in_id uuid NOT NULL REFERENCES auth.sign_ins (id) ON DELETE CASCADE,
    for_tenant uuid NOT NULL,
    expires_at timestamptz NOT NULL
);
CREATE INDEX tickets_expires_at_idx ON auth.tickets (expires_at);

-- Keys that sign access tokens: `next` is published before it signs, `retired` is published until its last token is dead.
CREATE TABLE auth.signing_keys (
    kid text PRIMARY KEY,
    state text NOT NULL CHECK (state IN ('next', 'active', 'retired')),
    pkcs8 bytea NOT NULL,
    public_key bytea NOT NULL CHECK (octet_length(public_key) = 32),
    created_at timestamptz NOT NULL DEFAULT now(),
    retired_at timestamptz
);
CREATE UNIQUE INDEX signing_keys_one_active ON auth.signing_keys (state) WHERE state = 'active';

CREATE TABLE auth.api_keys (
    id uuid PRIMARY KEY,
    tenant_id uuid NOT NULL REFERENCES auth.tenants (tenant_id) ON DELETE CASCADE,
    created_by uuid NOT NULL REFERENCES auth.users (id) ON DELETE CASCADE,
    name text NOT NULL CHECK (char_length(name) BETWEEN 1 AND 200),
    -- What people may see of the key.
    prefix text NOT NULL,
    sha256 bytea NOT NULL CONSTRAINT api_keys_sha256_key UNIQUE CHECK (octet_length(sha256) = 32),
    scopes text[] NOT NULL CHECK (cardinality(scopes) > 0),
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz,
    last_used_at timestamptz,
    revoked_at timestamptz
);
CREATE INDEX api_keys_tenant_id_idx ON auth.api_keys (tenant_id, id DESC) WHERE revoked_at IS NULL;

-- What was revoked while access tokens that it touches may still live; swept afterwards.
CREATE TABLE auth.revocations (
    id uuid PRIMARY KEY,
    subject uuid NOT NULL,
    kind text NOT NULL CHECK (kind IN ('sign_in', 'api_key')),
    revoked_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX revocations_revoked_at_idx ON auth.revocations (revoked_at, id);

-- Failed logins of an account from an address, in a window that begins with the first of them.
-- The account is a hash, so that tries against unknown addresses leave no list of e-mail addresses behind.
CREATE TABLE auth.login_failures (
    account bytea NOT NULL CHECK (octet_length(account) = 32),
    address inet NOT NULL,
    failures integer NOT NULL,
    window_started_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (account, address)
);
CREATE INDEX login_failures_window_idx ON auth.login_failures (window_started_at);

-- Append-only. A row without a tenant concerns an account or nobody that is known.
CREATE TABLE auth.audit_log (
    id uuid PRIMARY KEY,
    tenant_id uuid,
    at timestamptz NOT NULL DEFAULT now(),
    actor_user_id uuid,
    actor_api_key_id uuid,
    actor_email text,
    address inet,
    action text NOT NULL,
    object text NOT NULL,
    before jsonb,
    after jsonb
);
CREATE INDEX audit_log_tenant_id_idx ON auth.audit_log (tenant_id, id DESC);

SELECT public.kiln_service_tables('auth');

SELECT public.kiln_isolate('auth', name)
FROM unnest(ARRAY['tenants', 'quotas', 'memberships', 'api_keys', 'audit_log']) AS name;

REVOKE ALL ON
    auth.users, auth.passwords, auth.sign_ins, auth.refresh_tokens, auth.tickets,
    auth.signing_keys, auth.revocations, auth.login_failures
FROM kiln_auth;
-- Revoking a key within a tenant's transaction also tells every verifier.
GRANT INSERT ON auth.revocations TO kiln_auth;
REVOKE UPDATE, DELETE ON auth.audit_log FROM kiln_auth, kiln_auth_system;
