package cli

import (
	"context"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/viva/rate-limiter/pkg/client"
)

func plansCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "plans", Short: "Create, read, change and publish plans, the offers that owners are on"}
	cmd.AddCommand(plansCreate(), plansList(), plansGet(), plansPublish(), plansVersions(), plansUpdate(), plansDelete())
	return cmd
}

var planColumns = []column[client.Plan]{
	{"id", func(p *client.Plan) string { return p.ID }},
	{"name", func(p *client.Plan) string { return p.Name }},
	{"version", func(p *client.Plan) string { return strconv.Itoa(p.Version) }},
	{"rules", func(p *client.Plan) string { return summarizeRules(p.Rules) }},
	{"archived", func(p *client.Plan) string { return strconv.FormatBool(p.Archived) }},
	{"created", func(p *client.Plan) string { return stamp(&p.CreatedAt) }},
}

var planDetails = []column[client.Plan]{
	{"id", func(p *client.Plan) string { return p.ID }},
	{"name", func(p *client.Plan) string { return p.Name }},
	{"description", func(p *client.Plan) string { return p.Description }},
	{"version", func(p *client.Plan) string { return strconv.Itoa(p.Version) }},
	{"rules", func(p *client.Plan) string { return formatRules(p.Rules) }},
	{"archived", func(p *client.Plan) string { return strconv.FormatBool(p.Archived) }},
	{"metadata", func(p *client.Plan) string { return metadata(p.Metadata) }},
	{"created", func(p *client.Plan) string { return stamp(&p.CreatedAt) }},
	{"updated", func(p *client.Plan) string { return stamp(&p.UpdatedAt) }},
	{"etag", func(p *client.Plan) string { return string(p.ETag) }},
}

var planVersionColumns = []column[client.PlanVersion]{
	{"number", func(v *client.PlanVersion) string { return strconv.Itoa(v.Number) }},
	{"created", func(v *client.PlanVersion) string { return stamp(&v.CreatedAt) }},
	{"rules", func(v *client.PlanVersion) string { return summarizeRules(v.Rules) }},
	{"id", func(v *client.PlanVersion) string { return v.ID }},
}

func plansCreate() *cobra.Command {
	var (
		plan client.NewPlan
		from string
	)
	cmd := &cobra.Command{
		Use: "create NAME", Short: "Create a plan with its first version", Args: nameOrFrom,
		Example: "  viva plans create gold --rule name=per-second,limit=100,window=1s --quota name=monthly,limit=1000000,period=month",
		RunE: remote(func(cmd *cobra.Command, c *client.Client, args []string) error {
			if from != "" {
				if err := readFrom(cmd, args, from, &plan); err != nil {
					return err
				}
			} else {
				plan.Name = args[0]
			}
			created, err := c.Plans.Create(cmd.Context(), plan)
			if err != nil {
				return err
			}
			return printOne(cmd, created, planDetails)
		}),
	}
	cmd.Flags().StringVar(&plan.Description, "description", "", "`text` for people")
	addRuleFlags(cmd, &plan.Rules)
	addMetadataFlag(cmd, &plan.Metadata)
	addFromFlag(cmd, &from)
	return cmd
}

func plansList() *cobra.Command {
	var (
		p paging
		f client.PlanFilter
	)
	cmd := &cobra.Command{
		Use: "list", Short: "List plans, newest first", Args: noArgs,
		RunE: remote(func(cmd *cobra.Command, c *client.Client, _ []string) error {
			return printList(cmd, &p, c.Plans.List(cmd.Context(), f, p.page()), planColumns)
		}),
	}
	p.add(cmd, "created_at, name")
	cmd.Flags().BoolVar(&f.Archived, "archived", false, "archived plans too")
	return cmd
}

func plansGet() *cobra.Command {
	return description("get PLAN", "Describe a plan, by id or name", planDetails,
		func(ctx context.Context, c *client.Client, ref string) (*client.Plan, error) {
			return c.Plans.Get(ctx, ref)
		})
}

func plansPublish() *cobra.Command {
	var (
		version struct {
			Rules []client.Rule `json:"rules"`
		}
		from string
	)
	cmd := &cobra.Command{
		Use: "publish PLAN", Short: "Publish a new version of a plan, by id or name, with these rules and no others", Args: oneArg("PLAN"),
		Long:    "Owners that are not pinned to a version follow it from now on.",
		Example: "  viva plans publish gold --rule name=per-second,limit=200,window=1s\n  viva plans publish gold --from version.json",
		RunE: remote(func(cmd *cobra.Command, c *client.Client, args []string) error {
			if from != "" {
				if err := readFrom(cmd, nil, from, &version); err != nil {
					return err
				}
			}
			plan, err := c.Plans.Publish(cmd.Context(), args[0], version.Rules)
			if err != nil {
				return err
			}
			return printOne(cmd, plan, planDetails)
		}),
	}
	addRuleFlags(cmd, &version.Rules)
	addFromFlag(cmd, &from)
	return cmd
}

func plansVersions() *cobra.Command {
	var p paging
	cmd := &cobra.Command{
		Use: "versions PLAN", Short: "List the versions of a plan, by id or name, newest first", Args: oneArg("PLAN"),
		RunE: remote(func(cmd *cobra.Command, c *client.Client, args []string) error {
			return printList(cmd, &p, c.Plans.Versions(cmd.Context(), args[0], p.page()), planVersionColumns)
		}),
	}
	p.add(cmd, "number")
	return cmd
}

func plansUpdate() *cobra.Command {
	var (
		p                 patching
		name, description string
		archived          bool
		set               map[string]string
	)
	cmd := &cobra.Command{
		Use: "update PLAN", Short: "Change a plan, by id or name; its rules change by publishing a version", Args: oneArg("PLAN"),
		RunE: remote(func(cmd *cobra.Command, c *client.Client, args []string) error {
			plan, err := c.Plans.Update(cmd.Context(), args[0], p.etag(), client.PlanPatch{
				Name: given(cmd, "name", name), Description: changed(cmd, &p, "description", description),
				Archived: given(cmd, "archived", archived), Metadata: p.metadata(set),
			})
			if err != nil {
				return err
			}
			return printOne(cmd, plan, planDetails)
		}),
	}
	cmd.Flags().StringVar(&name, "name", "", "its new `name`")
	cmd.Flags().StringVar(&description, "description", "", "`text` for people")
	cmd.Flags().BoolVar(&archived, "archived", false, "keep its owners and take no new ones; =false takes them again")
	addMetadataFlag(cmd, &set)
	p.add(cmd, "description")
	return cmd
}

func plansDelete() *cobra.Command {
	return deletion("delete PLAN", "Delete a plan that no owner is on, by id or name", "Delete plan %s for ever?", "deleted %s",
		func(ctx context.Context, c *client.Client, ref string) error { return c.Plans.Delete(ctx, ref) })
}
