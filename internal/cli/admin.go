package cli

import (
	"fmt"
	"runtime/debug"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/viva/rate-limiter/internal/app"
)

func configCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "config",
		Short: "Print the configuration in effect and where each value comes from, secrets masked",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := loadConfig(cmd, "")
			if err != nil {
				return err
			}
			return cfg.Print(cmd.OutOrStdout())
		},
	}
}

func migrateCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "migrate", Short: "Bring the database schema up or down, or show where it stands"}
	var steps int
	up := &cobra.Command{
		Use: "up", Short: "Apply every migration that is missing", Args: noArgs,
		RunE: withDatabase(func(cmd *cobra.Command, db *app.Database) error { return db.MigrateUp(cmd.Context()) }),
	}
	down := &cobra.Command{
		Use: "down", Short: "Take back the newest migration", Args: noArgs,
		RunE: withDatabase(func(cmd *cobra.Command, db *app.Database) error { return db.MigrateDown(cmd.Context(), steps) }),
	}
	down.Flags().IntVar(&steps, "steps", 1, "how many migrations to take back")
	status := &cobra.Command{
		Use: "status", Short: "List the migrations and when they were applied", Args: noArgs,
		RunE: withDatabase(func(cmd *cobra.Command, db *app.Database) error {
			list, err := db.MigrationStatus(cmd.Context())
			if err != nil {
				return err
			}
			w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
			fmt.Fprintln(w, "MIGRATION\tAPPLIED")
			for _, m := range list {
				applied := "no"
				if !m.AppliedAt.IsZero() {
					applied = m.AppliedAt.UTC().Format("2006-01-02 15:04:05")
				}
				fmt.Fprintf(w, "%s\t%s\n", m.Name, applied)
			}
			return w.Flush()
		}),
	}
	cmd.AddCommand(up, down, status)
	return cmd
}

// withDatabase opens the database of the configuration for one command.
func withDatabase(run func(cmd *cobra.Command, db *app.Database) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, _ []string) (err error) {
		cfg, err := loadConfig(cmd, "")
		if err != nil {
			return err
		}
		db, err := app.OpenDatabase(cmd.Context(), cfg)
		if err != nil {
			return err
		}
		defer func() {
			if closed := db.Close(); err == nil {
				err = closed
			}
		}()
		return run(cmd, db)
	}
}

func versionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprintln(cmd.OutOrStdout(), version())
			return err
		},
	}
}

// release is the version that an image was built as, set by docker/Dockerfile.
var release string

// version is the release, the module's version, or the revision it was built from.
func version() string {
	if release != "" {
		return release
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	if v := info.Main.Version; v != "" {
		return v
	}
	return "(devel)"
}
