//go:build journeys

package tests

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// programs is the folder of viva, api and worker, built once for all journeys.
var programs string

func TestMain(m *testing.M) {
	code, err := buildAndRun(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func buildAndRun(m *testing.M) (code int, err error) {
	if programs, err = os.MkdirTemp("", "viva-journeys-"); err != nil {
		return 0, err
	}
	defer os.RemoveAll(programs)
	// As make builds them, so that building the README's clone finds it all in Go's cache.
	build := exec.Command("go", "build", "-trimpath", "-o", programs+string(filepath.Separator), "./cmd/...")
	build.Dir = root
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if said, err := build.CombinedOutput(); err != nil {
		return 0, fmt.Errorf("build the programs: %w\n%s", err, said)
	}
	return m.Run(), nil
}

// program is the path of a built program.
func program(name string) string { return filepath.Join(programs, name) }
