-- Totals take up a bucket once it is over, not with each batch of records: one row
-- says up to which bucket they have, and up to which key of it. So far they have all.

-- +goose Up
CREATE TABLE usage_totaled (
    one        INTEGER   NOT NULL CHECK (one = 1),
    bucket     TIMESTAMP NOT NULL CHECK (typeof(bucket) = 'integer'),
    api_key_id TEXT      NOT NULL,
    PRIMARY KEY (one)
);
INSERT INTO usage_totaled
    SELECT 1, COALESCE(MAX(bucket), 0), 'ffffffff-ffff-ffff-ffff-ffffffffffff' FROM usage_rollups;

-- A bucket is taken up in the order of its keys.
DROP INDEX usage_rollups_bucket_idx;
CREATE INDEX usage_rollups_bucket_idx ON usage_rollups (bucket, api_key_id);

-- +goose Down
-- Totals hold all again.
INSERT INTO usage_totals (level, start, owner_id, api_key_id, meter,
    requests, allowed, denied_limit, denied_quota, denied_cost, denied_key, denied_access, units,
    billable_units, reports, status_2xx, status_3xx, status_4xx, status_5xx, bytes_in, bytes_out)
SELECT l.level,
    CASE l.level
        WHEN 'hour' THEN r.bucket - r.bucket % 3600000000
        WHEN 'day' THEN r.bucket - r.bucket % 86400000000
        ELSE CAST(strftime('%s', r.bucket / 1000000, 'unixepoch', 'start of month') AS INTEGER) * 1000000 END,
    r.owner_id, r.api_key_id, r.meter,
    sum(r.requests), sum(r.allowed), sum(r.denied_limit), sum(r.denied_quota), sum(r.denied_cost),
    sum(r.denied_key), sum(r.denied_access), sum(r.units), sum(r.billable_units), sum(r.reports),
    sum(r.status_2xx), sum(r.status_3xx), sum(r.status_4xx), sum(r.status_5xx), sum(r.bytes_in),
    sum(r.bytes_out)
FROM usage_rollups r CROSS JOIN (SELECT 'hour' AS level UNION ALL SELECT 'day' UNION ALL SELECT 'month') l
    CROSS JOIN usage_totaled s
WHERE r.bucket > s.bucket OR (r.bucket = s.bucket AND r.api_key_id > s.api_key_id)
GROUP BY 1, 2, 3, 4, 5
ON CONFLICT (api_key_id, level, start, owner_id, meter) DO UPDATE SET
    requests = usage_totals.requests + excluded.requests, allowed = usage_totals.allowed + excluded.allowed,
    denied_limit = usage_totals.denied_limit + excluded.denied_limit,
    denied_quota = usage_totals.denied_quota + excluded.denied_quota,
    denied_cost = usage_totals.denied_cost + excluded.denied_cost,
    denied_key = usage_totals.denied_key + excluded.denied_key,
    denied_access = usage_totals.denied_access + excluded.denied_access,
    units = usage_totals.units + excluded.units,
    billable_units = usage_totals.billable_units + excluded.billable_units,
    reports = usage_totals.reports + excluded.reports,
    status_2xx = usage_totals.status_2xx + excluded.status_2xx,
    status_3xx = usage_totals.status_3xx + excluded.status_3xx,
    status_4xx = usage_totals.status_4xx + excluded.status_4xx,
    status_5xx = usage_totals.status_5xx + excluded.status_5xx,
    bytes_in = usage_totals.bytes_in + excluded.bytes_in,
    bytes_out = usage_totals.bytes_out + excluded.bytes_out;
DROP TABLE usage_totaled;
DROP INDEX usage_rollups_bucket_idx;
CREATE INDEX usage_rollups_bucket_idx ON usage_rollups (bucket);
