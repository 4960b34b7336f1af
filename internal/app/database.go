package app

import (
	"context"
	"fmt"
	"os"
	"os/user"

	"go.uber.org/zap"

	"github.com/viva/rate-limiter/internal/config"
	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/internal/repositories"
	"github.com/viva/rate-limiter/internal/services/access"
	"github.com/viva/rate-limiter/internal/services/audit"
)

// Database is the database opened for one command, beside whatever runs.
type Database struct {
	db  *repositories.DB
	log *zap.Logger
}

// OpenDatabase opens the database that the configuration names. Close it.
func OpenDatabase(ctx context.Context, cfg *config.Config) (*Database, error) {
	log := zap.NewNop()
	if cfg.Database.URL == "" {
		if err := os.MkdirAll(cfg.Data.Dir, 0o700); err != nil {
			return nil, err
		}
	}
	db, err := openDatabase(ctx, cfg, traces{}, log)
	if err != nil {
		return nil, err
	}
	return &Database{db: db, log: log}, nil
}

// Close closes the database.
func (d *Database) Close() error { return d.db.Close() }

// MigrateUp applies every migration that is missing.
func (d *Database) MigrateUp(ctx context.Context) error { return d.db.Migrate(ctx) }

// MigrateDown takes back the newest migrations.
func (d *Database) MigrateDown(ctx context.Context, steps int) error {
	return d.db.MigrateDown(ctx, steps)
}

// MigrationStatus lists the migrations, oldest first.
func (d *Database) MigrationStatus(ctx context.Context) ([]repositories.Migration, error) {
	return d.db.MigrationStatus(ctx)
}

// Tokens is the service of access tokens, which authenticates no one here.
// Running processes hear of its changes from the table of invalidations.
func (d *Database) Tokens(ctx context.Context) (*access.Service, error) {
	if err := migrated(ctx, d.db); err != nil {
		return nil, err
	}
	return access.New(repositories.NewTokens(d.db), nil, d.changes(), clock), nil
}

// changes makes changes durable; running processes hear of them from the table.
func (d *Database) changes() *changes {
	return &changes{
		db: d.db, audit: audit.New(repositories.NewAudit(d.db), clock),
		invalidations: repositories.NewInvalidations(d.db), log: d.log,
	}
}

// migrated tells whether the database answers and its schema is this program's.
func migrated(ctx context.Context, db *repositories.DB) error {
	current, wanted, err := db.Version(ctx)
	if err == nil && current < wanted {
		err = fmt.Errorf("the schema is at version %d, %d is needed: run `viva migrate up`", current, wanted)
	}
	return err
}

// Actor returns a context whose changes are recorded as made on the command
// line by the user of this process.
func (d *Database) Actor(ctx context.Context) context.Context {
	actor := models.Actor{Kind: "cli"}
	if u, err := user.Current(); err == nil {
		actor.ID, actor.Name = u.Uid, u.Username
	}
	return models.WithActor(ctx, actor)
}
