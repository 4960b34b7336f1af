package cli

import (
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/viva/rate-limiter/internal/app"
	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/internal/services/access"
	"github.com/viva/rate-limiter/pkg/apikey"
)

func tokensCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "tokens",
		Short: "Create, list and revoke access tokens of the management API",
		Long:  "These commands open the database of the configuration themselves; a running service hears of the change within a second.",
	}
	cmd.AddCommand(tokensCreate(), tokensList(), tokensRevoke(), tokensGenerate())
	return cmd
}

func tokensCreate() *cobra.Command {
	var (
		role    string
		scopes  []string
		expires instant
	)
	cmd := &cobra.Command{
		Use: "create NAME", Short: "Create a token and print it, this once", Args: oneArg("NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			n := access.NewToken{Name: args[0], Role: role, ExpiresAt: expires.given()}
			for _, s := range scopes {
				n.Scopes = append(n.Scopes, models.TokenScope(s))
			}
			return withTokens(func(cmd *cobra.Command, db *app.Database, tokens *access.Service) error {
				_, secret, err := tokens.Create(db.Actor(cmd.Context()), n)
				if err != nil {
					return err
				}
				_, err = fmt.Fprintln(cmd.OutOrStdout(), secret.Reveal())
				return err
			})(cmd, args)
		},
	}
	cmd.Flags().StringVar(&role, "role", "", "viewer, operator or admin")
	cmd.Flags().StringSliceVar(&scopes, "scope", nil, "a scope such as keys:read (repeat or separate by commas)")
	cmd.Flags().Var(&expires, "expires", "when it stops working: a time, or a duration from now such as 720h (default never)")
	return cmd
}

func tokensList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the tokens, newest first", Args: noArgs,
		RunE: withTokens(func(cmd *cobra.Command, db *app.Database, tokens *access.Service) error {
			w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
			fmt.Fprintln(w, "ID\tNAME\tTOKEN\tSCOPES\tCREATED\tEXPIRES\tREVOKED")
			page := models.Page{Limit: models.MaxPageLimit, Sort: "-created_at"}
			for {
				list, err := tokens.List(cmd.Context(), page)
				if err != nil {
					return err
				}
				for i := range list {
					t := &list[i]
					scopes := make([]string, len(t.Scopes))
					for j, s := range t.Scopes {
						scopes[j] = string(s)
					}
					fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", t.ID, t.Name, t.Mask, strings.Join(scopes, " "),
						stamp(&t.CreatedAt), stamp(t.ExpiresAt), stamp(t.RevokedAt))
				}
				if len(list) < page.Limit {
					return w.Flush()
				}
				last := list[len(list)-1]
				page.After = &models.Position{Value: last.CreatedAt.Format(time.RFC3339Nano), ID: string(last.ID)}
			}
		}),
	}
}

func tokensRevoke() *cobra.Command {
	return &cobra.Command{
		Use: "revoke ID", Short: "Refuse a token for ever", Args: oneArg("ID"),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := models.ParseID[models.TokenID](args[0])
			if err != nil {
				return usageError{fmt.Errorf("ID: %w", err)}
			}
			return withTokens(func(cmd *cobra.Command, db *app.Database, tokens *access.Service) error {
				token, err := tokens.Revoke(db.Actor(cmd.Context()), id)
				if err != nil {
					return err
				}
				_, err = fmt.Fprintf(cmd.OutOrStdout(), "revoked %s (%s)\n", token.Name, token.Mask)
				return err
			})(cmd, args)
		},
	}
}

func tokensGenerate() *cobra.Command {
	return &cobra.Command{
		Use: "generate", Short: "Print a new token that is known to no database, for VIVA_BOOTSTRAP_TOKEN_FILE", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprintln(cmd.OutOrStdout(), apikey.GenerateToken().Reveal())
			return err
		},
	}
}

func stamp(t *time.Time) string {
	if t == nil {
		return "-"
	}
	return t.UTC().Format("2006-01-02 15:04:05")
}

// withTokens opens the database of the configuration, which must be migrated,
// for one command about tokens.
func withTokens(run func(cmd *cobra.Command, db *app.Database, tokens *access.Service) error) func(*cobra.Command, []string) error {
	return withDatabase(func(cmd *cobra.Command, db *app.Database) error {
		tokens, err := db.Tokens(cmd.Context())
		if err != nil {
			return err
		}
		return run(cmd, db, tokens)
	})
}
