package cli

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/viva/rate-limiter/pkg/client"
)

func alertRulesCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "alert-rules", Short: "Say what is an alert, and try that on the past"}
	cmd.AddCommand(alertRulesCreate(), alertRulesList(), alertRulesGet(), alertRulesUpdate(), alertRulesDelete(), alertRulesPreview())
	return cmd
}

var alertRuleColumns = []column[client.AlertRule]{
	{"id", func(r *client.AlertRule) string { return r.ID }},
	{"name", func(r *client.AlertRule) string { return r.Name }},
	{"kind", func(r *client.AlertRule) string { return r.Kind }},
	{"severity", func(r *client.AlertRule) string { return r.Severity }},
	{"enabled", func(r *client.AlertRule) string { return strconv.FormatBool(r.Enabled) }},
	{"looks for", func(r *client.AlertRule) string { return alertParams(&r.Params) }},
}

var alertRuleDetails = slices.Concat(alertRuleColumns, []column[client.AlertRule]{
	{"owner", func(r *client.AlertRule) string { return textOf(r.OwnerID) }},
	{"key", func(r *client.AlertRule) string { return textOf(r.KeyID) }},
	{"plan", func(r *client.AlertRule) string { return textOf(r.PlanID) }},
	{"for", func(r *client.AlertRule) string { return span(r.ForMS) }},
	{"resolve after", func(r *client.AlertRule) string { return span(r.ResolveAfterMS) }},
	{"repeat every", func(r *client.AlertRule) string { return span(r.RepeatEveryMS) }},
	{"destinations", func(r *client.AlertRule) string { return strings.Join(r.Destinations, "\n") }},
	{"created", func(r *client.AlertRule) string { return stamp(&r.CreatedAt) }},
	{"updated", func(r *client.AlertRule) string { return stamp(&r.UpdatedAt) }},
	{"etag", func(r *client.AlertRule) string { return string(r.ETag) }},
})

