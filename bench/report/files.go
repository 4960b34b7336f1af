package report

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Save writes files, by their names, into a folder; an empty one asks for none.
func Save(folder string, files map[string]string) error {
	if folder == "" {
		return nil
	}
	for name, content := range files {
		file := filepath.Join(folder, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			return fmt.Errorf("write the results: %w", err)
		}
		if err := os.WriteFile(file, []byte(content), 0o644); err != nil {
			return fmt.Errorf("write the results: %w", err)
		}
	}
	return nil
}

// Command is how a person makes the target of the Makefile with these flags, of which empty ones are left out.
func Command(target string, flags ...string) string {
	var given []string
	for _, flag := range flags {
		if flag != "" {
			given = append(given, flag)
		}
	}
	if given == nil {
		return "make " + target
	}
	return fmt.Sprintf("make %s BENCHFLAGS=%q", target, strings.Join(given, " "))
}

// Flag is a flag with its value, or nothing where it has none.
func Flag(name, value string) string {
	if value == "" {
		return ""
	}
	return name + " " + value
}
