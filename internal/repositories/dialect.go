package repositories

import (
	"io/fs"

	"github.com/pressly/goose/v3"

	"github.com/viva/rate-limiter/migrations"
)

// The engines.
const (
	Postgres = "postgres"
	SQLite   = "sqlite"
)

// dialect is where the SQL of the engines differs.
type dialect struct {
	engine string
	goose  goose.Dialect
	files  func() fs.FS
	// ago is the database's clock, less ? microseconds.
	ago string
	// tagged is the condition that the JSON array tags holds ?.
	tagged string
	// taggedKeys gives ids of keys with tag ?, at most ?.
	taggedKeys string
	// among follows a column of ids that is to be in a list (see among).
	among string
}

var postgresDialect = dialect{
	engine: Postgres,
	goose:  goose.DialectPostgres,
	files:  migrations.Postgres,
	// Not clock_timestamp(): an index serves only what is stable in a statement.
	ago:    "statement_timestamp() - ? * interval '1 microsecond'",
	tagged: "tags @> jsonb_build_array(?::text)",

	taggedKeys: "SELECT id FROM api_keys WHERE tags @> jsonb_build_array(?::text) LIMIT ?",
	among:      "= ANY (?)",
}

var sqliteDialect = dialect{
	engine: SQLite,
	goose:  goose.DialectSQLite3,
	files:  migrations.SQLite,
	ago:    "CAST(unixepoch('subsec') * 1000000 AS INTEGER) - ?",
	tagged: "EXISTS (SELECT 1 FROM json_each(tags) WHERE value = ?)",

	taggedKeys: "SELECT key_id FROM key_tags WHERE tag = ? LIMIT ?",
	among:      "IN (SELECT value FROM json_each(?))",
}
