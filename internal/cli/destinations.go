package cli

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/viva/rate-limiter/pkg/client"
)

func destinationsCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "destinations", Short: "Say who is told of alerts and other events: webhooks, Slack, emails"}
	cmd.AddCommand(destinationsCreate(), destinationsList(), destinationsGet(), destinationsUpdate(), destinationsDelete(),
		destinationsTest(), destinationsRotate(), destinationsEnable(), destinationsDisable())
	return cmd
}

var destinationColumns = []column[client.Destination]{
	{"id", func(d *client.Destination) string { return d.ID }},
	{"name", func(d *client.Destination) string { return d.Name }},
	{"type", func(d *client.Destination) string { return d.Type }},
	{"goes to", destinationAddress},
	{"events", func(d *client.Destination) string { return orAll(d.Events) }},
	{"severity", func(d *client.Destination) string { return d.MinSeverity }},
	{"failing since", func(d *client.Destination) string { return stamp(d.FailingSince) }},
	{"disabled", func(d *client.Destination) string { return stamp(d.DisabledAt) }},
}

var destinationDetails = slices.Concat(destinationColumns, []column[client.Destination]{
	{"why disabled", func(d *client.Destination) string { return d.DisabledReason }},
	{"headers", func(d *client.Destination) string { return metadata(d.Headers) }},
	{"rate per minute", func(d *client.Destination) string { return strconv.Itoa(d.RatePerMinute) }},
	{"two secrets until", func(d *client.Destination) string { return stamp(d.SecretPreviousUntil) }},
	{"created", func(d *client.Destination) string { return stamp(&d.CreatedAt) }},
	{"updated", func(d *client.Destination) string { return stamp(&d.UpdatedAt) }},
	{"etag", func(d *client.Destination) string { return string(d.ETag) }},
})

func destinationAddress(d *client.Destination) string {
	switch {
	case d.ToOwner:
		return "the owner"
	case len(d.To) > 0:
		return strings.Join(d.To, " ")
	default:
		return d.URL
	}
}

func orAll(events []string) string {
	if len(events) == 0 {
		return "all"
	}
	return strings.Join(events, " ")
}

// destinationFlags are what a destination can be given when it is created and
// changed.
type destinationFlags struct {
	destination client.NewDestination
	severity    choice
}

func (f *destinationFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	f.severity.allowed = []string{"info", "warning", "critical"}
	flags.StringVar(&f.destination.URL, "url", "", "`URL` of a webhook, or of an incoming webhook of Slack; that one is a secret, which --from keeps off the command line")
	flags.StringToStringVar(&f.destination.Headers, "header", nil, "a `name=value` that a webhook carries; repeat for more")
	flags.Lookup("header").DefValue = "" // help would show []
	flags.StringSliceVar(&f.destination.To, "to", nil, "`address` of an email; repeat for more")
	flags.BoolVar(&f.destination.ToOwner, "to-owner", false, "write to the owner that an event is about")
	flags.StringSliceVar(&f.destination.Events, "event", nil, "`type` of events to tell of, or a family as in alert.*; repeat for more; all unless given")
	flags.Var(&f.severity, "min-severity", "the least severe events to tell of: info, warning or critical (default info)")
	flags.IntVar(&f.destination.RatePerMinute, "rate", 0, "the most attempts in a minute, 1 to 6000 (default 60)")
}

func destinationsCreate() *cobra.Command {
	var (
		f    destinationFlags
		from string
		kind = choice{allowed: []string{"webhook", "slack", "email"}}
	)
	cmd := &cobra.Command{
		Use: "create [NAME]", Short: "Create a destination and print the secret that signs its webhooks, this once", Args: optionalArg("NAME"),
		Example: "  viva destinations create on-call --type webhook --url https://example.com/hooks/viva --event 'alert.*'\n" +
			"  viva destinations create chat --type email --to ops@example.com --min-severity warning",
		RunE: remote(func(cmd *cobra.Command, c *client.Client, args []string) error {
			switch {
			case from != "":
				if err := readFrom(cmd, args, from, &f.destination); err != nil {
					return err
				}
			case len(args) == 0:
				return usageError{fmt.Errorf("NAME or --from must be given")}
			default:
				f.destination.Name, f.destination.Type, f.destination.MinSeverity = args[0], kind.value, f.severity.value
			}
			made, err := c.Destinations.Create(cmd.Context(), f.destination)
			if err != nil {
				return err
			}
			return printSigning(cmd, made, "created %s (%s)", made.Name, made.ID)
		}),
	}
	f.add(cmd)
	cmd.Flags().Var(&kind, "type", "webhook, slack or email")
	addFromFlag(cmd, &from)
	return cmd
}

// printSigning prints a signing secret alone, so that it can be kept by $(…).
func printSigning(cmd *cobra.Command, made *client.CreatedDestination, format string, args ...any) error {
	note := visible(fmt.Sprintf(format, args...))
	if made.Secret != "" {
		note += "; the secret that signs its webhooks is shown this once"
	}
	fmt.Fprintln(cmd.ErrOrStderr(), note)
	if inJSON(cmd) {
		return writeJSON(cmd.OutOrStdout(), made)
	}
	if made.Secret == "" {
		return nil
	}
	_, err := fmt.Fprintln(cmd.OutOrStdout(), made.Secret)
	return err
}

