package cli

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/viva/rate-limiter/pkg/client"
)

// moment is a flag that names an instant, by itself, by its date, or by how long
// ago it was.
type moment struct{ at time.Time }

func (m *moment) Type() string { return "when" }

func (m *moment) String() string {
	if m.at.IsZero() {
		return ""
	}
	return m.at.Format(time.RFC3339)
}

func (m *moment) Set(text string) (err error) {
	if d, err := time.ParseDuration(text); err == nil && d > 0 {
		m.at = time.Now().UTC().Add(-d).Truncate(time.Second)
		return nil
	}
	if m.at, err = time.Parse(time.RFC3339, text); err == nil {
		return nil
	}
	if m.at, err = time.Parse(time.DateOnly, text); err == nil {
		return nil
	}
	return errors.New("must be a duration ago such as 24h, a date of UTC such as 2027-01-31, or a time such as 2027-01-31T09:30:00Z")
}

func addRangeFlags(cmd *cobra.Command, from, to *moment, standard string) {
	cmd.Flags().Var(from, "from", "not before this time: a duration ago, a date or a time (default "+standard+")")
	cmd.Flags().Var(to, "to", "before this time (default now)")
}

func usageCommand() *cobra.Command {
	var (
		q               client.UsageQuery
		key, owner      string
		endpoint        string
		from, to        moment
		by, granularity = choice{allowed: []string{"owner", "key", "endpoint", "meter"}}, choice{allowed: []string{"hour", "day", "week", "month"}}
	)
	cmd := &cobra.Command{
		Use: "usage", Short: "Show what was used, along time or by owner, key, endpoint or meter", Args: noArgs,
		Example: "  viva usage --owner cust_42 --granularity month --from 2027-01-01 --tz Europe/Berlin\n" +
			"  viva usage --by key --from 24h --limit 10",
		RunE: remote(func(cmd *cobra.Command, c *client.Client, _ []string) error {
			if key != "" && owner != "" {
				return usageError{errors.New("--key and --owner exclude each other")}
			}
			q.From, q.To, q.Granularity, q.Endpoint = from.at, to.at, client.Granularity(granularity.value), given(cmd, "endpoint", endpoint)
			if by.value != "" {
				return printGroups(cmd, c, key, owner, client.UsageGroup(by.value), q)
			}
			return printSeries(cmd, c, key, owner, q)
		}),
	}
	flags := cmd.Flags()
	flags.StringVar(&key, "key", "", "only usage of the key with this `id`")
	flags.StringVar(&owner, "owner", "", "only usage of the owner with this `id` or external id")
	flags.Var(&by, "by", "list the largest of these: owner, key, endpoint, meter")
	flags.Var(&granularity, "granularity", "periods of this length: hour, day, week, month (default day)")
	flags.StringVar(&q.TimeZone, "tz", "", "IANA `name` of the time zone of the periods (default UTC)")
	flags.StringVar(&q.Meter, "meter", "", "`name` of what is counted (default requests)")
	flags.StringVar(&endpoint, "endpoint", "", "only usage of this `path`")
	flags.IntVar(&q.Limit, "limit", 0, "with --by, the most rows to list (default 100)")
	addRangeFlags(cmd, &from, &to, "24 hours, 30 days, 12 weeks or a year ago, by granularity")
	return cmd
}

// countColumns show what adds up.
func countColumns[T any](of func(*T) *client.UsageCounts) []column[T] {
	number := func(title string, n func(*client.UsageCounts) int64) column[T] {
		return column[T]{title, func(v *T) string { return strconv.FormatInt(n(of(v)), 10) }}
	}
	return []column[T]{
		number("requests", func(c *client.UsageCounts) int64 { return c.Requests }),
		number("allowed", func(c *client.UsageCounts) int64 { return c.Allowed }),
		number("denied", func(c *client.UsageCounts) int64 { return c.Denied }),
		number("units", func(c *client.UsageCounts) int64 { return c.Units }),
		number("reports", func(c *client.UsageCounts) int64 { return c.Reports }),
		number("5xx", func(c *client.UsageCounts) int64 { return c.Status5xx }),
	}
}

