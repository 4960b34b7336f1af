package app

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"go.uber.org/zap"

	"github.com/viva/rate-limiter/internal/config"
	"github.com/viva/rate-limiter/internal/services/access"
)

// headerFile holds the first admin token as a header line, for curl -H @file.
const headerFile = "admin.header"

func databaseFile(cfg *config.Config) string { return filepath.Join(cfg.Data.Dir, "viva.db") }

// bootstrap opens an empty installation: with the token the operator chose or,
// for `viva serve`, with a new one that only the data folder holds.
func bootstrap(ctx context.Context, cfg *config.Config, role config.Role, tokens *access.Service, log *zap.Logger) error {
	if cfg.Access.BootstrapToken != "" {
		if err := tokens.Adopt(ctx, string(cfg.Access.BootstrapToken)); err != nil {
			return fmt.Errorf("bootstrap token: %w", err)
		}
		return nil
	}
	if role != config.RoleServe {
		return nil
	}
	path := filepath.Join(cfg.Data.Dir, headerFile)
	err := tokens.Bootstrap(ctx, func(secret string) error { return writePrivate(path, "Authorization: Bearer "+secret+"\n") })
	if err != nil {
		return fmt.Errorf("bootstrap token: %w", err)
	}
	if _, err := os.Stat(path); err == nil {
		log.Info("the admin token is in a file", zap.String("path", path))
	}
	return nil
}

// writePrivate writes a file that only its owner can read, whole or not at all.
func writePrivate(path, text string) (err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	file, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*") // mode 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(file.Name()))
		}
	}()
	_, err = file.WriteString(text)
	if err = errors.Join(err, file.Sync(), file.Close()); err != nil {
		return err
	}
	return os.Rename(file.Name(), path)
}
