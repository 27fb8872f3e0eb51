-- A masked secret is written as asterisks where a run that was given it prints it.
ALTER TABLE auth.secrets ADD COLUMN masked boolean NOT NULL DEFAULT false;

-- What was handed out for a tenant goes with it.
CREATE INDEX refresh_tokens_for_tenant_idx ON auth.refresh_tokens (for_tenant);
