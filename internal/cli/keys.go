package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/viva/rate-limiter/pkg/apikey"
	"github.com/viva/rate-limiter/pkg/client"
)

func keysCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "keys", Short: "Create, read, change and import API keys"}
	cmd.AddCommand(
		keysCreate(), keysList(), keysGet(), keysUpdate(), keysRotate(), keysRevoke(), keysSuspend(), keysActivate(),
		keysResetLimits(), keysErase(), keysLookup(), keysImport(),
	)
	cmd.AddCommand(keysPrivacy()...)
	return cmd
}

// keyFlags are what a key can be given when it is created and changed.
type keyFlags struct {
	key     client.NewKey
	expires instant
}

func (f *keyFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.key.Owner, "owner", "", "`id` or external id of its owner")
	flags.StringVar(&f.key.Plan, "plan", "", "`id` or name of the plan of the key's own owner")
	flags.Var(&f.expires, "expires", "when it stops working: a time, or a duration from now such as 720h")
	flags.StringSliceVar(&f.key.AllowedIPs, "allow-ip", nil, "`network` or address that may use it; repeat for more")
	flags.StringSliceVar(&f.key.Permissions, "permission", nil, "`word` that checks may ask for; repeat for more")
	flags.StringSliceVar(&f.key.Methods, "method", nil, "HTTP `method` it may call; repeat for more")
	flags.StringArrayVar(&f.key.Endpoints, "endpoint", nil, "`glob` of what it may call, such as /v1/**; repeat for more")
	flags.StringSliceVar(&f.key.Tags, "tag", nil, "`word` to find it by; repeat for more")
	addRuleFlags(cmd, &f.key.Rules)
	addMetadataFlag(cmd, &f.key.Metadata)
}

func keysCreate() *cobra.Command {
	var (
		f           keyFlags
		from        string
		environment string
	)
	cmd := &cobra.Command{
		Use:   "create NAME",
		Short: "Create a key and print its secret, this once",
		Long:  "Without an owner, the key gets one of its own, on the plan given or the default one.",
		Example: "  viva keys create Checkout --rule name=per-second,limit=10,window=1s\n" +
			"  KEY=$(viva keys create Checkout --owner cust_42)",
		Args: nameOrFrom,
		RunE: remote(func(cmd *cobra.Command, c *client.Client, args []string) error {
			if from != "" {
				if err := readFrom(cmd, args, from, &f.key); err != nil {
					return err
				}
			} else {
				f.key.Name, f.key.ExpiresAt, f.key.Environment = args[0], f.expires.given(), apikey.Environment(environment)
			}
			key, err := c.Keys.Create(cmd.Context(), f.key)
			if err != nil {
				return err
			}
			return printSecret(cmd, key, "created %s (%s) of owner %s on plan %s", key.Name, key.ID, key.Owner, key.Plan)
		}),
	}
	f.add(cmd)
	cmd.Flags().StringVar(&f.key.Keyspace, "keyspace", "", "`id` or name of its keyspace (default \"default\")")
	cmd.Flags().StringVar(&environment, "environment", "", "live or test (default live)")
	addFromFlag(cmd, &from)
	return cmd
}

func keysList() *cobra.Command {
	var (
		p                   paging
		f                   client.KeyFilter
		environment, status string
	)
	cmd := &cobra.Command{
		Use: "list", Short: "List keys, newest first", Args: noArgs,
		Example: "  viva keys list --owner cust_42 --status active\n  viva keys list --limit 0 --output json",
		RunE: remote(func(cmd *cobra.Command, c *client.Client, _ []string) error {
			f.Environment, f.Status = apikey.Environment(environment), client.KeyStatus(status)
			return printList(cmd, &p, c.Keys.List(cmd.Context(), f, p.page()), keyColumns)
		}),
	}
	p.add(cmd, "created_at, updated_at, name")
	flags := cmd.Flags()
	flags.StringVar(&f.Keyspace, "keyspace", "", "only keys of the keyspace with this `id` or name")
	flags.StringVar(&f.Owner, "owner", "", "only keys of the owner with this `id` or external id")
	flags.StringVar(&environment, "environment", "", "only live or test keys")
	flags.StringVar(&status, "status", "", "only active, suspended, expired or revoked keys")
	flags.StringVar(&f.Name, "name", "", "only keys whose name begins with this `text`")
	flags.StringVar(&f.Tag, "tag", "", "only keys with this `word`")
	return cmd
}

var keyColumns = []column[client.Key]{
	{"id", func(k *client.Key) string { return k.ID }},
	{"name", func(k *client.Key) string { return k.Name }},
	{"status", func(k *client.Key) string { return string(k.Status) }},
	{"owner", func(k *client.Key) string { return k.Owner }},
	{"plan", func(k *client.Key) string { return k.Plan }},
	{"keyspace", func(k *client.Key) string { return k.Keyspace }},
	{"secret", func(k *client.Key) string {
		if len(k.Secrets) == 0 {
			return ""
		}
		return k.Secrets[0].Mask
	}},
	{"expires", func(k *client.Key) string { return stamp(k.ExpiresAt) }},
	{"created", func(k *client.Key) string { return stamp(&k.CreatedAt) }},
}