func destinationsList() *cobra.Command {
	var p paging
	cmd := &cobra.Command{
		Use: "list", Short: "List destinations, newest first", Args: noArgs,
		RunE: remote(func(cmd *cobra.Command, c *client.Client, _ []string) error {
			return printList(cmd, &p, c.Destinations.List(cmd.Context(), p.page()), destinationColumns)
		}),
	}
	p.add(cmd, "created_at, name")
	return cmd
}

func destinationsGet() *cobra.Command {
	return description("get DESTINATION", "Describe a destination, by id or name", destinationDetails,
		func(ctx context.Context, c *client.Client, ref string) (*client.Destination, error) {
			return c.Destinations.Get(ctx, ref)
		})
}

func destinationsUpdate() *cobra.Command {
	var (
		f    destinationFlags
		p    patching
		name string
	)
	cmd := &cobra.Command{
		Use: "update DESTINATION", Short: "Change a destination, by id or name", Args: oneArg("DESTINATION"),
		Long: "What is not named stays. Headers, addresses and events that are named replace all of them.",
		RunE: remote(func(cmd *cobra.Command, c *client.Client, args []string) error {
			d, err := c.Destinations.Update(cmd.Context(), args[0], p.etag(), client.DestinationPatch{
				Name: given(cmd, "name", name), URL: given(cmd, "url", f.destination.URL),
				Headers: changed(cmd, &p, "header", f.destination.Headers), To: changed(cmd, &p, "to", f.destination.To),
				ToOwner: given(cmd, "to-owner", f.destination.ToOwner), Events: changed(cmd, &p, "event", f.destination.Events),
				MinSeverity: given(cmd, "min-severity", f.severity.value), RatePerMinute: given(cmd, "rate", f.destination.RatePerMinute),
			})
			if err != nil {
				return err
			}
			return printOne(cmd, d, destinationDetails)
		}),
	}
	f.add(cmd)
	cmd.Flags().StringVar(&name, "name", "", "another `name`")
	p.addPlain(cmd, "header", "to", "event")
	return cmd
}

func destinationsDelete() *cobra.Command {
	return deletion("delete DESTINATION", "Delete a destination, by id or name", "Delete destination %s and cancel what waits for it?", "deleted %s",
		func(ctx context.Context, c *client.Client, ref string) error { return c.Destinations.Delete(ctx, ref) })
}

func destinationsTest() *cobra.Command {
	var to string
	cmd := &cobra.Command{
		Use: "test DESTINATION", Short: "Send a test to a destination and tell how that went", Args: oneArg("DESTINATION"),
		RunE: remote(func(cmd *cobra.Command, c *client.Client, args []string) error {
			d, err := c.Destinations.Test(cmd.Context(), args[0], to)
			if err != nil {
				return err
			}
			if err := printOne(cmd, d, deliveryDetails); err != nil {
				return err
			}
			if d.State != "delivered" {
				return fmt.Errorf("the test did not come to %s", visible(args[0]))
			}
			return nil
		}),
	}
	cmd.Flags().StringVar(&to, "to", "", "`address` for the test, where the destination goes to owners")
	return cmd
}

func destinationsRotate() *cobra.Command {
	var grace time.Duration
	cmd := &cobra.Command{
		Use: "rotate-secret DESTINATION", Short: "Give a webhook a new secret and print it, this once", Args: oneArg("DESTINATION"),
		RunE: remote(func(cmd *cobra.Command, c *client.Client, args []string) error {
			d, err := c.Destinations.RotateSecret(cmd.Context(), args[0], client.SecretRotation{Grace: given(cmd, "grace", grace)})
			if err != nil {
				return err
			}
			return printSigning(cmd, d, "rotated %s (%s)", d.Name, d.ID)
		}),
	}
	cmd.Flags().DurationVar(&grace, "grace", 24*time.Hour, "how long the present secret signs as well, up to 168h")
	return cmd
}

func destinationsEnable() *cobra.Command {
	return &cobra.Command{
		Use: "enable DESTINATION", Short: "Tell a destination of events again", Args: oneArg("DESTINATION"),
		RunE: remote(func(cmd *cobra.Command, c *client.Client, args []string) error {
			d, err := c.Destinations.Enable(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			return printDone(cmd, d, "enabled %s (%s)", d.Name, d.ID)
		}),
	}
}

func destinationsDisable() *cobra.Command {
	var reason string
	cmd := &cobra.Command{
		Use: "disable DESTINATION", Short: "Tell a destination of nothing any more, and cancel what waits for it", Args: oneArg("DESTINATION"),
		RunE: remote(func(cmd *cobra.Command, c *client.Client, args []string) error {
			d, err := c.Destinations.Disable(cmd.Context(), args[0], reason)
			if err != nil {
				return err
			}
			return printDone(cmd, d, "disabled %s (%s)", d.Name, d.ID)
		}),
	}
	cmd.Flags().StringVar(&reason, "reason", "", "`why`, for the record")
	return cmd
}
