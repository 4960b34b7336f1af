-- Which objects a change of many at once was made to: such an entry of the audit
-- log names none of them itself.

-- +goose Up
CREATE TABLE audit_objects (
    object_id TEXT NOT NULL,
    entry_id  TEXT NOT NULL,
    PRIMARY KEY (object_id, entry_id)
) WITHOUT ROWID;
CREATE INDEX audit_objects_entry_id_idx ON audit_objects (entry_id);

-- +goose Down
DROP TABLE audit_objects;
