package repositories_test

import (
	"database/sql"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/internal/repositories"
)

// table is what both engines must agree on.
type table struct {
	columns map[string]column
	indexes map[string]index
	foreign []string
}

type column struct {
	kind     string // PostgreSQL's name of the type
	required bool
	key      bool // of the primary key
}

type index struct {
	columns   string
	unique    bool
	condition string
}

func TestBothEnginesHaveTheSameSchema(t *testing.T) {
	schemas := map[string]map[string]table{}
	for name, open := range engines {
		db := open(t, repositories.Options{})
		require.NoError(t, db.Migrate(t.Context()))
		schemas[name] = schemaOf(t, db)
	}
	postgres, sqlite := schemas[repositories.Postgres], schemas[repositories.SQLite]
	require.Len(t, postgres, 39)
	// SQLite has no index for what a JSON array holds.
	require.Contains(t, postgres["api_keys"].indexes, "api_keys_tags_idx")
	delete(postgres["api_keys"].indexes, "api_keys_tags_idx")
	require.Contains(t, postgres["rate_limit_violations"].indexes, "rate_limit_violations_ips_idx")
	delete(postgres["rate_limit_violations"].indexes, "rate_limit_violations_ips_idx")
	// A table stands in place of one.
	require.Contains(t, sqlite, "key_tags")
	delete(sqlite, "key_tags")
	for name := range postgres {
		require.Equal(t, postgres[name], sqlite[name], name)
	}
	require.Equal(t, postgres, sqlite)
}

func schemaOf(t *testing.T, db *repositories.DB) map[string]table {
	t.Helper()
	read := map[string]func(*testing.T, *sql.DB, map[string]table){
		repositories.Postgres: readPostgres, repositories.SQLite: readSQLite,
	}
	schema := map[string]table{}
	read[db.Engine()](t, repositories.Pool(db), schema)
	delete(schema, "goose_db_version")
	return schema
}

func tableOf(schema map[string]table, name string) table {
	if _, ok := schema[name]; !ok {
		schema[name] = table{columns: map[string]column{}, indexes: map[string]index{}}
	}
	return schema[name]
}

func readPostgres(t *testing.T, pool *sql.DB, schema map[string]table) {
	t.Helper()
	each(t, pool, func(scan func(...any)) {
		var name, col, kind string
		var required, key bool
		scan(&name, &col, &kind, &required, &key)
		tableOf(schema, name).columns[col] = column{kind, required, key}
	}, `SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
			EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.oid AND i.indisprimary AND a.attnum = ANY (i.indkey))
		FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
		WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relnamespace = 'public'::regnamespace
			AND a.attnum > 0 AND NOT a.attisdropped`)
	each(t, pool, func(scan func(...any)) {
		var name, idx, columns, condition string
		var unique bool
		scan(&name, &idx, &columns, &unique, &condition)
		tableOf(schema, name).indexes[idx] = index{columns, unique, plainCondition.Replace(condition)}
	}, `SELECT t.relname, x.relname,
			(SELECT string_agg(pg_get_indexdef(i.indexrelid, n, true), ', ' ORDER BY n) FROM generate_series(1, i.indnkeyatts) n),
			i.indisunique, COALESCE(pg_get_expr(i.indpred, i.indrelid), '')
		FROM pg_index i JOIN pg_class t ON t.oid = i.indrelid JOIN pg_class x ON x.oid = i.indexrelid
		WHERE t.relkind IN ('r', 'p') AND NOT t.relispartition AND t.relnamespace = 'public'::regnamespace AND NOT i.indisprimary`)
	each(t, pool, func(scan func(...any)) {
		var name, definition string
		scan(&name, &definition)
		got := schema[name]
		got.foreign = append(got.foreign, definition)
		slices.Sort(got.foreign)
		schema[name] = got
	}, `SELECT t.relname, replace(pg_get_constraintdef(f.oid), 'FOREIGN KEY ', '') FROM pg_constraint f
		JOIN pg_class t ON t.oid = f.conrelid WHERE f.contype = 'f'`)
}

// plainCondition takes from a condition what PostgreSQL adds when it shows one.
var plainCondition = strings.NewReplacer("(", "", ")", "", "::text", "")

