-- One schema and one login role a service. The services own nothing: tables belong to the role that migrates.
-- `kiln_<service>_system` is what a service becomes (SET LOCAL ROLE) for work across tenants.
DO $$
DECLARE service text;
BEGIN
    FOREACH service IN ARRAY ARRAY['auth', 'scheduler', 'result'] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'kiln_' || service) THEN
            EXECUTE format('CREATE ROLE %I LOGIN NOINHERIT', 'kiln_' || service);
        END IF;
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'kiln_' || service || '_system') THEN
            EXECUTE format('CREATE ROLE %I NOLOGIN', 'kiln_' || service || '_system');
        END IF;
        EXECUTE format('GRANT %I TO %I', 'kiln_' || service || '_system', 'kiln_' || service);
        EXECUTE format('CREATE SCHEMA %I', service);
        EXECUTE format('GRANT USAGE ON SCHEMA %I TO %I, %I', service, 'kiln_' || service, 'kiln_' || service || '_system');
        EXECUTE format(
            'ALTER DEFAULT PRIVILEGES IN SCHEMA %I GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO %I, %I',
            service, 'kiln_' || service, 'kiln_' || service || '_system');
    END LOOP;
END $$;

REVOKE ALL ON SCHEMA public FROM PUBLIC;

-- Makes a table with a `tenant_id` visible one tenant at a time to its service, and whole to the service's system role.
CREATE FUNCTION public.kiln_isolate(schema_name text, table_name text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('ALTER TABLE %I.%I ENABLE ROW LEVEL SECURITY', schema_name, table_name);
    EXECUTE format('ALTER TABLE %I.%I FORCE ROW LEVEL SECURITY', schema_name, table_name);
    EXECUTE format(
        'CREATE POLICY tenant ON %I.%I TO %I USING (tenant_id = NULLIF(current_setting(''app.tenant_id'', true), '''')::uuid)',
        schema_name, table_name, 'kiln_' || schema_name);
    EXECUTE format('CREATE POLICY system ON %I.%I TO %I USING (true)',
        schema_name, table_name, 'kiln_' || schema_name || '_system');
END $$;

-- The tables that every service has: its outbox, and the first answers kept under an Idempotency-Key.
CREATE FUNCTION public.kiln_service_tables(schema_name text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format(
        'CREATE TABLE %I.outbox (
            id uuid PRIMARY KEY,
            subject text NOT NULL,
            body bytea NOT NULL,
            created_at timestamptz NOT NULL DEFAULT now())', schema_name);
    EXECUTE format(
        'CREATE TABLE %I.idempotency (
            tenant_id uuid NOT NULL,
            route text NOT NULL,
            key_hash bytea NOT NULL,
            request_hash bytea NOT NULL,
            object_id uuid,
            status integer,
            location text,
            body bytea,
            created_at timestamptz NOT NULL DEFAULT now(),
            PRIMARY KEY (tenant_id, route, key_hash))', schema_name);
    PERFORM public.kiln_isolate(schema_name, 'idempotency');
END $$;
