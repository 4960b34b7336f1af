package cli

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/viva/rate-limiter/pkg/client"
)

func checkCommand() *cobra.Command {
	var (
		check client.Check
		cost  int64
		ip    string
	)
	cmd := &cobra.Command{
		Use: "check KEY|-", Short: "Check whether the holder of a key may make a call; exits with 1 where not", Args: oneArg("KEY"),
		Long: "The check spends from the limits of the key as the call itself would; --cost 0 looks without spending.\n" +
			"With - the key is read from the standard input, so that no history keeps it.",
		Example: "  viva check - --method GET --endpoint /v1/carts < key.txt",
		RunE: remote(func(cmd *cobra.Command, c *client.Client, args []string) (err error) {
			if check.APIKey, err = secretArgument(cmd, args[0]); err != nil {
				return err
			}
			if ip != "" {
				if check.IP, err = netip.ParseAddr(ip); err != nil {
					return usageError{errors.New("--ip must be an IPv4 or IPv6 address")}
				}
			}
			check.Cost = given(cmd, "cost", cost)
			answer, err := c.Validate(cmd.Context(), check)
			if err != nil {
				return err
			}
			if err := printAnswer(cmd, answer); err != nil {
				return err
			}
			return refusal(answer)
		}),
	}
	flags := cmd.Flags()
	flags.Int64Var(&cost, "cost", 1, "`units` the call spends")
	flags.StringVar(&check.Keyspace, "keyspace", "", "`id` or name of the keyspace the key must be of")
	flags.StringVar(&check.Method, "method", "", "HTTP `method` of the call")
	flags.StringVar(&check.Endpoint, "endpoint", "", "`path` that is called")
	flags.StringVar(&ip, "ip", "", "`address` the call comes from")
	flags.StringSliceVar(&check.Permissions, "permission", nil, "`word` the key must permit; repeat for more")
	flags.StringVar(&check.CheckID, "check-id", "", "`id` that makes the check safe to repeat")
	return cmd
}

// refusal is the error of an answer that refuses.
func refusal(a *client.Answer) error {
	switch {
	case a.Allowed:
		return nil
	case a.RetryAfterMS > 0:
		return fmt.Errorf("refused: %s; allowed again in %s", a.Code, a.RetryAfter())
	default:
		return fmt.Errorf("refused: %s", a.Code)
	}
}

var answerDetails = []column[client.Answer]{
	{"allowed", func(a *client.Answer) string { return strconv.FormatBool(a.Allowed) }},
	{"code", func(a *client.Answer) string { return string(a.Code) }},
	{"key", func(a *client.Answer) string {
		if a.Key == nil {
			return ""
		}
		return a.Key.Name + " (" + a.Key.ID + ")"
	}},
	{"owner", func(a *client.Answer) string {
		if a.Key == nil {
			return ""
		}
		return a.Key.Owner + " on plan " + a.Key.Plan
	}},
	{"degraded", func(a *client.Answer) string { return strconv.FormatBool(a.Degraded) }},
	{"request", func(a *client.Answer) string { return a.RequestID }},
}

func printAnswer(cmd *cobra.Command, a *client.Answer) error {
	if err := printOne(cmd, a, answerDetails); err != nil || inJSON(cmd) || len(a.Limits) == 0 {
		return err
	}
	w := newTable(cmd.OutOrStdout())
	fmt.Fprintln(w, "\nLIMIT\tUNITS\tREMAINING\tMORE IN\tSAYS")
	for _, l := range a.Limits {
		limit := strconv.FormatInt(l.Limit, 10)
		if l.Burst != 0 && l.Burst != l.Limit {
			limit += fmt.Sprintf(" burst %d", l.Burst)
		}
		fmt.Fprintf(w, "%s\t%s\t%d\t%s\t%s\n", visible(l.Name), limit, l.Remaining, milliseconds(l.ResetAfterMS), verdict(&l))
	}
	return w.Flush()
}

func verdict(l *client.CheckedLimit) string {
	switch {
	case l.WouldDeny:
		return "would refuse (shadow)"
	case l.RetryAfterMS > 0:
		return "refuses for " + milliseconds(l.RetryAfterMS)
	default:
		return "admits"
	}
}

func milliseconds(ms int64) string { return (time.Duration(ms) * time.Millisecond).String() }

var tokenDetails = []column[client.Token]{
	{"id", func(t *client.Token) string { return t.ID }},
	{"name", func(t *client.Token) string { return t.Name }},
	{"token", func(t *client.Token) string { return t.Mask }},
	{"scopes", func(t *client.Token) string { return words(t.Scopes) }},
	{"created", func(t *client.Token) string { return stamp(&t.CreatedAt) }},
	{"expires", func(t *client.Token) string { return stamp(t.ExpiresAt) }},
}

func whoamiCommand() *cobra.Command {
	return &cobra.Command{
		Use: "whoami", Short: "Tell what the access token may do", Args: noArgs,
		RunE: remote(func(cmd *cobra.Command, c *client.Client, _ []string) error {
			token, err := c.Whoami(cmd.Context())
			if err != nil {
				return err
			}
			return printOne(cmd, token, tokenDetails)
		}),
	}
}
