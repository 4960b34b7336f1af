-- Which objects a change of many at once was made to: such an entry of the audit
-- log names none of them itself. No foreign key: a check of each row would cost
-- more than the row.

-- +goose Up
CREATE TABLE audit_objects (
    object_id uuid NOT NULL,
    entry_id  uuid NOT NULL,
    PRIMARY KEY (object_id, entry_id)
);
CREATE INDEX audit_objects_entry_id_idx ON audit_objects (entry_id);

-- +goose Down
DROP TABLE audit_objects;
