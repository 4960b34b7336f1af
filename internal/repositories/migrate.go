package repositories

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/pressly/goose/v3"
	"go.uber.org/zap"
)

// Migration is one step of the schema.
type Migration struct {
	Version   int64
	Name      string    // of its file
	AppliedAt time.Time // zero while it is pending
}

// Migrate brings the schema up to date and plants what an empty database needs:
// a keyspace and the plans. Of any number of processes that call it at once, one
// does the work and the others wait for it.
func (db *DB) Migrate(ctx context.Context) error {
	release, err := db.migrating(ctx)
	if err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	defer release()
	done, err := db.schema.Up(ctx)
	for _, step := range done {
		db.options.Logger.Info("migrated", zap.String("migration", step.Source.Path), zap.Duration("took", step.Duration))
	}
	if err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	return db.seed(ctx)
}

// MigrateDown takes the newest steps back, and their data with them.
func (db *DB) MigrateDown(ctx context.Context, steps int) error {
	release, err := db.migrating(ctx)
	if err != nil {
		return fmt.Errorf("migrate down: %w", err)
	}
	defer release()
	for range steps {
		step, err := db.schema.Down(ctx)
		if errors.Is(err, goose.ErrNoNextVersion) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("migrate down: %w", err)
		}
		db.options.Logger.Info("migrated down", zap.String("migration", step.Source.Path), zap.Duration("took", step.Duration))
	}
	return nil
}

// MigrationStatus lists every step this program knows, oldest first.
func (db *DB) MigrationStatus(ctx context.Context) ([]Migration, error) {
	steps, err := db.schema.Status(ctx)
	if err != nil {
		return nil, fmt.Errorf("migration status: %w", translate(ctx, err, "database"))
	}
	list := make([]Migration, len(steps))
	for i, step := range steps {
		list[i] = Migration{Version: step.Source.Version, Name: step.Source.Path, AppliedAt: step.AppliedAt.UTC()}
	}
	return list, nil
}

// Version tells the version of the schema and the one this program was made
// for. A newer schema serves an older program.
func (db *DB) Version(ctx context.Context) (current, wanted int64, err error) {
	current, wanted, err = db.schema.GetVersions(ctx)
	if err != nil {
		return 0, 0, fmt.Errorf("schema version: %w", translate(ctx, err, "database"))
	}
	return current, wanted, nil
}
