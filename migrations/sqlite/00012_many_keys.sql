-- What is rare among millions is found along an index of its own. SQLite has none
-- for what a JSON array holds: a table stands in its place. New keys are put into
-- it many at once; what becomes of their tags, triggers see to.

-- +goose Up
CREATE INDEX api_keys_test_idx ON api_keys (created_at, id) WHERE environment = 'test';
CREATE INDEX owners_explicit_idx ON owners (created_at, id) WHERE NOT implicit;

CREATE TABLE key_tags (
    tag    TEXT NOT NULL,
    key_id TEXT NOT NULL,
    PRIMARY KEY (tag, key_id)
) WITHOUT ROWID;
INSERT INTO key_tags SELECT DISTINCT t.value, k.id FROM api_keys k, json_each(k.tags) t;

-- +goose StatementBegin
CREATE TRIGGER api_keys_tags_update AFTER UPDATE OF tags ON api_keys WHEN new.tags IS NOT old.tags BEGIN
    DELETE FROM key_tags WHERE key_id = old.id AND tag IN (SELECT value FROM json_each(old.tags));
    INSERT INTO key_tags SELECT DISTINCT value, new.id FROM json_each(new.tags);
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER api_keys_tags_delete AFTER DELETE ON api_keys WHEN old.tags IS NOT NULL BEGIN
    DELETE FROM key_tags WHERE key_id = old.id AND tag IN (SELECT value FROM json_each(old.tags));
END;
-- +goose StatementEnd

-- +goose Down
DROP TRIGGER api_keys_tags_delete;
DROP TRIGGER api_keys_tags_update;
DROP TABLE key_tags;
DROP INDEX owners_explicit_idx;
DROP INDEX api_keys_test_idx;