// postgresKinds maps the types of SQLite's columns; a TEXT is an id, JSON or
// text by what the schema says of it.
var postgresKinds = map[string]string{
	"TEXT": "text", "BOOLEAN": "boolean", "TIMESTAMP": "timestamp with time zone", "BLOB": "bytea",
	"BIGINT": "bigint", "DOUBLE": "double precision",
}

var (
	jsonColumn    = regexp.MustCompile(`json_valid\((\w+)\)`)
	integerColumn = regexp.MustCompile(`^(version|id)$`)
)

func readSQLite(t *testing.T, pool *sql.DB, schema map[string]table) {
	t.Helper()
	json := map[string]bool{}
	each(t, pool, func(scan func(...any)) {
		var name, definition string
		scan(&name, &definition)
		for _, match := range jsonColumn.FindAllStringSubmatch(definition, -1) {
			json[name+"."+match[1]] = true
		}
	}, `SELECT name, sql FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'`)
	each(t, pool, func(scan func(...any)) {
		var name, col, kind string
		var required, key bool
		scan(&name, &col, &kind, &required, &key)
		mapped := postgresKinds[kind]
		switch {
		case json[name+"."+col]:
			mapped = "jsonb"
		case kind == "INTEGER" && integerColumn.MatchString(col):
			mapped = "bigint"
		case kind == "INTEGER":
			mapped = "integer"
		case (col == "id" || strings.HasSuffix(col, "_id")) && uuidColumn(name, col):
			mapped = "uuid"
		}
		tableOf(schema, name).columns[col] = column{mapped, required, key}
	}, `SELECT m.name, c.name, c.type, c."notnull", c.pk > 0 FROM sqlite_schema m, pragma_table_info(m.name) c
		WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite_%'`)
	each(t, pool, func(scan func(...any)) {
		var name, idx, definition string
		var unique bool
		scan(&name, &idx, &unique, &definition)
		_, columns, _ := strings.Cut(definition, "(")
		columns, condition, _ := strings.Cut(columns, ") WHERE ")
		tableOf(schema, name).indexes[idx] = index{strings.TrimSuffix(columns, ")"), unique, condition}
	}, `SELECT m.name, i.name, i."unique", x.sql FROM sqlite_schema m, pragma_index_list(m.name) i
		JOIN sqlite_schema x ON x.name = i.name WHERE m.type = 'table' AND i.origin = 'c'`)
	each(t, pool, func(scan func(...any)) {
		var name, from, target, to, action string
		scan(&name, &from, &target, &to, &action)
		got := schema[name]
		got.foreign = append(got.foreign, "("+from+") REFERENCES "+target+"("+to+") ON DELETE "+action)
		slices.Sort(got.foreign)
		schema[name] = got
	}, `SELECT name, group_concat("from", ', '), target, group_concat("to", ', '), action FROM (
			SELECT m.name, f.id, f.seq, f."from", f."table" AS target, f."to", f.on_delete AS action
			FROM sqlite_schema m, pragma_foreign_key_list(m.name) f WHERE m.type = 'table' ORDER BY m.name, f.id, f.seq)
		GROUP BY name, id`)
}

// uuidColumn tells the ids of ours from those that are any text.
func uuidColumn(table, col string) bool {
	switch table + "." + col {
	case "owners.external_id", "secrets.pepper_id", "audit_logs.actor_id", "audit_logs.object_id",
		"audit_logs.request_id", "idempotency_records.id", "usage_logs.request_id", "rate_limit_violations.request_id":
		return false
	}
	return true
}

func each(t *testing.T, pool *sql.DB, row func(scan func(...any)), query string) {
	t.Helper()
	rows, err := pool.QueryContext(t.Context(), query)
	require.NoError(t, err)
	defer rows.Close()
	scan := rows.Scan
	for rows.Next() {
		row(func(into ...any) { require.NoError(t, scan(into...)) })
	}
	require.NoError(t, rows.Err())
}

func TestNamesSortByCodePointWhateverTheLocaleOfTheServer(t *testing.T) {
	var others sql.NullString
	require.NoError(t, repositories.Pool(postgresSuite(t).db).QueryRowContext(t.Context(), `
		SELECT string_agg(table_name || '.' || column_name, ', ') FROM information_schema.columns
		WHERE table_schema = 'public' AND column_name IN ('name', 'external_id') AND collation_name IS DISTINCT FROM 'C'`).Scan(&others))
	require.Empty(t, others.String)
}