var keyDetails = []column[client.Key]{
	{"id", func(k *client.Key) string { return k.ID }},
	{"name", func(k *client.Key) string { return k.Name }},
	{"status", keyStatus},
	{"keyspace", func(k *client.Key) string { return k.Keyspace }},
	{"environment", func(k *client.Key) string { return string(k.Environment) }},
	{"owner", func(k *client.Key) string { return k.Owner }},
	{"plan", func(k *client.Key) string { return k.Plan }},
	{"secrets", keySecrets},
	{"expires", func(k *client.Key) string { return stamp(k.ExpiresAt) }},
	{"allowed IPs", func(k *client.Key) string { return words(k.AllowedIPs) }},
	{"permissions", func(k *client.Key) string { return words(k.Permissions) }},
	{"methods", func(k *client.Key) string { return words(k.Methods) }},
	{"endpoints", func(k *client.Key) string { return words(k.Endpoints) }},
	{"rules", func(k *client.Key) string { return formatRules(k.Rules) }},
	{"tags", func(k *client.Key) string { return words(k.Tags) }},
	{"metadata", func(k *client.Key) string { return metadata(k.Metadata) }},
	{"created", func(k *client.Key) string { return stamp(&k.CreatedAt) }},
	{"updated", func(k *client.Key) string { return stamp(&k.UpdatedAt) }},
	{"etag", func(k *client.Key) string { return string(k.ETag) }},
}

func keyStatus(k *client.Key) string {
	status := string(k.Status)
	if k.RevokedAt != nil {
		status += " " + stamp(k.RevokedAt)
	}
	if k.SuspendedUntil != nil {
		status += " until " + stamp(k.SuspendedUntil)
	}
	if k.SuspendReason != "" {
		status += ": " + k.SuspendReason
	}
	return status
}

func keySecrets(k *client.Key) string {
	text := ""
	for i, s := range k.Secrets {
		if i > 0 {
			text += "\n"
		}
		text += s.Mask
		if s.ExpiresAt != nil {
			text += " until " + stamp(s.ExpiresAt)
		}
	}
	return text
}

func keysGet() *cobra.Command {
	return description("get ID", "Describe a key", keyDetails,
		func(ctx context.Context, c *client.Client, ref string) (*client.Key, error) {
			return c.Keys.Get(ctx, ref)
		})
}

func keysUpdate() *cobra.Command {
	var (
		f    keyFlags
		p    patching
		name string
	)
	cmd := &cobra.Command{
		Use: "update ID", Short: "Change a key", Args: oneArg("ID"),
		Long: "What is not named stays. A list that is named, such as --tag or --rule, is replaced as a whole.",
		Example: "  viva keys update 0198c0de-… --name Checkout --expires 720h\n" +
			"  viva keys update 0198c0de-… --clear rule,expires",
		RunE: remote(func(cmd *cobra.Command, c *client.Client, args []string) error {
			patch := client.KeyPatch{
				Name: given(cmd, "name", name), Owner: given(cmd, "owner", f.key.Owner), Plan: given(cmd, "plan", f.key.Plan),
				ExpiresAt:  changed(cmd, &p, "expires", f.expires.at),
				AllowedIPs: changed(cmd, &p, "allow-ip", f.key.AllowedIPs), Permissions: changed(cmd, &p, "permission", f.key.Permissions),
				Methods: changed(cmd, &p, "method", f.key.Methods), Endpoints: changed(cmd, &p, "endpoint", f.key.Endpoints),
				Rules: changedRules(cmd, &p, f.key.Rules), Tags: changed(cmd, &p, "tag", f.key.Tags), Metadata: p.metadata(f.key.Metadata),
			}
			key, err := c.Keys.Update(cmd.Context(), args[0], p.etag(), patch)
			if err != nil {
				return err
			}
			return printOne(cmd, key, keyDetails)
		}),
	}
	f.add(cmd)
	cmd.Flags().StringVar(&name, "name", "", "its new `name`")
	p.add(cmd, "expires", "allow-ip", "permission", "method", "endpoint", "rule", "tag")
	return cmd
}

func keysLookup() *cobra.Command {
	return &cobra.Command{
		Use: "lookup KEY|-", Short: "Find a key by its secret", Args: oneArg("KEY"),
		Long:    "With - the secret is read from the standard input, so that no history keeps it.",
		Example: "  viva keys lookup - < secret.txt",
		RunE: remote(func(cmd *cobra.Command, c *client.Client, args []string) error {
			secret, err := secretArgument(cmd, args[0])
			if err != nil {
				return err
			}
			key, err := c.Keys.Lookup(cmd.Context(), secret)
			if err != nil {
				return err
			}
			return printOne(cmd, key, keyDetails)
		}),
	}
}
