package repositories

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"gorm.io/gorm"
)

const (
	// bulkRows bounds the rows of one statement, so that each stays far below
	// Options.QueryTimeout.
	bulkRows = 5000
	// bulkValues is how many rows SQLite is given at once. More of them save
	// nothing: binding costs what it costs.
	bulkValues = 32
)

// bulk writes many rows of one table. PostgreSQL is given one array for each
// column, as that is one statement to plan and to send, whatever the number of
// rows.
type bulk[T any] struct {
	table    string
	noun     string
	columns  []bulkColumn[T]
	conflict string // what becomes of a row that is there already
	// compare orders rows by the key of the table: transactions that lock rows in
	// one order do not wait for each other in a circle. Nil keeps the order.
	compare func(a, b *T) int
	// merge adds a row to another one with the same key: PostgreSQL refuses to
	// touch a row twice in one statement. Nil keeps all.
	merge func(into, row *T)
}

type bulkColumn[T any] struct {
	name  string
	array string // PostgreSQL's type of the array
	cast  string // from an element to the column
	many  func(rows []*T) any
	one   func(row *T) any
}

func columnOf[T, V any](name, array, cast string, of func(*T) V) bulkColumn[T] {
	return bulkColumn[T]{
		name: name, array: array, cast: cast,
		many: func(rows []*T) any {
			list := make([]V, len(rows))
			for i, row := range rows {
				list[i] = of(row)
			}
			return list
		},
		one: func(row *T) any { return of(row) },
	}
}

// idOf leaves it to PostgreSQL to read ids: the driver has no short way from text
// to uuid[].
func idOf[T any](name string, of func(*T) string) bulkColumn[T] {
	return columnOf(name, "text[]", "::uuid", of)
}

func textOf[T any](name string, of func(*T) string) bulkColumn[T] {
	return columnOf(name, "text[]", "", of)
}

// numberOf is also for columns of type integer: what they cannot hold is for
// PostgreSQL to refuse, not for the driver.
func numberOf[T any](name string, of func(*T) int64) bulkColumn[T] {
	return columnOf(name, "bigint[]", "", of)
}

func instantOf[T any](name string, of func(*T) time.Time) bulkColumn[T] {
	return columnOf(name, "timestamptz[]", "", of)
}

func flagOf[T any](name string, of func(*T) bool) bulkColumn[T] {
	return columnOf(name, "boolean[]", "", of)
}

// jsonOf stores what is empty as NULL, as it is stored for other entities.
func jsonOf[T, E any](name string, of func(*T) []E) bulkColumn[T] {
	encoded := func(row *T) *string {
		list := of(row)
		if len(list) == 0 {
			return nil
		}
		data, err := json.Marshal(list)
		if err != nil {
			panic("repositories: " + name + ": " + err.Error()) // these are structs of text and numbers
		}
		text := string(data)
		return &text
	}
	column := columnOf(name, "text[]", "::jsonb", encoded)
	column.one = func(row *T) any {
		if text := encoded(row); text != nil {
			return *text
		}
		return nil
	}
	return column
}

// write stores rows, all of them or none.
func (b *bulk[T]) write(ctx context.Context, db *DB, rows []T) error {
	if len(rows) == 0 {
		return nil
	}
	sorted := b.sorted(rows)
	return db.InTx(ctx, func(ctx context.Context) error {
		for part := range slices.Chunk(sorted, bulkRows) {
			if err := db.do(ctx, b.noun, func(g *gorm.DB) error { return b.insert(g, db.engine, part) }); err != nil {
				return err
			}
		}
		return nil
	})
}

// sorted gives the rows in the order of their keys, each key once.
func (b *bulk[T]) sorted(rows []T) []*T {
	list := make([]*T, len(rows))
	for i := range rows {
		list[i] = &rows[i]
	}
	if b.compare == nil {
		return list
	}
	slices.SortStableFunc(list, b.compare)
	if b.merge == nil {
		return list
	}
	once, copied := list[:1], false
	for _, row := range list[1:] {
		last := len(once) - 1
		if b.compare(once[last], row) != 0 {
			once, copied = append(once, row), false
			continue
		}
		if !copied { // the rows are the caller's
			whole := *once[last]
			once[last], copied = &whole, true
		}
		b.merge(once[last], row)
	}
	return once
}

func (b *bulk[T]) insert(g *gorm.DB, engine string, rows []*T) error {
	if engine == Postgres {
		args := make([]any, len(b.columns))
		for i, column := range b.columns {
			args[i] = column.many(rows)
		}
		return execute(g, b.unnest(), args...)
	}
	for len(rows) > 0 {
		n := bulkValues
		if len(rows) < n {
			n = 1 // the rest one by one, as each number of rows is another statement
		}
		whole := len(rows) / n * n
		if err := b.insertValues(g, rows[:whole], n); err != nil {
			return err
		}
		rows = rows[whole:]
	}
	return nil
}

// insertValues prepares a statement for n rows and runs it until all are in.
func (b *bulk[T]) insertValues(g *gorm.DB, rows []*T, n int) error {
	statement, err := prepare(g, b.values(n))
	if err != nil {
		return err
	}
	defer statement.Close()
	args := make([]any, 0, n*len(b.columns))
	for part := range slices.Chunk(rows, n) {
		args = args[:0]
		for _, row := range part {
			for i := range b.columns {
				args = append(args, b.columns[i].one(row))
			}
		}
		if err := statement.exec(args...); err != nil {
			return err
		}
	}
	return nil
}

func (b *bulk[T]) into() string {
	names := make([]string, len(b.columns))
	for i, column := range b.columns {
		names[i] = `"` + column.name + `"`
	}
	return `INSERT INTO ` + b.table + ` (` + strings.Join(names, ", ") + `) `
}

// unnest is the statement for PostgreSQL.
func (b *bulk[T]) unnest() string {
	var names, taken, arrays []string
	for i, column := range b.columns {
		names = append(names, `"`+column.name+`"`)
		taken = append(taken, `r."`+column.name+`"`+column.cast)
		arrays = append(arrays, placeholder(i+1)+"::"+column.array)
	}
	return b.into() + "SELECT " + strings.Join(taken, ", ") +
		" FROM unnest(" + strings.Join(arrays, ", ") + ") AS r (" + strings.Join(names, ", ") + ") " + b.conflict
}

// values is the statement for n rows for SQLite. OR FAIL spares it from keeping
// what the pages were before: a statement that fails dooms its transaction.
func (b *bulk[T]) values(n int) string {
	row := "(?" + strings.Repeat(", ?", len(b.columns)-1) + ")"
	return strings.Replace(b.into(), "INSERT", "INSERT OR FAIL", 1) + "VALUES " + row + strings.Repeat(", "+row, n-1) + " " + b.conflict
}

// added is the conflict clause that adds these columns to the row that is there.
func added(table, key string, columns ...string) string {
	sets := make([]string, len(columns))
	for i, name := range columns {
		sets[i] = `"` + name + `" = ` + table + `."` + name + `" + excluded."` + name + `"`
	}
	return "ON CONFLICT (" + key + ") DO UPDATE SET " + strings.Join(sets, ", ")
}

// kept is the conflict clause that leaves the row as it is.
const kept = "ON CONFLICT DO NOTHING"
