package cli

import (
	"context"
	"slices"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/viva/rate-limiter/pkg/client"
)

func keyspacesCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "keyspaces", Short: "Create, read, change and delete keyspaces, the API products that keys open"}
	cmd.AddCommand(keyspacesCreate(), keyspacesList(), keyspacesGet(), keyspacesUpdate(), keyspacesDelete())
	return cmd
}

var keyspaceColumns = []column[client.Keyspace]{
	{"id", func(k *client.Keyspace) string { return k.ID }},
	{"name", func(k *client.Keyspace) string { return k.Name }},
	{"prefix", func(k *client.Keyspace) string { return k.Prefix }},
	{"imported", func(k *client.Keyspace) string { return strconv.FormatBool(k.Imported) }},
	{"created", func(k *client.Keyspace) string { return stamp(&k.CreatedAt) }},
	{"description", func(k *client.Keyspace) string { return k.Description }},
}

var keyspaceDetails = slices.Concat(keyspaceColumns, []column[client.Keyspace]{
	{"metadata", func(k *client.Keyspace) string { return metadata(k.Metadata) }},
	{"updated", func(k *client.Keyspace) string { return stamp(&k.UpdatedAt) }},
	{"etag", func(k *client.Keyspace) string { return string(k.ETag) }},
})

func keyspacesCreate() *cobra.Command {
	var (
		keyspace client.NewKeyspace
		from     string
	)
	cmd := &cobra.Command{
		Use: "create NAME", Short: "Create a keyspace", Args: nameOrFrom,
		Example: "  viva keyspaces create payments --prefix pay",
		RunE: remote(func(cmd *cobra.Command, c *client.Client, args []string) error {
			if from != "" {
				if err := readFrom(cmd, args, from, &keyspace); err != nil {
					return err
				}
			} else {
				keyspace.Name = args[0]
			}
			created, err := c.Keyspaces.Create(cmd.Context(), keyspace)
			if err != nil {
				return err
			}
			return printOne(cmd, created, keyspaceDetails)
		}),
	}
	cmd.Flags().StringVar(&keyspace.Prefix, "prefix", "", "`word` that begins every secret made in it, and never changes")
	cmd.Flags().StringVar(&keyspace.Description, "description", "", "`text` for people")
	addMetadataFlag(cmd, &keyspace.Metadata)
	addFromFlag(cmd, &from)
	return cmd
}

func keyspacesList() *cobra.Command {
	var p paging
	cmd := &cobra.Command{
		Use: "list", Short: "List keyspaces, newest first", Args: noArgs,
		RunE: remote(func(cmd *cobra.Command, c *client.Client, _ []string) error {
			return printList(cmd, &p, c.Keyspaces.List(cmd.Context(), p.page()), keyspaceColumns)
		}),
	}
	p.add(cmd, "created_at, name")
	return cmd
}

func keyspacesGet() *cobra.Command {
	return description("get KEYSPACE", "Describe a keyspace, by id or name", keyspaceDetails,
		func(ctx context.Context, c *client.Client, ref string) (*client.Keyspace, error) {
			return c.Keyspaces.Get(ctx, ref)
		})
}

func keyspacesUpdate() *cobra.Command {
	var (
		p                 patching
		name, description string
		set               map[string]string
	)
	cmd := &cobra.Command{
		Use: "update KEYSPACE", Short: "Change a keyspace, by id or name", Args: oneArg("KEYSPACE"),
		RunE: remote(func(cmd *cobra.Command, c *client.Client, args []string) error {
			keyspace, err := c.Keyspaces.Update(cmd.Context(), args[0], p.etag(), client.KeyspacePatch{
				Name: given(cmd, "name", name), Description: changed(cmd, &p, "description", description), Metadata: p.metadata(set),
			})
			if err != nil {
				return err
			}
			return printOne(cmd, keyspace, keyspaceDetails)
		}),
	}
	cmd.Flags().StringVar(&name, "name", "", "its new `name`")
	cmd.Flags().StringVar(&description, "description", "", "`text` for people")
	addMetadataFlag(cmd, &set)
	p.add(cmd, "description")
	return cmd
}

func keyspacesDelete() *cobra.Command {
	return deletion("delete KEYSPACE", "Delete a keyspace that has no keys, by id or name", "Delete keyspace %s for ever?", "deleted %s",
		func(ctx context.Context, c *client.Client, ref string) error { return c.Keyspaces.Delete(ctx, ref) })
}