func textOf(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

func span(ms int64) string { return client.FormatDuration(time.Duration(ms) * time.Millisecond) }

// alertParams shows what a rule looks for, as its flags say it.
func alertParams(p *client.AlertParams) string {
	var said []string
	say := func(name, value string, given bool) {
		if given {
			said = append(said, name+"="+value)
		}
	}
	say("percent", number(p.Percent), p.Percent != 0)
	say("quota-name", p.Quota, p.Quota != "")
	say("count", strconv.FormatInt(p.Count, 10), p.Count != 0)
	say("window", client.FormatDuration(p.Window), p.Window != 0)
	say("per", p.Per, p.Per != "")
	say("min-reports", strconv.FormatInt(p.MinReports, 10), p.MinReports != 0)
	say("client-errors", "true", p.ClientErrors)
	say("factor", number(p.Factor), p.Factor != 0)
	say("weeks", strconv.Itoa(p.Weeks), p.Weeks != 0)
	say("min-units", strconv.FormatInt(p.MinUnits, 10), p.MinUnits != 0)
	say("drop", "true", p.Drop)
	say("failed-jobs", "true", p.FailedJobs)
	say("ingestion-lag", client.FormatDuration(p.IngestionLag), p.IngestionLag != 0)
	say("ingest-losses", "true", p.IngestLosses)
	say("destinations-disabled", "true", p.DestinationsDisabled)
	return strings.Join(said, " ")
}

// alertRuleFlags are what a rule can be given when it is created, changed and
// tried.
type alertRuleFlags struct {
	rule    client.NewAlertRule
	enabled bool
}

// paramFlags name the flags that are parameters.
var paramFlags = []string{
	"percent", "quota-name", "count", "window", "per", "min-reports", "client-errors", "factor", "weeks", "min-units", "drop",
	"failed-jobs", "ingestion-lag", "ingest-losses", "destinations-disabled",
}

func (f *alertRuleFlags) add(cmd *cobra.Command) {
	flags, p := cmd.Flags(), &f.rule.Params
	flags.StringVar(&f.rule.Severity, "severity", "", "`severity` of its alerts: info, warning or critical")
	flags.BoolVar(&f.enabled, "enabled", true, "whether it is looked for")
	flags.StringVar(&f.rule.Owner, "owner", "", "only the owner with this `id` or external id")
	flags.StringVar(&f.rule.Key, "key", "", "only the key with this `id`")
	flags.StringVar(&f.rule.Plan, "plan", "", "only owners on the plan with this `id` or name")
	flags.StringVar(&f.rule.For, "for", "", "`duration` that the cause has to last before it fires")
	flags.StringVar(&f.rule.ResolveAfter, "resolve-after", "", "`duration` that the cause has to be gone before it resolves")
	flags.StringVar(&f.rule.RepeatEvery, "repeat-every", "", "`duration` after which an active alert is told again; 0s for never")
	flags.StringSliceVar(&f.rule.Destinations, "destination", nil, "`id` of one who is told; repeat for more")
	flags.Float64Var(&p.Percent, "percent", 0, "`percent` of a quota that is used, or of calls that failed")
	flags.StringVar(&p.Quota, "quota-name", "", "only quotas of this `name`")
	flags.Int64Var(&p.Count, "count", 0, "`number` of refusals in the window")
	flags.DurationVar(&p.Window, "window", 0, "`duration` in which refusals, failures or losses are counted")
	flags.StringVar(&p.Per, "per", "", "`whom` to count together: key or owner")
	flags.Int64Var(&p.MinReports, "min-reports", 0, "`number` of reports below which nothing is said of failures")
	flags.BoolVar(&p.ClientErrors, "client-errors", false, "4xx are failures, too")
	flags.Float64Var(&p.Factor, "factor", 0, "how many `times` the usual is an anomaly")
	flags.IntVar(&p.Weeks, "weeks", 0, "`number` of past weeks that are the usual")
	flags.Int64Var(&p.MinUnits, "min-units", 0, "`units` in an hour below which nothing is an anomaly")
	flags.BoolVar(&p.Drop, "drop", false, "too little is an anomaly, too")
	flags.BoolVar(&p.FailedJobs, "failed-jobs", false, "jobs that failed for good")
	flags.DurationVar(&p.IngestionLag, "ingestion-lag", 0, "`duration` that usage is brought in late")
	flags.BoolVar(&p.IngestLosses, "ingest-losses", false, "records of usage that were lost or refused")
	flags.BoolVar(&p.DestinationsDisabled, "destinations-disabled", false, "destinations that failed for so long that they are disabled")
}

// params gives the parameters where any is given.
func (f *alertRuleFlags) params(cmd *cobra.Command) *client.AlertParams {
	for _, name := range paramFlags {
		if cmd.Flag(name).Changed {
			return &f.rule.Params
		}
	}
	return nil
}

// read fills the rule from the file of --from, or from the flags.
func (f *alertRuleFlags) read(cmd *cobra.Command, args []string, from string) error {
	if from != "" {
		return readFrom(cmd, args, from, &f.rule)
	}
	f.rule.Enabled = given(cmd, "enabled", f.enabled)
	return nil
}

func addKindFlag(cmd *cobra.Command, kind *string) {
	cmd.Flags().StringVar(kind, "kind", "", "`what` it looks at: quota, violations, error_rate, anomaly or system")
}

func alertRulesCreate() *cobra.Command {
	var (
		f    alertRuleFlags
		from string
	)
	cmd := &cobra.Command{
		Use: "create NAME", Short: "Create an alert rule", Args: nameOrFrom,
		Example: "  viva alert-rules create quota-90 --kind quota --percent 90 --severity critical\n" +
			"  viva alert-rules create refusals --kind violations --count 100 --window 10m --per owner",
	}
	cmd.RunE = remote(func(cmd *cobra.Command, c *client.Client, args []string) error {
		if err := f.read(cmd, args, from); err != nil {
			return err
		}
		if from == "" {
			f.rule.Name = args[0]
		}
		rule, err := c.AlertRules.Create(cmd.Context(), f.rule)
		if err != nil {
			return err
		}
		return printOne(cmd, rule, alertRuleDetails)
	})
	f.add(cmd)
	addKindFlag(cmd, &f.rule.Kind)
	addFromFlag(cmd, &from)
	return cmd
}

func alertRulesList() *cobra.Command {
	var p paging
	cmd := &cobra.Command{
		Use: "list", Short: "List alert rules, newest first", Args: noArgs,
		RunE: remote(func(cmd *cobra.Command, c *client.Client, _ []string) error {
			return printList(cmd, &p, c.AlertRules.List(cmd.Context(), p.page()), alertRuleColumns)
		}),
	}
	p.add(cmd, "created_at, updated_at, name")
	return cmd
}

func alertRulesGet() *cobra.Command {
	return description("get RULE", "Describe an alert rule, by id or name", alertRuleDetails,
		func(ctx context.Context, c *client.Client, ref string) (*client.AlertRule, error) {
			return c.AlertRules.Get(ctx, ref)
		})
}

func alertRulesUpdate() *cobra.Command {
	var (
		f    alertRuleFlags
		p    patching
		name string
	)
	cmd := &cobra.Command{
		Use: "update RULE", Short: "Change an alert rule, by id or name", Args: oneArg("RULE"),
		Long: "What is not named stays. What it looks for is replaced as a whole, if any of that is named.\n" +
			"One that is disabled has its alerts resolved, and nobody is told.",
		Example: "  viva alert-rules update quota-80 --enabled=false",
	}
	cmd.RunE = remote(func(cmd *cobra.Command, c *client.Client, args []string) error {
		rule, err := c.AlertRules.Update(cmd.Context(), args[0], p.etag(), client.AlertRulePatch{
			Name: given(cmd, "name", name), Severity: given(cmd, "severity", f.rule.Severity), Enabled: given(cmd, "enabled", f.enabled),
			Params: f.params(cmd), Owner: changed(cmd, &p, "owner", f.rule.Owner), Key: changed(cmd, &p, "key", f.rule.Key),
			Plan: changed(cmd, &p, "plan", f.rule.Plan), For: given(cmd, "for", f.rule.For),
			ResolveAfter: given(cmd, "resolve-after", f.rule.ResolveAfter), RepeatEvery: given(cmd, "repeat-every", f.rule.RepeatEvery),
			Destinations: changed(cmd, &p, "destination", f.rule.Destinations),
		})
		if err != nil {
			return err
		}
		return printOne(cmd, rule, alertRuleDetails)
	})
	f.add(cmd)
	cmd.Flags().StringVar(&name, "name", "", "its new `name`")
	p.addPlain(cmd, "owner", "key", "plan", "destination")
	return cmd
}

func alertRulesDelete() *cobra.Command {
	return deletion("delete RULE", "Delete an alert rule, by id or name, and resolve its alerts", "Delete alert rule %s?", "deleted %s",
		func(ctx context.Context, c *client.Client, ref string) error { return c.AlertRules.Delete(ctx, ref) })
}

var firingColumns = []column[client.AlertFiring]{
	{"at", func(f *client.AlertFiring) string { return stamp(&f.At) }},
	{"subject", func(f *client.AlertFiring) string { return f.Subject }},
	{"quota", func(f *client.AlertFiring) string { return f.Quota }},
	{"value", func(f *client.AlertFiring) string { return number(f.Value) }},
	{"threshold", func(f *client.AlertFiring) string { return number(f.Threshold) }},
	{"resolved", func(f *client.AlertFiring) string { return stamp(f.ResolvedAt) }},
}

func alertRulesPreview() *cobra.Command {
	var (
		f     alertRuleFlags
		from  string
		since time.Duration
	)
	cmd := &cobra.Command{
		Use: "preview", Short: "Tell what an alert rule would have done in the past", Args: noArgs,
		Example: "  viva alert-rules preview --kind violations --count 100 --window 10m --since 240h",
	}
	cmd.RunE = remote(func(cmd *cobra.Command, c *client.Client, args []string) error {
		if err := f.read(cmd, args, from); err != nil {
			return err
		}
		var begin time.Time
		if since > 0 {
			begin = time.Now().Add(-since)
		}
		preview, err := c.AlertRules.Preview(cmd.Context(), f.rule, begin, time.Time{})
		if err != nil {
			return err
		}
		if inJSON(cmd) {
			return writeJSON(cmd.OutOrStdout(), preview)
		}
		rows := func(yield func(client.AlertFiring, error) bool) {
			for _, firing := range preview.Data {
				if !yield(firing, nil) {
					return
				}
			}
		}
		return printList(cmd, &paging{}, rows, firingColumns)
	})
	f.add(cmd)
	addKindFlag(cmd, &f.rule.Kind)
	cmd.Flags().DurationVar(&since, "since", 0, "how far to look back, at most 744h; 168h unless said otherwise")
	addFromFlag(cmd, &from)
	return cmd
}
