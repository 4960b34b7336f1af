package cli

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/viva/rate-limiter/pkg/client"
)

func explainCommand() *cobra.Command {
	return &cobra.Command{
		Use: "explain REQUEST_ID", Short: "Tell why a check was answered so, and what it cost in the end", Args: oneArg("REQUEST_ID"),
		Long: "The request id is in the answer to the check. Refusals and what may be settled are kept; of other checks, a busy service keeps some.",
		RunE: remote(func(cmd *cobra.Command, c *client.Client, args []string) error {
			e, err := c.Check(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			if inJSON(cmd) {
				return writeJSON(cmd.OutOrStdout(), e)
			}
			return printExplanation(cmd, e)
		}),
	}
}

var explanationDetails = []column[client.Explanation]{
	{"at", func(e *client.Explanation) string { return e.At.UTC().Format("2006-01-02 15:04:05.000") }},
	{"key", func(e *client.Explanation) string { return namedText(&e.Key) }},
	{"owner", func(e *client.Explanation) string {
		if e.Plan == "" {
			return namedText(&e.Owner)
		}
		return namedText(&e.Owner) + " on " + e.Plan + " version " + strconv.Itoa(e.PlanVersion)
	}},
	{"call", func(e *client.Explanation) string { return strings.TrimSpace(e.Method + " " + e.Endpoint) }},
	{"from", func(e *client.Explanation) string { return strings.TrimSpace(e.IP + " " + e.UserAgent) }},
	{"cost", costText},
	{"reported", reportText},
}

func printExplanation(cmd *cobra.Command, e *client.Explanation) error {
	out := cmd.OutOrStdout()
	fmt.Fprintf(out, "%s\n\n", visible(verdictOf(e)))
	if err := printOne(cmd, e, explanationDetails); err != nil || len(e.Limits) == 0 {
		return err
	}
	w := newTable(out)
	fmt.Fprintln(w, "\nLIMIT\tUSED\tOF\tMORE IN\tSAID")
	for i := range e.Limits {
		l := &e.Limits[i]
		fmt.Fprintf(w, "%s\t%d\t%d\t%s\t%s\n", visible(l.Name), l.Limit-l.Remaining, l.Limit, milliseconds(l.ResetAfterMS), said(l))
	}
	return w.Flush()
}

// reasons say what a refusal by no limit is for.
var reasons = map[client.Code]string{
	client.KeyRevoked:       "the key was revoked",
	client.KeySuspended:     "the key was suspended",
	client.KeyExpired:       "the key had expired",
	client.PermissionDenied: "the key does not permit what was asked for",
	client.IPDenied:         "the key does not allow the address",
	client.EndpointDenied:   "the key does not open the endpoint",
}

// verdictOf tells in a sentence what became of a check.
func verdictOf(e *client.Explanation) string {
	var b strings.Builder
	limit := decisive(e)
	switch {
	case e.Allowed && limit != nil:
		fmt.Fprintf(&b, "Allowed: nearest to its limit was %s, with %d of %d used", limit.Name, limit.Limit-limit.Remaining, limit.Limit)
	case e.Allowed:
		b.WriteString("Allowed: no limit applied")
	case limit != nil && limit.Denied:
		fmt.Fprintf(&b, "Refused by %s: ", limit.Name)
		if limit.RetryAfterMS < 0 {
			fmt.Fprintf(&b, "a cost of %d can never fit into %d", e.Cost, limit.Limit)
			break
		}
		fmt.Fprintf(&b, "%d of %d used", limit.Limit-limit.Remaining, limit.Limit)
		if e.RetryAt != nil {
			b.WriteString("; again in " + seconds(e.RetryAt.Sub(e.At)))
		}
	case reasons[e.Code] != "":
		b.WriteString("Refused: " + reasons[e.Code])
	default:
		b.WriteString("Refused: " + string(e.Code))
	}
	if e.Degraded {
		b.WriteString(". The shared store of limits was out of reach: this process decided alone")
	}
	if e.Repeats > 0 {
		fmt.Fprintf(&b, ". The same answer was given again %d times", e.Repeats)
	}
	return b.String()
}

func decisive(e *client.Explanation) *client.ExplainedLimit {
	for i := range e.Limits {
		if e.Limits[i].Name == e.Decisive {
			return &e.Limits[i]
		}
	}
	return nil
}

func said(l *client.ExplainedLimit) string {
	switch {
	case l.WouldDeny:
		return "would refuse (shadow)"
	case l.Denied && l.RetryAfterMS < 0:
		return "refused: never fits"
	case l.Denied:
		return "refused for " + seconds(time.Duration(l.RetryAfterMS)*time.Millisecond)
	default:
		return "admitted"
	}
}

// seconds writes a short time as people say it: 1.2 s.
func seconds(d time.Duration) string {
	if d >= time.Minute {
		return d.Round(time.Second).String()
	}
	return strconv.FormatFloat(float64(d.Round(time.Millisecond).Milliseconds())/1000, 'f', -1, 64) + " s"
}

func namedText(n *client.Named) string {
	if n.Name == "" {
		return n.ID
	}
	return n.Name + " (" + n.ID + ")"
}

func costText(e *client.Explanation) string {
	text := fmt.Sprintf("%d units of %s", e.Units, e.Meter)
	if e.Units != e.Cost {
		text += fmt.Sprintf(", %d asked for", e.Cost)
	}
	for _, a := range e.Adjustments {
		text += fmt.Sprintf("\n%+d at %s", a.Units, stamp(&a.At))
	}
	return text
}

func reportText(e *client.Explanation) string {
	lines := make([]string, len(e.Reports))
	for i, r := range e.Reports {
		lines[i] = fmt.Sprintf("status %d in %s, %d bytes in, %d out", r.Status, milliseconds(r.LatencyMS), r.BytesIn, r.BytesOut)
		if r.Units != 0 {
			lines[i] += fmt.Sprintf(", %d units of %s", r.Units, r.Meter)
		}
	}
	return strings.Join(lines, "\n")
}