func printSeries(cmd *cobra.Command, c *client.Client, key, owner string, q client.UsageQuery) (err error) {
	var series *client.UsageSeries
	switch {
	case key != "":
		series, err = c.KeyUsage(cmd.Context(), key, q)
	case owner != "":
		series, err = c.OwnerUsage(cmd.Context(), owner, q)
	default:
		series, err = c.Usage(cmd.Context(), q)
	}
	if err != nil {
		return err
	}
	if inJSON(cmd) {
		return writeJSON(cmd.OutOrStdout(), series)
	}
	zone, err := time.LoadLocation(series.TimeZone)
	if err != nil {
		zone = time.UTC
	}
	type row struct {
		title  string
		counts *client.UsageCounts
	}
	t := &tableList[row]{w: newTable(cmd.OutOrStdout()), columns: append(
		[]column[row]{{"from", func(r *row) string { return r.title }}}, countColumns(func(r *row) *client.UsageCounts { return r.counts })...)}
	for i := range series.Periods {
		p := &series.Periods[i]
		if err := t.add(&row{p.From.In(zone).Format("2006-01-02 15:04 MST"), &p.UsageCounts}); err != nil {
			return err
		}
	}
	if err := t.add(&row{"total", &series.Total}); err != nil {
		return err
	}
	if err := t.end(); err != nil {
		return err
	}
	if l := series.Latency; l != nil {
		fmt.Fprintf(cmd.OutOrStdout(), "\nlatency of %d reports: half within %s, 95 %% within %s, 99 %% within %s\n",
			l.Reports, milliseconds(l.P50MS), milliseconds(l.P95MS), milliseconds(l.P99MS))
	}
	return complete(cmd, series.KeptFrom, series.CompleteUntil)
}

// complete tells how far what was printed is complete.
func complete(cmd *cobra.Command, from, until *time.Time) error {
	var text string
	if from != nil {
		text = "usage from before " + stamp(from) + " is kept no longer, except for whole months of UTC of a key or an owner\n"
	}
	if until != nil {
		text += "complete until " + stamp(until) + "\n"
	}
	_, err := io.WriteString(cmd.ErrOrStderr(), text)
	return err
}

func printGroups(cmd *cobra.Command, c *client.Client, key, owner string, by client.UsageGroup, q client.UsageQuery) (err error) {
	var groups *client.UsageGroups
	switch {
	case key != "":
		groups, err = c.KeyUsageBy(cmd.Context(), key, by, q)
	case owner != "":
		groups, err = c.OwnerUsageBy(cmd.Context(), owner, by, q)
	default:
		groups, err = c.UsageBy(cmd.Context(), by, q)
	}
	if err != nil {
		return err
	}
	if inJSON(cmd) {
		return writeJSON(cmd.OutOrStdout(), groups)
	}
	columns := []column[client.UsageMember]{{string(by), memberName}}
	if by == client.GroupKey || by == client.GroupOwner {
		columns = append(columns, column[client.UsageMember]{"name", func(m *client.UsageMember) string { return m.Label }})
	}
	columns = append(columns, countColumns(func(m *client.UsageMember) *client.UsageCounts { return &m.UsageCounts })...)
	t := &tableList[client.UsageMember]{w: newTable(cmd.OutOrStdout()), columns: columns}
	for i := range groups.Groups {
		if err := t.add(&groups.Groups[i]); err != nil {
			return err
		}
	}
	if err := t.end(); err != nil {
		return err
	}
	return complete(cmd, groups.KeptFrom, groups.CompleteUntil)
}

func memberName(m *client.UsageMember) string { return strings.TrimSpace(m.Method + " " + m.Name) }

var violationColumns = []column[client.Violation]{
	{"minute", func(v *client.Violation) string { return stamp(&v.Minute) }},
	{"key", func(v *client.Violation) string { return v.KeyID }},
	{"rule", func(v *client.Violation) string { return v.Rule }},
	{"limit", func(v *client.Violation) string { return strconv.FormatInt(v.Limit, 10) }},
	{"refused", func(v *client.Violation) string { return strconv.FormatInt(v.Count, 10) }},
	{"severity", func(v *client.Violation) string { return v.Severity }},
	{"repeats", func(v *client.Violation) string { return strconv.Itoa(v.Repeats) }},
	{"code", func(v *client.Violation) string { return string(v.Code) }},
	{"endpoint", func(v *client.Violation) string { return v.Endpoint }},
	{"from", func(v *client.Violation) string { return words(v.IPs) }},
	{"first request", func(v *client.Violation) string { return v.RequestID }},
}

func violationsCommand() *cobra.Command {
	var (
		f        client.UsageFilter
		p        paging
		from, to moment
	)
	cmd := &cobra.Command{
		Use: "violations", Short: "List refusals by a limit, added up by the minute, newest first", Args: noArgs,
		Example: "  viva violations --owner cust_42 --from 24h",
		RunE: remote(func(cmd *cobra.Command, c *client.Client, _ []string) error {
			f.From, f.To = from.at, to.at
			return printList(cmd, &p, c.Violations(cmd.Context(), f, p.page()), violationColumns)
		}),
	}
	p.addLimit(cmd)
	flags := cmd.Flags()
	flags.StringVar(&f.Key, "key", "", "only those of the key with this `id`")
	flags.StringVar(&f.Owner, "owner", "", "only those of the owner with this `id` or external id")
	flags.StringVar(&f.Rule, "rule", "", "only those by the rule of this `name`")
	addRangeFlags(cmd, &from, &to, "7 days ago")
	return cmd
}
