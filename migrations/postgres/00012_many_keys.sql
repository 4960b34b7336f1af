-- What is rare among millions is found along an index of its own.

-- +goose Up
CREATE INDEX api_keys_test_idx ON api_keys (created_at, id) WHERE environment = 'test';
CREATE INDEX owners_explicit_idx ON owners (created_at, id) WHERE NOT implicit;

-- +goose Down
DROP INDEX owners_explicit_idx;
DROP INDEX api_keys_test_idx;
