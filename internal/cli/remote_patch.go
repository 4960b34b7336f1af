package cli

import (
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/viva/rate-limiter/pkg/client"
)

// addMetadataFlag lets a command set metadata.
func addMetadataFlag(cmd *cobra.Command, m *map[string]string) {
	cmd.Flags().StringToStringVar(m, "metadata", nil, "a `name=value` for yourself; repeat for more")
	cmd.Flag("metadata").DefValue = "" // help would show []
}

// patching are the flags that only changes have.
type patching struct {
	clear   []string
	unset   []string
	version string
}

func (p *patching) add(cmd *cobra.Command, clearable ...string) {
	cmd.Flags().StringSliceVar(&p.unset, "unset-metadata", nil, "`name` of metadata to take away; repeat for more")
	p.addPlain(cmd, clearable...)
}

// addPlain is for what has no metadata.
func (p *patching) addPlain(cmd *cobra.Command, clearable ...string) {
	cmd.Flags().StringSliceVar(&p.clear, "clear", nil, "a `flag` whose value is taken away: "+words(clearable))
	cmd.Flags().StringVar(&p.version, "if-match", string(client.AnyVersion), "change only the version with this `ETag`, as get shows it")
	cmd.PreRunE = func(*cobra.Command, []string) error {
		for _, name := range p.clear {
			if !slices.Contains(clearable, name) {
				return usageError{fmt.Errorf("--clear must be one of: %s", words(clearable))}
			}
		}
		return nil
	}
}

func (p *patching) etag() client.ETag { return client.ETag(p.version) }

func (p *patching) metadata(set map[string]string) client.MetadataPatch {
	patch := client.MetadataPatch{}
	for name, value := range set {
		patch[name] = &value
	}
	for _, name := range p.unset {
		patch[name] = nil
	}
	return patch
}

// changed is what a flag, or --clear with its name, does to a field.
func changed[T any](cmd *cobra.Command, p *patching, name string, value T) client.Change[T] {
	switch {
	case slices.Contains(p.clear, name):
		return client.Clear[T]()
	case cmd.Flag(name).Changed:
		return client.Set(value)
	default:
		return client.Change[T]{}
	}
}

// given is the value of a flag, or nil where it was not given.
func given[T any](cmd *cobra.Command, name string, value T) *T {
	if !cmd.Flag(name).Changed {
		return nil
	}
	return &value
}

// changedRules is what --rule and --quota do to a field.
func changedRules(cmd *cobra.Command, p *patching, rules []client.Rule) client.Change[[]client.Rule] {
	if cmd.Flag("quota").Changed {
		return client.Set(rules)
	}
	return changed(cmd, p, "rule", rules)
}
