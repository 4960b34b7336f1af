-- Totals take up a bucket once it is over, not with each batch of records: one row
-- says up to which bucket they have, and up to which key of it. So far they have all.

-- +goose Up
CREATE TABLE usage_totaled (
    one        integer     NOT NULL CHECK (one = 1),
    bucket     timestamptz NOT NULL,
    api_key_id uuid        NOT NULL,
    PRIMARY KEY (one)
);
INSERT INTO usage_totaled
    SELECT 1, COALESCE(MAX(bucket), 'epoch'), 'ffffffff-ffff-ffff-ffff-ffffffffffff' FROM usage_rollups;

-- A bucket is taken up in the order of its keys.
DROP INDEX usage_rollups_bucket_idx;
CREATE INDEX usage_rollups_bucket_idx ON usage_rollups (bucket, api_key_id);

-- +goose Down
-- Totals hold all again.
INSERT INTO usage_totals (level, start, owner_id, api_key_id, meter,
    requests, allowed, denied_limit, denied_quota, denied_cost, denied_key, denied_access, units,
    billable_units, reports, status_2xx, status_3xx, status_4xx, status_5xx, bytes_in, bytes_out)
SELECT l.level, date_trunc(l.level, r.bucket, 'UTC'), r.owner_id, r.api_key_id, r.meter,
    CAST(sum(r.requests) AS bigint), CAST(sum(r.allowed) AS bigint), CAST(sum(r.denied_limit) AS bigint),
    CAST(sum(r.denied_quota) AS bigint), CAST(sum(r.denied_cost) AS bigint),
    CAST(sum(r.denied_key) AS bigint), CAST(sum(r.denied_access) AS bigint), CAST(sum(r.units) AS bigint),
    CAST(sum(r.billable_units) AS bigint), CAST(sum(r.reports) AS bigint), CAST(sum(r.status_2xx) AS bigint),
    CAST(sum(r.status_3xx) AS bigint), CAST(sum(r.status_4xx) AS bigint), CAST(sum(r.status_5xx) AS bigint),
    CAST(sum(r.bytes_in) AS bigint), CAST(sum(r.bytes_out) AS bigint)
FROM usage_rollups r CROSS JOIN (VALUES ('hour'), ('day'), ('month')) l (level)
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
