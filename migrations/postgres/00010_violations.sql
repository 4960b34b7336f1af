-- What is made of refusals: how grave they are, abuse, and owners near their quotas. And ends of keys that are told.

-- +goose Up
-- The limit at the last check that spent from the quota, and the highest percentage of it that its owner was told of.
ALTER TABLE quota_totals
    ADD COLUMN quota_limit bigint  NOT NULL DEFAULT 0,
    ADD COLUMN told        integer NOT NULL DEFAULT 0;
CREATE INDEX quota_totals_period_idx ON quota_totals (period, start);

-- A violation is due to be analyzed while analyzed < denials. No index says so: it would make every refusal that is
-- added a new entry in all of them.
ALTER TABLE rate_limit_violations
    ADD COLUMN repeats  integer NOT NULL DEFAULT 0,
    ADD COLUMN severity text    NOT NULL DEFAULT 'low',
    ADD COLUMN analyzed bigint  NOT NULL DEFAULT 0;
CREATE INDEX rate_limit_violations_rule_idx ON rate_limit_violations (api_key_id, rule, minute);
CREATE INDEX rate_limit_violations_ips_idx ON rate_limit_violations USING gin (ips jsonb_path_ops);

-- Keys, owners and addresses that were refused more often than abuse.* allows.
CREATE TABLE abuse_episodes (
    subject         text        NOT NULL COLLATE "C",
    started_at      timestamptz NOT NULL,
    seen_at         timestamptz NOT NULL,
    denials         bigint      NOT NULL,
    suspended_until timestamptz,
    pending         boolean     NOT NULL,
    progress        text        NOT NULL COLLATE "C",
    PRIMARY KEY (subject)
);

-- Since when it is known that the key has expired. Of keys that had before, nothing is told.
ALTER TABLE api_keys ADD COLUMN expiry_noted_at timestamptz;
UPDATE api_keys SET expiry_noted_at = now() WHERE expires_at <= now();
CREATE INDEX api_keys_expiry_due_idx ON api_keys (expires_at) WHERE expires_at IS NOT NULL AND expiry_noted_at IS NULL AND revoked_at IS NULL;
CREATE INDEX api_keys_suspended_until_idx ON api_keys (suspended_until) WHERE suspended_until IS NOT NULL AND revoked_at IS NULL;
CREATE INDEX secrets_expires_at_idx ON secrets (expires_at) WHERE expires_at IS NOT NULL;

-- +goose Down
DROP INDEX secrets_expires_at_idx;
DROP INDEX api_keys_suspended_until_idx;
DROP INDEX api_keys_expiry_due_idx;
ALTER TABLE api_keys DROP COLUMN expiry_noted_at;
DROP TABLE abuse_episodes;
DROP INDEX rate_limit_violations_ips_idx;
DROP INDEX rate_limit_violations_rule_idx;
ALTER TABLE rate_limit_violations DROP COLUMN analyzed, DROP COLUMN severity, DROP COLUMN repeats;
DROP INDEX quota_totals_period_idx;
ALTER TABLE quota_totals DROP COLUMN told, DROP COLUMN quota_limit;
