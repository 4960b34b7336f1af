-- What is made of refusals: how grave they are, abuse, and owners near their quotas. And ends of keys that are told.

-- +goose Up
-- The limit at the last check that spent from the quota, and the highest percentage of it that its owner was told of.
ALTER TABLE quota_totals ADD COLUMN quota_limit BIGINT NOT NULL DEFAULT 0;
ALTER TABLE quota_totals ADD COLUMN told INTEGER NOT NULL DEFAULT 0;
CREATE INDEX quota_totals_period_idx ON quota_totals (period, start);

-- A violation is due to be analyzed while analyzed < denials.
ALTER TABLE rate_limit_violations ADD COLUMN repeats INTEGER NOT NULL DEFAULT 0;
ALTER TABLE rate_limit_violations ADD COLUMN severity TEXT NOT NULL DEFAULT 'low';
ALTER TABLE rate_limit_violations ADD COLUMN analyzed BIGINT NOT NULL DEFAULT 0;
CREATE INDEX rate_limit_violations_rule_idx ON rate_limit_violations (api_key_id, rule, minute);

-- Keys, owners and addresses that were refused more often than abuse.* allows.
CREATE TABLE abuse_episodes (
    subject         TEXT      NOT NULL,
    started_at      TIMESTAMP NOT NULL CHECK (typeof(started_at) = 'integer'),
    seen_at         TIMESTAMP NOT NULL CHECK (typeof(seen_at) = 'integer'),
    denials         BIGINT    NOT NULL,
    suspended_until TIMESTAMP CHECK (typeof(suspended_until) IN ('integer', 'null')),
    pending         BOOLEAN   NOT NULL,
    progress        TEXT      NOT NULL,
    PRIMARY KEY (subject)
) WITHOUT ROWID;

-- Since when it is known that the key has expired. Of keys that had before, nothing is told.
ALTER TABLE api_keys ADD COLUMN expiry_noted_at TIMESTAMP CHECK (typeof(expiry_noted_at) IN ('integer', 'null'));
UPDATE api_keys SET expiry_noted_at = CAST(unixepoch('subsec') * 1000000 AS INTEGER)
WHERE expires_at <= CAST(unixepoch('subsec') * 1000000 AS INTEGER);
CREATE INDEX api_keys_expiry_due_idx ON api_keys (expires_at) WHERE expires_at IS NOT NULL AND expiry_noted_at IS NULL AND revoked_at IS NULL;
CREATE INDEX api_keys_suspended_until_idx ON api_keys (suspended_until) WHERE suspended_until IS NOT NULL AND revoked_at IS NULL;
CREATE INDEX secrets_expires_at_idx ON secrets (expires_at) WHERE expires_at IS NOT NULL;

-- +goose Down
DROP INDEX secrets_expires_at_idx;
DROP INDEX api_keys_suspended_until_idx;
DROP INDEX api_keys_expiry_due_idx;
ALTER TABLE api_keys DROP COLUMN expiry_noted_at;
DROP TABLE abuse_episodes;
DROP INDEX rate_limit_violations_rule_idx;
ALTER TABLE rate_limit_violations DROP COLUMN analyzed;
ALTER TABLE rate_limit_violations DROP COLUMN severity;
ALTER TABLE rate_limit_violations DROP COLUMN repeats;
DROP INDEX quota_totals_period_idx;
ALTER TABLE quota_totals DROP COLUMN told;
ALTER TABLE quota_totals DROP COLUMN quota_limit;
