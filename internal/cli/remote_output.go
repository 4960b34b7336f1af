package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"unicode"

	"github.com/spf13/cobra"

	"github.com/viva/rate-limiter/pkg/client"
)

// column shows one thing of a T: below its title in a list, beside it where one
// T is described. There, its text may have several lines.
type column[T any] struct {
	title string
	text  func(*T) string
}

func inJSON(cmd *cobra.Command) bool { return flag(cmd, "output") == "json" }

// printOne describes v.
func printOne[T any](cmd *cobra.Command, v *T, columns []column[T]) error {
	if inJSON(cmd) {
		return writeJSON(cmd.OutOrStdout(), v)
	}
	w := newTable(cmd.OutOrStdout())
	for _, c := range columns {
		title := c.title
		for line := range strings.SplitSeq(c.text(v), "\n") {
			fmt.Fprintf(w, "%s\t%s\n", title, visible(line))
			title = ""
		}
	}
	return w.Flush()
}

// printDone says what was done with v.
func printDone[T any](cmd *cobra.Command, v *T, format string, args ...any) error {
	if inJSON(cmd) {
		return writeJSON(cmd.OutOrStdout(), v)
	}
	return printGone(cmd, format, args...)
}

// printGone says what was done where the API answers nothing.
func printGone(cmd *cobra.Command, format string, args ...any) error {
	if inJSON(cmd) {
		return nil
	}
	_, err := fmt.Fprintln(cmd.OutOrStdout(), visible(fmt.Sprintf(format, args...)))
	return err
}

// printSecret prints a secret alone, so that it can be kept by $(…), and beside
// the answer what it belongs to.
func printSecret(cmd *cobra.Command, created *client.CreatedKey, format string, args ...any) error {
	note := visible(fmt.Sprintf(format, args...))
	if created.Secret != "" {
		note += "; its secret is shown this once"
	}
	fmt.Fprintln(cmd.ErrOrStderr(), note)
	if inJSON(cmd) {
		return writeJSON(cmd.OutOrStdout(), created)
	}
	if created.Secret == "" {
		return nil
	}
	_, err := fmt.Fprintln(cmd.OutOrStdout(), created.Secret)
	return err
}

func writeJSON(w io.Writer, v any) error {
	text, err := encode(v, "")
	if err != nil {
		return err
	}
	_, err = io.WriteString(w, text+"\n")
	return err
}

func encode(v any, prefix string) (string, error) {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent(prefix, "  ")
	err := e.Encode(v)
	return strings.TrimSuffix(b.String(), "\n"), err
}

func newTable(w io.Writer) *tabwriter.Writer { return tabwriter.NewWriter(w, 0, 0, 2, ' ', 0) }

// visible is text without what a terminal would obey, and a dash for none.
func visible(text string) string {
	if text == "" {
		return "-"
	}
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return unicode.ReplacementChar
	}, text)
}

func words(list []string) string { return strings.Join(list, ", ") }

func metadata(m map[string]string) string {
	pairs := make([]string, 0, len(m))
	for _, name := range slices.Sorted(maps.Keys(m)) {
		pairs = append(pairs, name+"="+m[name])
	}
	return strings.Join(pairs, "\n")
}
