-- What each owner, key and endpoint of all keys used in closed stretches of time,
-- so that lists of the largest need not add up every key.
-- +goose Up
-- Grows with every transaction that adds to the sum: whatever was derived from a
-- stretch is up to date as long as its changes are the same.
ALTER TABLE usage_sums ADD COLUMN changes BIGINT NOT NULL DEFAULT 0;

-- They are made by upkeep, from the totals and rollups that there are: until then,
-- these are read themselves.
CREATE TABLE usage_tallies (
    meter      TEXT      NOT NULL,
    grouped_by TEXT      NOT NULL,
    since      TIMESTAMP NOT NULL CHECK (typeof(since) = 'integer'),
    until      TIMESTAMP NOT NULL CHECK (typeof(until) = 'integer'),
    changes    BIGINT    NOT NULL,
    data       BLOB      NOT NULL,
    PRIMARY KEY (meter, grouped_by, since, until)
);

-- +goose Down
DROP TABLE usage_tallies;
ALTER TABLE usage_sums DROP COLUMN changes;
