package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/viva/rate-limiter/pkg/client"
)

func deliveriesCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "deliveries", Short: "Look at what was sent to destinations, and send it again"}
	cmd.AddCommand(deliveriesList(), deliveriesShow(), deliveriesRedeliver())
	return cmd
}

var deliveryColumns = []column[client.Delivery]{
	{"id", func(d *client.Delivery) string { return d.ID }},
	{"destination", func(d *client.Delivery) string { return d.DestinationID }},
	{"state", func(d *client.Delivery) string { return d.State }},
	{"title", func(d *client.Delivery) string { return d.Title }},
	{"events", func(d *client.Delivery) string { return strconv.Itoa(d.Events) }},
	{"attempts", func(d *client.Delivery) string { return strconv.Itoa(d.Attempts) }},
	{"created", func(d *client.Delivery) string { return stamp(&d.CreatedAt) }},
	{"next", func(d *client.Delivery) string { return stamp(d.NextAt) }},
}

var deliveryDetails = slices.Concat(detailed(deliveryColumns), []column[client.DeliveryDetail]{
	{"finished", func(d *client.DeliveryDetail) string { return stamp(d.FinishedAt) }},
	{"to", func(d *client.DeliveryDetail) string { return d.To }},
	{"message", func(d *client.DeliveryDetail) string { return d.MessageID }},
	{"sends again", func(d *client.DeliveryDetail) string {
		if d.OriginID == nil {
			return ""
		}
		return *d.OriginID
	}},
	{"tells of", deliveryEvents},
	{"tries", deliveryTries},
})

// detailed makes columns of a delivery such of one with its details.
func detailed(columns []column[client.Delivery]) []column[client.DeliveryDetail] {
	list := make([]column[client.DeliveryDetail], len(columns))
	for i, c := range columns {
		list[i] = column[client.DeliveryDetail]{c.title, func(d *client.DeliveryDetail) string { return c.text(&d.Delivery) }}
	}
	return list
}

func deliveryEvents(d *client.DeliveryDetail) string {
	var lines []string
	for i := range d.Message.Events {
		e := &d.Message.Events[i]
		lines = append(lines, fmt.Sprintf("%s %s %s: %s", stamp(&e.At), e.Severity, e.Type, e.Title))
	}
	if d.Message.Omitted > 0 {
		lines = append(lines, fmt.Sprintf("and %d more", d.Message.Omitted))
	}
	return strings.Join(lines, "\n")
}

func deliveryTries(d *client.DeliveryDetail) string {
	lines := make([]string, len(d.Tries))
	for i := range d.Tries {
		t := &d.Tries[i]
		how := "delivered"
		switch {
		case t.DoneAt == nil:
			how = "under way"
		case !t.Delivered:
			how = strings.ReplaceAll(t.Error, "\n", " ")
		}
		lines[i] = fmt.Sprintf("%d. %s, status %d after %d ms: %s", t.Number, stamp(&t.At), t.Status, t.TookMS, how)
	}
	return strings.Join(lines, "\n")
}

func deliveriesList() *cobra.Command {
	var (
		p     paging
		f     client.DeliveryFilter
		since string
		state = choice{allowed: []string{"pending", "delivered", "failed", "canceled"}}
	)
	cmd := &cobra.Command{
		Use: "list", Short: "List deliveries, newest first", Args: noArgs,
		Example: "  viva deliveries list --destination on-call --state failed --since 24h",
		RunE: remote(func(cmd *cobra.Command, c *client.Client, _ []string) (err error) {
			f.State = state.value
			if f.Since, err = ago(since); err != nil {
				return usageError{fmt.Errorf("--since %w", err)}
			}
			return printList(cmd, &p, c.Deliveries.List(cmd.Context(), f, p.page()), deliveryColumns)
		}),
	}
	p.addLimit(cmd)
	cmd.Flags().StringVar(&f.Destination, "destination", "", "only those to the destination with this `id` or name")
	cmd.Flags().Var(&state, "state", "only those that are pending, delivered, failed or canceled")
	cmd.Flags().StringVar(&since, "since", "", "only those made `then` or later: a time, or how long ago such as 24h")
	return cmd
}

// ago reads an instant of the past, by itself or by how long ago it was; zero for
// none.
func ago(text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if d, err := time.ParseDuration(text); err == nil && d > 0 {
		return time.Now().UTC().Add(-d), nil
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return time.Time{}, errors.New("must be how long ago such as 24h, or a time such as 2027-01-31T00:00:00Z")
	}
	return at, nil
}

func deliveriesShow() *cobra.Command {
	return description("show ID", "Describe a delivery, its message and every attempt", deliveryDetails,
		func(ctx context.Context, c *client.Client, id string) (*client.DeliveryDetail, error) {
			return c.Deliveries.Get(ctx, id)
		})
}

func deliveriesRedeliver() *cobra.Command {
	return &cobra.Command{
		Use: "redeliver ID", Short: "Send a message again", Args: oneArg("ID"),
		RunE: remote(func(cmd *cobra.Command, c *client.Client, args []string) error {
			d, err := c.Deliveries.Redeliver(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			return printDone(cmd, d, "sends it again by delivery %s", d.ID)
		}),
	}
}
