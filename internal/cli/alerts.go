package cli

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/viva/rate-limiter/pkg/client"
)

func alertsCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "alerts", Short: "See alerts, and say what becomes of them"}
	cmd.AddCommand(alertsList(), alertsShow(), alertsAcknowledge(), alertsResolve(), alertsSuppress())
	return cmd
}

var alertColumns = []column[client.Alert]{
	{"id", func(a *client.Alert) string { return a.ID }},
	{"rule", func(a *client.Alert) string { return a.Rule }},
	{"severity", func(a *client.Alert) string { return a.Severity }},
	{"state", func(a *client.Alert) string { return string(a.State) }},
	{"subject", func(a *client.Alert) string { return a.Subject }},
	{"value", func(a *client.Alert) string { return number(a.Value) }},
	{"threshold", func(a *client.Alert) string { return number(a.Threshold) }},
	{"since", func(a *client.Alert) string { return stamp(&a.CreatedAt) }},
	{"resolved", func(a *client.Alert) string { return stamp(a.ResolvedAt) }},
}

var alertDetails = slices.Concat(alertColumns, []column[client.Alert]{
	{"text", func(a *client.Alert) string { return a.Text }},
	{"quota", func(a *client.Alert) string { return a.Quota }},
	{"period", func(a *client.Alert) string { return a.Period }},
	{"from", func(a *client.Alert) string { return stamp(a.PeriodStart) }},
	{"to", func(a *client.Alert) string { return stamp(a.PeriodEnd) }},
	{"fired", func(a *client.Alert) string { return stamp(a.FiredAt) }},
	{"told", func(a *client.Alert) string { return stamp(a.ToldAt) }},
	{"cause gone since", func(a *client.Alert) string { return stamp(a.ClearedAt) }},
	{"acknowledged", func(a *client.Alert) string { return stamp(a.AcknowledgedAt) }},
	{"suppressed until", func(a *client.Alert) string { return stamp(a.SuppressedUntil) }},
	{"resolution", func(a *client.Alert) string { return a.Resolution }},
	{"note", func(a *client.Alert) string { return a.Note }},
	{"by", func(a *client.Alert) string { return a.NoteBy }},
})

func number(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }

func alertsList() *cobra.Command {
	var (
		p        paging
		f        client.AlertFilter
		state    = choice{allowed: []string{"pending", "active", "acknowledged", "suppressed", "resolved"}}
		severity = choice{allowed: []string{"info", "warning", "critical"}}
		since    time.Duration
	)
	cmd := &cobra.Command{
		Use: "list", Short: "List alerts, newest first", Args: noArgs,
		Example: "  viva alerts list --state active --owner cust_42",
		RunE: remote(func(cmd *cobra.Command, c *client.Client, _ []string) error {
			f.State, f.Severity = client.AlertState(state.value), severity.value
			if since > 0 {
				f.Since = time.Now().Add(-since)
			}
			return printList(cmd, &p, c.Alerts.List(cmd.Context(), f, p.page()), alertColumns)
		}),
	}
	p.add(cmd, "created_at")
	cmd.Flags().Var(&state, "state", "only alerts in this state: "+words(state.allowed))
	cmd.Flags().Var(&severity, "severity", "only alerts of this severity: "+words(severity.allowed))
	cmd.Flags().StringVar(&f.Rule, "rule", "", "only alerts of the rule with this `id` or name")
	cmd.Flags().StringVar(&f.Owner, "owner", "", "only alerts about the owner with this `id` or external id, and its keys")
	cmd.Flags().StringVar(&f.Key, "key", "", "only alerts about the key with this `id`")
	cmd.Flags().DurationVar(&since, "since", 0, "only alerts opened so long ago or later, such as 24h")
	return cmd
}

func alertsShow() *cobra.Command {
	return description("show ID", "Describe an alert", alertDetails,
		func(ctx context.Context, c *client.Client, id string) (*client.Alert, error) {
			return c.Alerts.Get(ctx, id)
		})
}

// alertAction is a command that does one thing to an alert and says so.
func alertAction(use, short, done string, do func(ctx context.Context, c *client.Client, id, note string) (*client.Alert, error)) *cobra.Command {
	var note string
	cmd := &cobra.Command{
		Use: use + " ID", Short: short, Args: oneArg("ID"),
		RunE: remote(func(cmd *cobra.Command, c *client.Client, args []string) error {
			alert, err := do(cmd.Context(), c, args[0], note)
			if err != nil {
				return err
			}
			return printDone(cmd, alert, "%s %s: %s (%s)", done, alert.Rule, alert.Subject, alert.ID)
		}),
	}
	cmd.Flags().StringVar(&note, "note", "", "`text` for the record")
	return cmd
}

func alertsAcknowledge() *cobra.Command {
	return alertAction("acknowledge", "Say that somebody is at an alert: it is not told again", "acknowledged",
		func(ctx context.Context, c *client.Client, id, note string) (*client.Alert, error) {
			return c.Alerts.Acknowledge(ctx, id, note)
		})
}

func alertsResolve() *cobra.Command {
	cmd := alertAction("resolve", "End an alert", "resolved",
		func(ctx context.Context, c *client.Client, id, note string) (*client.Alert, error) {
			return c.Alerts.Resolve(ctx, id, note)
		})
	cmd.Long = "While its cause lasts, no alert is opened of it: only when the cause has gone and comes back."
	return cmd
}

func alertsSuppress() *cobra.Command {
	var until instant
	cmd := alertAction("suppress", "Keep an alert from being told for a time", "suppressed",
		func(ctx context.Context, c *client.Client, id, note string) (*client.Alert, error) {
			if until.at.IsZero() {
				return nil, usageError{errors.New("--until says for how long")}
			}
			return c.Alerts.Suppress(ctx, id, until.at, note)
		})
	cmd.Example = "  viva alerts suppress 0198c0de-… --until 2h --note 'known, fix is on its way'"
	cmd.Flags().Var(&until, "until", "when it may be told again: a time, or a duration from now such as 2h")
	return cmd
}
