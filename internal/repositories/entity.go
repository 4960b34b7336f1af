package repositories

import (
	"context"
	"errors"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/pkg/apierror"
)

// insertRows bounds the rows of one INSERT: SQLite takes at most 32,766
// parameters in a statement.
const insertRows = 1000

type scope = func(*gorm.DB) *gorm.DB

// byID selects by id. Text that is no UUID names nothing: it must not reach
// PostgreSQL, which refuses to compare it with one.
func byID[ID ~string](id ID) scope {
	return func(g *gorm.DB) *gorm.DB {
		parsed, err := models.ParseID[ID](string(id))
		if err != nil {
			return nothing(g)
		}
		return g.Where("id = ?", string(parsed))
	}
}

// byRef selects by id where the ref reads as one, and otherwise by the column
// that names the entity.
func byRef(column, ref string) scope {
	return func(g *gorm.DB) *gorm.DB {
		if id, err := models.ParseID[string](ref); err == nil {
			return g.Where("id = ?", id)
		}
		if !storable(ref) {
			return nothing(g) // PostgreSQL refuses to look for it
		}
		return g.Where(column+" = ?", ref)
	}
}

func nothing(g *gorm.DB) *gorm.DB {
	_ = g.AddError(gorm.ErrRecordNotFound)
	return g
}

// locked makes the row wait for, and others wait for, the transaction. SQLite
// has one writer at a time anyway.
func locked(s scope) scope {
	return func(g *gorm.DB) *gorm.DB { return s(g).Clauses(clause.Locking{Strength: clause.LockingStrengthUpdate}) }
}

// find gives the one row selected.
func find[T any](ctx context.Context, db *DB, noun string, s scope) (*T, error) {
	row := new(T)
	err := db.do(ctx, noun, func(g *gorm.DB) error { return s(g).Take(row).Error })
	if err != nil {
		return nil, err
	}
	return row, nil
}

// findMany gives the rows with these ids, keyed by them; ids of none are left
// out.
func findMany[ID ~string, T any](ctx context.Context, db *DB, noun string, ids []ID, id func(*T) ID) (map[ID]T, error) {
	found := make(map[ID]T, len(ids))
	if len(ids) == 0 {
		return found, nil
	}
	var rows []T
	err := db.do(ctx, noun, func(g *gorm.DB) error { return g.Where("id IN ?", ids).Find(&rows).Error })
	if err != nil {
		return nil, err
	}
	for i := range rows {
		found[id(&rows[i])] = rows[i]
	}
	return found, nil
}

func create(ctx context.Context, db *DB, noun string, entity any) error {
	return db.do(ctx, noun, func(g *gorm.DB) error { return g.Create(entity).Error })
}

// createMany stores all of the rows, or none.
func createMany[T any](ctx context.Context, db *DB, noun string, rows []T) error {
	if len(rows) == 0 {
		return nil
	}
	return db.InTx(ctx, func(ctx context.Context) error {
		for begin := 0; begin < len(rows); begin += insertRows {
			batch := rows[begin:min(begin+insertRows, len(rows))]
			if err := create(ctx, db, noun, &batch); err != nil {
				return err
			}
		}
		return nil
	})
}

// update stores the entity if the version it was read at is still in force,
// and gives the entity the next version and the time of the change.
func update[T any, ID ~string](ctx context.Context, db *DB, noun string, entity *T, id ID, version *int64, updatedAt *time.Time) error {
	readVersion, readAt := *version, *updatedAt
	*version, *updatedAt = readVersion+1, db.now()
	err := db.do(ctx, noun, func(g *gorm.DB) error {
		result := g.Select("*").Omit("created_at").Where("version = ?", readVersion).UpdateColumns(entity)
		if result.Error != nil || result.RowsAffected == 1 {
			return result.Error
		}
		if err := g.Select("id").Where("id = ?", string(id)).Take(new(T)).Error; err != nil {
			return err
		}
		return apierror.New(apierror.CodePreconditionFailed, "The "+noun+" has changed since it was read: read it again")
	})
	if err != nil {
		*version, *updatedAt = readVersion, readAt
	}
	return err
}

// erase deletes the row with this id, which nothing may refer to.
func erase[T any, ID ~string](ctx context.Context, db *DB, noun string, id ID) error {
	return db.do(ctx, noun, func(g *gorm.DB) error {
		result := byID(id)(g).Delete(new(T))
		switch {
		case result.Error != nil && classify(result.Error) == failReference:
			return apierror.New(apierror.CodeConflict, "The "+noun+" is still in use").Wrap(result.Error)
		case result.Error == nil && result.RowsAffected == 0:
			return gorm.ErrRecordNotFound
		}
		return result.Error
	})
}

// exists tells whether any row is selected.
func exists[T any](ctx context.Context, db *DB, noun string, s scope) (bool, error) {
	_, err := find[T](ctx, db, noun, s)
	if errors.Is(err, apierror.CodeNotFound) {
		return false, nil
	}
	return err == nil, err
}
