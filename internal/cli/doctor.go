package cli

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/viva/rate-limiter/internal/app"
)

// examination is what `viva doctor` was asked for.
type examination struct {
	only    []string
	timeout time.Duration
	asJSON  bool
}

func doctorCommand() *cobra.Command {
	var e examination
	cmd := &cobra.Command{
		Use: "doctor", Short: "Examine an installation, say what is wrong and what to do about it; exits with 1 where something failed", Args: noArgs,
		Long: "Opens the folders, the database and Redis of the configuration itself, beside whatever runs, and changes nothing.\n\n" +
			"The checks:\n" + listChecks(),
		Example: "  viva doctor\n  viva doctor --only redis,clock-redis --json",
		RunE:    func(cmd *cobra.Command, _ []string) error { return e.run(cmd) },
	}
	flags := cmd.Flags()
	flags.StringSliceVar(&e.only, "only", nil, "the `checks` to make (repeat or separate by commas); what they depend on is told where it fails")
	flags.DurationVar(&e.timeout, "timeout", 5*time.Second, "how long each check may take")
	flags.BoolVar(&e.asJSON, "json", false, "one JSON array of name, status (ok, warning, failed or not_checked), found and advice")
	return cmd
}

func listChecks() string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for _, c := range app.DoctorChecks() {
		fmt.Fprintf(w, "  %s\t%s\n", c.Name, c.About)
	}
	w.Flush()
	return b.String()
}

func (e *examination) run(cmd *cobra.Command) error {
	if e.timeout <= 0 {
		return usageError{errors.New("--timeout must be positive, such as 5s")}
	}
	for _, name := range e.only {
		if !slices.ContainsFunc(app.DoctorChecks(), func(c app.DoctorCheck) bool { return c.Name == name }) {
			return usageError{fmt.Errorf("--only: there is no check %q; viva doctor --help lists them", name)}
		}
	}
	cfg, err := loadConfig(cmd, "")
	if err != nil {
		return err
	}
	failed, all := 0, []app.Finding{}
	err = app.NewDoctor(cfg, e.timeout).Examine(cmd.Context(), e.only, func(f app.Finding) error {
		if f.Status == app.Failed {
			failed++
		}
		if e.asJSON {
			all = append(all, f)
			return nil
		}
		return printFinding(cmd.OutOrStdout(), f)
	})
	if err != nil {
		return err
	}
	if e.asJSON {
		if err := writeJSON(cmd.OutOrStdout(), all); err != nil {
			return err
		}
	}
	switch failed {
	case 0:
		return nil
	case 1:
		return errors.New("1 of the findings is a failure")
	default:
		return fmt.Errorf("%d of the findings are failures", failed)
	}
}

// printFinding prints one line. What nodes and servers say of themselves is in
// it, so that it may hold anything.
func printFinding(out io.Writer, f app.Finding) error {
	line := fmt.Sprintf("%-11s  %-14s  %s", strings.ReplaceAll(string(f.Status), "_", " "), f.Name, f.Found)
	if f.Advice != "" {
		line += " -> " + f.Advice
	}
	_, err := fmt.Fprintln(out, visible(line))
	return err
}
