package repositories

import (
	"context"
	"database/sql"
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"gorm.io/gorm"
)

// What GORM cannot say goes to the connection of the session: it would take
// an array for a list of values. The log hears of it as of any statement.

func execute(g *gorm.DB, query string, args ...any) error {
	_, err := affected(g, query, args...)
	return err
}

// affected runs a statement and tells how many rows it touched.
func affected(g *gorm.DB, query string, args ...any) (rows int64, err error) {
	began := time.Now()
	result, err := g.Statement.ConnPool.ExecContext(g.Statement.Context, query, args...)
	if err == nil {
		rows, err = result.RowsAffected()
	}
	traced(g, began, query, rows, err)
	return rows, err
}

// texts runs a query of one column of text.
func texts(g *gorm.DB, query string, args ...any) (list []string, err error) {
	began := time.Now()
	defer func() { traced(g, began, query, int64(len(list)), err) }()
	rows, err := g.Statement.ConnPool.QueryContext(g.Statement.Context, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var text string
		if err := rows.Scan(&text); err != nil {
			return nil, err
		}
		list = append(list, text)
	}
	return list, rows.Err()
}

func traced(g *gorm.DB, began time.Time, query string, rows int64, err error) {
	g.Logger.Trace(g.Statement.Context, began, func() (string, int64) { return query, rows }, err)
}

// prepared is a statement that runs many times in one session.
type prepared struct {
	*sql.Stmt
	g     *gorm.DB
	query string
}

func prepare(g *gorm.DB, query string) (*prepared, error) {
	began := time.Now()
	statement, err := g.Statement.ConnPool.PrepareContext(g.Statement.Context, query)
	if err != nil {
		traced(g, began, query, 0, err)
		return nil, err
	}
	return &prepared{statement, g, query}, nil
}

func (p *prepared) exec(args ...any) error {
	began := time.Now()
	_, err := p.ExecContext(p.g.Statement.Context, args...)
	traced(p.g, began, p.query, 0, err)
	return err
}

func placeholder(n int) string { return "$" + strconv.Itoa(n) }

// among gives the argument for dialect.among. A list of any length is one
// parameter: each number of parameters would be another statement to prepare.
func among[ID ~string](db *DB, ids []ID) string {
	if db.engine == SQLite {
		list, _ := json.Marshal(ids) // text always can be
		return string(list)
	}
	list := make([]string, len(ids))
	for i, id := range ids {
		list[i] = string(id)
	}
	return "{" + strings.Join(list, ",") + "}"
}

// repeat runs a statement that touches a bounded number of rows until it
// touches none, each time in a transaction of its own.
func (db *DB) repeat(ctx context.Context, noun string, statement func(g *gorm.DB) (int64, error)) error {
	for {
		var rows int64
		err := db.InTx(ctx, func(ctx context.Context) error {
			return db.do(ctx, noun, func(g *gorm.DB) (err error) {
				rows, err = statement(g)
				return err
			})
		})
		if err != nil || rows == 0 {
			return err
		}
	}
}
