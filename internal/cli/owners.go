package cli

import (
	"context"
	"slices"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/viva/rate-limiter/pkg/client"
)

func ownersCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "owners", Short: "Create, read, change and archive owners, the accounts that pay"}
	cmd.AddCommand(ownersCreate(), ownersList(), ownersGet(), ownersUpdate(), ownersDelete())
	cmd.AddCommand(ownersPrivacy()...)
	return cmd
}

var ownerColumns = []column[client.Owner]{
	{"id", func(o *client.Owner) string { return o.ID }},
	{"external id", ownerExternalID},
	{"name", func(o *client.Owner) string { return o.Name }},
	{"plan", ownerPlan},
	{"implicit", func(o *client.Owner) string { return strconv.FormatBool(o.Implicit) }},
	{"created", func(o *client.Owner) string { return stamp(&o.CreatedAt) }},
	{"archived", func(o *client.Owner) string { return stamp(o.ArchivedAt) }},
}

var ownerDetails = slices.Concat(ownerColumns, []column[client.Owner]{
	{"email", func(o *client.Owner) string { return o.Email }},
	{"rules", func(o *client.Owner) string { return formatRules(o.Rules) }},
	{"time zone", func(o *client.Owner) string { return o.TimeZone }},
	{"anchor day", func(o *client.Owner) string { return strconv.Itoa(o.AnchorDay) }},
	{"metadata", func(o *client.Owner) string { return metadata(o.Metadata) }},
	{"updated", func(o *client.Owner) string { return stamp(&o.UpdatedAt) }},
	{"etag", func(o *client.Owner) string { return string(o.ETag) }},
})

func ownerExternalID(o *client.Owner) string {
	if o.ExternalID == nil {
		return ""
	}
	return *o.ExternalID
}

func ownerPlan(o *client.Owner) string {
	if o.PlanVersion == nil {
		return o.Plan
	}
	return o.Plan + " version " + strconv.Itoa(*o.PlanVersion)
}

// ownerFlags are what an owner can be given when it is created and changed.
type ownerFlags struct {
	owner   client.NewOwner
	version int
}

func (f *ownerFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.owner.Name, "name", "", "its `name`, for people")
	flags.StringVar(&f.owner.Email, "email", "", "`address` to write to")
	flags.StringVar(&f.owner.Plan, "plan", "", "`id` or name of its plan")
	flags.IntVar(&f.version, "plan-version", 0, "`number` of the version of the plan it stays on; without one, it follows the newest")
	flags.StringVar(&f.owner.TimeZone, "time-zone", "", "IANA `name` of the zone of its days and months, such as Europe/Berlin")
	flags.IntVar(&f.owner.AnchorDay, "anchor-day", 0, "`day` of the month its months begin on")
	addRuleFlags(cmd, &f.owner.Rules)
	addMetadataFlag(cmd, &f.owner.Metadata)
}

func ownersCreate() *cobra.Command {
	var (
		f    ownerFlags
		from string
	)
	cmd := &cobra.Command{
		Use: "create [EXTERNAL_ID]", Short: "Create an owner, with your own id of the customer", Args: optionalArg("EXTERNAL_ID"),
		Example: "  viva owners create cust_42 --name Acme --plan pro",
		RunE: remote(func(cmd *cobra.Command, c *client.Client, args []string) error {
			switch {
			case from != "":
				if err := readFrom(cmd, args, from, &f.owner); err != nil {
					return err
				}
			case len(args) > 0:
				f.owner.ExternalID = args[0]
			}
			if cmd.Flag("plan-version").Changed {
				f.owner.PlanVersion = &f.version
			}
			owner, err := c.Owners.Create(cmd.Context(), f.owner)
			if err != nil {
				return err
			}
			return printOne(cmd, owner, ownerDetails)
		}),
	}
	f.add(cmd)
	addFromFlag(cmd, &from)
	return cmd
}

func ownersList() *cobra.Command {
	var (
		p        paging
		f        client.OwnerFilter
		implicit bool
	)
	cmd := &cobra.Command{
		Use: "list", Short: "List owners, newest first", Args: noArgs,
		Example: "  viva owners list --plan pro --implicit=false",
		RunE: remote(func(cmd *cobra.Command, c *client.Client, _ []string) error {
			f.Implicit = given(cmd, "implicit", implicit)
			return printList(cmd, &p, c.Owners.List(cmd.Context(), f, p.page()), ownerColumns)
		}),
	}
	p.add(cmd, "created_at, updated_at, name")
	cmd.Flags().StringVar(&f.Plan, "plan", "", "only owners on the plan with this `id` or name")
	cmd.Flags().StringVar(&f.Name, "name", "", "only owners whose name begins with this `text`")
	cmd.Flags().BoolVar(&implicit, "implicit", false, "only owners that were made by creating a key; with =false, only others")
	cmd.Flags().BoolVar(&f.Archived, "archived", false, "archived owners too")
	return cmd
}

func ownersGet() *cobra.Command {
	return description("get OWNER", "Describe an owner, by id or external id", ownerDetails,
		func(ctx context.Context, c *client.Client, ref string) (*client.Owner, error) {
			return c.Owners.Get(ctx, ref)
		})
}

func ownersUpdate() *cobra.Command {
	var (
		f          ownerFlags
		p          patching
		externalID string
	)
	cmd := &cobra.Command{
		Use: "update OWNER", Short: "Change an owner, by id or external id", Args: oneArg("OWNER"),
		Long: "What is not named stays. Rules that are named replace all rules of the owner.",
		RunE: remote(func(cmd *cobra.Command, c *client.Client, args []string) error {
			owner, err := c.Owners.Update(cmd.Context(), args[0], p.etag(), client.OwnerPatch{
				ExternalID: changed(cmd, &p, "external-id", externalID), Name: changed(cmd, &p, "name", f.owner.Name),
				Email: changed(cmd, &p, "email", f.owner.Email), Plan: given(cmd, "plan", f.owner.Plan),
				PlanVersion: changed(cmd, &p, "plan-version", f.version), Rules: changedRules(cmd, &p, f.owner.Rules),
				TimeZone: given(cmd, "time-zone", f.owner.TimeZone), AnchorDay: given(cmd, "anchor-day", f.owner.AnchorDay),
				Metadata: p.metadata(f.owner.Metadata),
			})
			if err != nil {
				return err
			}
			return printOne(cmd, owner, ownerDetails)
		}),
	}
	f.add(cmd)
	cmd.Flags().StringVar(&externalID, "external-id", "", "your own `id` of the customer")
	p.add(cmd, "external-id", "name", "email", "plan-version", "rule")
	return cmd
}

func ownersDelete() *cobra.Command {
	return deletion("delete OWNER", "Archive an owner that has no keys, by id or external id", "Archive owner %s?", "archived %s",
		func(ctx context.Context, c *client.Client, ref string) error { return c.Owners.Delete(ctx, ref) })
}
