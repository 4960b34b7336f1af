// Command dashboards writes Grafana's dashboards from the short form they are kept in.
//
//	go run ./scripts/dashboards FROM TO     folders: docker/grafana/boards, docker/grafana/dashboards
//
// Floor F6.
package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"go.yaml.in/yaml/v3"
)

//go:generate go run . ../../docker/grafana/boards ../../docker/grafana/dashboards

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: dashboards FROM TO")
		os.Exit(2)
	}
	if err := convert(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// convert writes a dashboard into the folder to for each board in from.
func convert(from, to string) error {
	files, err := filepath.Glob(filepath.Join(from, "*.yaml"))
	if err != nil {
		return err
	}
	if len(files) == 0 {
		return fmt.Errorf("%s has no board (*.yaml)", from)
	}
	for _, file := range files {
		source, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		name := strings.TrimSuffix(filepath.Base(file), ".yaml")
		text, err := dashboard(name, source)
		if err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		if err := os.WriteFile(filepath.Join(to, name+".json"), text, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// dashboard turns a board into Grafana's JSON.
func dashboard(name string, source []byte) ([]byte, error) {
	var b board
	decoder := yaml.NewDecoder(bytes.NewReader(source))
	decoder.KnownFields(true)
	if err := decoder.Decode(&b); err != nil {
		return nil, err
	}
	return b.json(name)
}
