package cli

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"
)

func noArgs(_ *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usageError{fmt.Errorf("takes no arguments, but was given %d", len(args))}
	}
	return nil
}

func oneArg(name string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) != 1 {
			return usageError{fmt.Errorf("wants one argument, %s", name)}
		}
		return nil
	}
}

func optionalArg(name string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) > 1 {
			return usageError{fmt.Errorf("wants at most one argument, %s", name)}
		}
		return nil
	}
}

// nameOrFrom wants the name of what is made, unless --from has it.
func nameOrFrom(cmd *cobra.Command, args []string) error {
	if len(args) != 1 && flag(cmd, "from") == "" {
		return usageError{errors.New("wants one argument, NAME, or --from")}
	}
	return nil
}
