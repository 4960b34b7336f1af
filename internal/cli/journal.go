package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/viva/rate-limiter/internal/app"
	"github.com/viva/rate-limiter/internal/config"
	"github.com/viva/rate-limiter/internal/models"
)

func journalCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "journal",
		Short: "Look into journals, and bring that of a dead node into the database",
		Long: "A journal keeps what was answered until the database has it. Each start of a process begins a new stream in its folder.\n" +
			"These commands open the folder and the database of the configuration themselves.",
	}
	cmd.AddCommand(journalInspect(), journalReplay(), journalStreams(), journalLost())
	return cmd
}

// withStores opens the database of the configuration for one command that needs
// the configuration, too.
func withStores(run func(cmd *cobra.Command, cfg *config.Config, db *app.Database) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		cfg, err := loadConfig(cmd, "")
		if err != nil {
			return err
		}
		return withDatabase(func(cmd *cobra.Command, db *app.Database) error { return run(cmd, cfg, db) })(cmd, args)
	}
}

func addJSONFlag(cmd *cobra.Command, in *bool) {
	cmd.Flags().BoolVar(in, "json", false, "one JSON object a line")
}

func journalReplay() *cobra.Command {
	var dir string
	cmd := &cobra.Command{
		Use: "replay --dir DIR", Short: "Bring the journal folder of a dead node into the database", Args: noArgs,
		Long: "Each record comes into the database once, however often this is done. The folder stays as it is: delete it afterwards.\n" +
			"The process that wrote it must have ended: one that runs brings its journal in by itself.",
		Example: "  viva journal replay --dir /mnt/node-3/journal",
		RunE: withStores(func(cmd *cobra.Command, cfg *config.Config, db *app.Database) error {
			if dir == "" {
				return usageError{errors.New("--dir must name the folder")}
			}
			note := cmd.ErrOrStderr()
			var told time.Time
			done, err := db.Replay(cmd.Context(), cfg, dir, func(stream models.StreamID, seq, last int64) {
				if time.Since(told) > time.Second {
					told = time.Now()
					fmt.Fprintf(note, "%s: %d of %d\n", stream, seq, last)
				}
			}, func(message string, err error) { fmt.Fprintf(note, "%s: %v\n", message, err) })
			if printed := printReplayed(cmd.OutOrStdout(), done); err == nil {
				err = printed
			}
			return err
		}),
	}
	cmd.Flags().StringVar(&dir, "dir", "", "`folder` of the journal")
	return cmd
}

func printReplayed(out io.Writer, done []app.Replayed) error {
	if len(done) == 0 {
		_, err := fmt.Fprintln(out, "the folder holds no records")
		return err
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "STREAM\tBROUGHT IN\tMISSING\tLAST")
	for _, r := range done {
		fmt.Fprintf(w, "%s\t%d\t%d\t%d\n", r.Stream, r.Brought, r.Gaps, r.Last)
	}
	return w.Flush()
}

// streamLine is a stream as JSON.
type streamLine struct {
	ID            models.StreamID `json:"id"`
	Node          string          `json:"node"`
	LastSeq       int64           `json:"last_seq"`
	CompleteUntil *time.Time      `json:"complete_until"` // null where that is not known
	Gaps          int64           `json:"gaps"`
	CreatedAt     time.Time       `json:"created_at"`
}

func streamLineOf(c *models.IngestCursor) streamLine {
	line := streamLine{ID: c.StreamID, Node: c.Node, LastSeq: c.LastSeq, Gaps: c.Gaps, CreatedAt: c.CreatedAt.UTC()}
	if until := c.Watermark.UTC(); until.Year() >= 1970 && !until.IsZero() {
		line.CompleteUntil = &until
	}
	return line
}

func journalStreams() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use: "streams", Short: "List the streams that usage may still come from", Args: noArgs,
		Long: "A stream of a process that runs is in the list; so is one of a dead node, until its journal is replayed or it is declared lost.\n" +
			"What answers call complete_until is the earliest of the list.",
		RunE: withDatabase(func(cmd *cobra.Command, db *app.Database) error {
			list, err := db.OpenStreams(cmd.Context())
			if err != nil {
				return err
			}
			if asJSON {
				encoder := json.NewEncoder(cmd.OutOrStdout())
				for i := range list {
					if err := encoder.Encode(streamLineOf(&list[i])); err != nil {
						return err
					}
				}
				return nil
			}
			w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
			fmt.Fprintln(w, "STREAM\tNODE\tLAST\tCOMPLETE UNTIL\tMISSING\tAGE")
			for i := range list {
				line := streamLineOf(&list[i])
				fmt.Fprintf(w, "%s\t%s\t%d\t%s\t%d\t%s\n", line.ID, visible(line.Node), line.LastSeq, stamp(line.CompleteUntil), line.Gaps,
					time.Since(line.CreatedAt).Round(time.Second))
			}
			return w.Flush()
		}),
	}
	addJSONFlag(cmd, &asJSON)
	return cmd
}

func journalLost() *cobra.Command {
	cmd := &cobra.Command{
		Use: "lost STREAM", Short: "Give up what has not come of a stream", Args: oneArg("STREAM"),
		Long: "For a node whose journal is gone. Bills and complete_until no longer wait for it. Should it be found, replay it: it counts.",
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := models.ParseID[models.StreamID](args[0])
			if err != nil {
				return usageError{fmt.Errorf("STREAM: %w", err)}
			}
			if err := confirm(cmd, fmt.Sprintf("Declare stream %s lost?", id)); err != nil {
				return err
			}
			return withDatabase(func(cmd *cobra.Command, db *app.Database) error {
				lost, err := db.DeclareLost(db.Actor(cmd.Context()), id)
				if err != nil {
					return err
				}
				_, err = fmt.Fprintf(cmd.OutOrStdout(), "declared lost: stream %s of %s, after record %d\n", id, visible(lost.Node), lost.LastSeq)
				return err
			})(cmd, args)
		},
	}
	addYesFlag(cmd)
	return cmd
}
