package cli

import (
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/require"
)

func TestEveryRemoteCommandSaysWhatItDoes(t *testing.T) {
	var inspect func(cmd *cobra.Command)
	inspect = func(cmd *cobra.Command) {
		require.NotEmpty(t, cmd.Short, cmd.CommandPath())
		require.False(t, strings.HasSuffix(cmd.Short, "."), cmd.CommandPath())
		require.True(t, cmd.HasSubCommands() || cmd.Args != nil, cmd.CommandPath())
		for _, held := range cmd.Commands() {
			inspect(held)
		}
	}
	for _, cmd := range append(remoteCommands(), healthCommand()) {
		inspect(cmd)
	}
}

func TestOnlyYesIsYes(t *testing.T) {
	for answer, want := range map[string]bool{
		"y\n": true, "yes\n": true, "  YES ": true, "": false, "\n": false, "n\n": false, "yep\n": false, "\ny\n": false,
	} {
		var out strings.Builder
		err := ask(strings.NewReader(answer), &out, "Erase it?")
		require.Equal(t, want, err == nil, "%q", answer)
		require.Equal(t, "Erase it? [y/N] ", out.String())
	}
}

// What a rule is printed as can be given back as a flag.
func FuzzRule(f *testing.F) {
	f.Add("name=a,limit=1,window=1s")
	f.Add("name=a, limit=9007199254740991,period=month,overage=allow,algorithm=fixed_window,scope=owner,method=GET,endpoint=/v1/**,shadow")
	f.Add("name=a,limit=1,window=1s,algorithm=gcra,burst=4294967296")
	f.Add("name=,limit=,window=1h30m,burst=")
	f.Fuzz(func(t *testing.T, text string) {
		rule, err := parseRule(text)
		if err != nil {
			return
		}
		printed := formatRule(&rule)
		again, err := parseRule(printed)
		require.NoError(t, err, printed)
		require.Equal(t, printed, formatRule(&again))
	})
}
