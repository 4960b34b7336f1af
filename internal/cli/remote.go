package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/viva/rate-limiter/pkg/apikey"
	"github.com/viva/rate-limiter/pkg/client"
)

// Where the service and the access token are, unless a flag says otherwise.
const (
	serverVariable = "VIVA_SERVER"
	tokenVariable  = "VIVA_TOKEN_FILE"
	defaultServer  = "http://127.0.0.1:8080"
	headerFile     = "admin.header" // in the data folder
)

// remoteCommands are the commands that speak to a running service.
func remoteCommands() []*cobra.Command {
	commands := []*cobra.Command{
		keysCommand(), ownersCommand(), plansCommand(), keyspacesCommand(), checkCommand(), whoamiCommand(),
		usageCommand(), violationsCommand(), explainCommand(), queuesCommand(), logLevelCommand(), destinationsCommand(), deliveriesCommand(),
		alertsCommand(), alertRulesCommand(),
	}
	for _, cmd := range commands {
		addServerFlags(cmd)
		flags := cmd.PersistentFlags()
		flags.String("token-file", "", "`file` that holds an access token, or a line with its Authorization header\n"+
			"(default $"+tokenVariable+", or "+headerFile+" in the data folder)")
		flags.String("token", "", "")
		flags.Lookup("token").Hidden = true // it is there to be refused
	}
	return commands
}

func addServerFlags(cmd *cobra.Command) {
	flags := cmd.PersistentFlags()
	flags.String("server", "", "`URL` of the service (default $"+serverVariable+", or "+defaultServer+")")
	flags.VarP(&choice{value: "table", allowed: []string{"table", "json"}}, "output", "o", "`form` of the answer: table, or json as the API gives it")
}

// remote makes a command of what is done with a client.
func remote(do func(cmd *cobra.Command, c *client.Client, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		token, err := tokenFile(cmd)
		if err != nil {
			return err
		}
		c, err := connect(cmd, client.WithHeaderFile(token))
		if err != nil {
			return err
		}
		defer c.CloseIdleConnections()
		return explain(cmd, do(cmd, c, args))
	}
}

func connect(cmd *cobra.Command, opts ...client.Option) (*client.Client, error) {
	c, err := client.New(server(cmd), append([]client.Option{client.WithUserAgent("viva/" + version())}, opts...)...)
	if err != nil {
		return nil, usageError{err}
	}
	return c, nil
}

func server(cmd *cobra.Command) string {
	switch given, variable := flag(cmd, "server"), os.Getenv(serverVariable); {
	case given != "":
		return given
	case variable != "":
		return variable
	default:
		return defaultServer
	}
}

// flag gives the value of a flag that the command is known to have.
func flag(cmd *cobra.Command, name string) string { return cmd.Flag(name).Value.String() }

const howToGiveToken = "give one with --token-file FILE or $" + tokenVariable + ";\n" +
	"the first start of `viva serve` writes one into its data folder, and `viva tokens create` makes more"

// tokenFile finds a file that can be read. Where somebody put the token in
// place of the file's name, no error repeats it.
func tokenFile(cmd *cobra.Command) (string, error) {
	if cmd.Flag("token").Changed {
		return "", usageError{errors.New("a token on the command line is seen in the list of processes and kept in the shell's history: put it in a file, for --token-file")}
	}
	path, source := flag(cmd, "token-file"), "--token-file"
	if path == "" {
		path, source = os.Getenv(tokenVariable), "$"+tokenVariable
	}
	if path == "" {
		cfg, err := loadConfig(cmd, "")
		if err != nil {
			return "", err
		}
		path = filepath.Join(cfg.Data.Dir, headerFile)
		source = path
	}
	if apikey.ValidToken(path) {
		return "", usageError{fmt.Errorf("%s must name a file, and is a token: put it in a file", source)}
	}
	file, err := os.Open(path)
	if err != nil {
		var at *fs.PathError
		if errors.As(err, &at) {
			err = at.Err
		}
		return "", usageError{fmt.Errorf("no access token: %s: %w:\n%s", source, err, howToGiveToken)}
	}
	return path, file.Close()
}
