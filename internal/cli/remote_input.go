package cli

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// stdinName stands for the standard input where a file or a key is named.
const stdinName = "-"

func addFromFlag(cmd *cobra.Command, from *string) {
	cmd.Flags().StringVar(from, "from", "", "`file` with what the API takes, as JSON; - reads the standard input")
}

// readFrom decodes the file of --from. Arguments and flags that would say the
// same are refused beside it.
func readFrom(cmd *cobra.Command, args []string, from string, v any) error {
	if len(args) > 0 {
		return usageError{errors.New("--from says it all: take the argument away")}
	}
	var err error
	cmd.LocalNonPersistentFlags().VisitAll(func(f *pflag.Flag) {
		if f.Changed && f.Name != "from" && err == nil {
			err = usageError{fmt.Errorf("--from says it all: take --%s away", f.Name)}
		}
	})
	if err != nil {
		return err
	}
	file, err := open(cmd, from)
	if err != nil {
		return err
	}
	defer file.Close()
	data, err := io.ReadAll(file)
	if err != nil {
		return err
	}
	if err := decode(data, v); err != nil {
		return usageError{fmt.Errorf("--from: %w", err)}
	}
	return nil
}

// open opens a file, or the standard input.
func open(cmd *cobra.Command, name string) (io.ReadCloser, error) {
	if name == stdinName {
		return io.NopCloser(cmd.InOrStdin()), nil
	}
	file, err := os.Open(name)
	if err != nil {
		return nil, usageError{err}
	}
	return file, nil
}

// decode reads JSON into v, and refuses members that v has no place for: they
// are most likely misspelled. No error repeats a value.
func decode(data []byte, v any) error {
	if err := json.Unmarshal(data, v); err != nil {
		return jsonMistake(err)
	}
	kept, err := json.Marshal(v)
	if err != nil {
		return err
	}
	var before, after any
	if err := errors.Join(json.Unmarshal(data, &before), json.Unmarshal(kept, &after)); err != nil {
		return err
	}
	if path := lost("", before, after); path != "" {
		return fmt.Errorf("%s is no member the API knows", path)
	}
	return nil
}

func jsonMistake(err error) error {
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		if wrong.Field == "" {
			return errors.New("it must be a JSON object")
		}
		// An embedded type is named there, and is no member.
		return fmt.Errorf("%s must not be a JSON %s", strings.TrimPrefix(wrong.Field, "NewKey."), wrong.Value)
	}
	if _, ok := errors.AsType[*time.ParseError](err); ok {
		return errors.New("a time must be written as 2027-01-31T00:00:00Z")
	}
	if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
		return fmt.Errorf("not well-formed JSON, at byte %d", syntax.Offset)
	}
	return err
}

// lost finds a member that decoding dropped. One that is empty may be dropped.
func lost(path string, before, after any) string {
	switch before := before.(type) {
	case map[string]any:
		kept, _ := after.(map[string]any)
		for _, name := range slices.Sorted(maps.Keys(before)) {
			value, ok := kept[name]
			if !ok && !empty(before[name]) {
				return path + name
			}
			if found := lost(path+name+".", before[name], value); found != "" {
				return found
			}
		}
	case []any:
		kept, _ := after.([]any)
		for i := range min(len(before), len(kept)) {
			if found := lost(fmt.Sprintf("%s[%d].", strings.TrimSuffix(path, "."), i), before[i], kept[i]); found != "" {
				return found
			}
		}
	}
	return ""
}

func empty(value any) bool {
	switch value := value.(type) {
	case nil:
		return true
	case bool:
		return !value
	case float64:
		return value == 0
	case string:
		return value == ""
	case []any:
		return len(value) == 0
	case map[string]any:
		return len(value) == 0
	}
	return false
}

// secretArgument is the secret that the argument gives: itself, or the first
// line of the standard input.
func secretArgument(cmd *cobra.Command, arg string) (string, error) {
	if arg != stdinName {
		return arg, nil
	}
	line, err := bufio.NewReader(io.LimitReader(cmd.InOrStdin(), 64<<10)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", err
	}
	line = strings.TrimSpace(line)
	if line == "" {
		return "", usageError{errors.New("the standard input holds no key")}
	}
	return line, nil
}

// addYesFlag lets a command that cannot be undone go ahead unasked.
func addYesFlag(cmd *cobra.Command) { cmd.Flags().BoolP("yes", "y", false, "do it without asking") }

// confirm asks a person whether to go ahead. Where nobody can answer, --yes must
// have been given.
func confirm(cmd *cobra.Command, question string) error {
	if flag(cmd, "yes") == "true" {
		return nil
	}
	if !terminal(cmd.InOrStdin()) {
		return usageError{errors.New("nobody is there to confirm it: --yes does")}
	}
	return ask(cmd.InOrStdin(), cmd.ErrOrStderr(), question)
}

func ask(in io.Reader, out io.Writer, question string) error {
	fmt.Fprintf(out, "%s [y/N] ", visible(question))
	line, err := bufio.NewReader(in).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	switch strings.ToLower(strings.TrimSpace(line)) {
	case "y", "yes":
		return nil
	}
	return errors.New("nothing was done")
}

func terminal(in io.Reader) bool {
	file, ok := in.(*os.File)
	if !ok {
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
