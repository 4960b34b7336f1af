package tests

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

// What operators look at: dashboards, rules and the runbook, as their files say.

const (
	pagesURL    = "https://github.com/viva/rate-limiter/blob/main/docs/runbook/"
	pagesFolder = "docs/runbook"
)

// A board is one of Grafana's dashboards.
type board struct {
	UID, Title    string
	SchemaVersion int
	Panels        []boardPanel
}

type boardPanel struct {
	ID                       int
	Type, Title, Description string
	Datasource               struct{ Type, UID string }
	GridPos                  struct{ X, Y, W, H int }
	FieldConfig              struct{ Defaults struct{ Unit string } }
	Targets                  []struct {
		RefID, Expr string
		Instant     bool
	}
}

// boards gives the dashboards by the names of their files.
func boards(t *testing.T) map[string]board {
	t.Helper()
	all := map[string]board{}
	for file, text := range filesLike(t, "docker/grafana/dashboards/*.json") {
		var b board
		require.NoError(t, json.Unmarshal(text, &b), file)
		all[strings.TrimSuffix(file, ".json")] = b
	}
	return all
}

// A rule is an alert, or what is recorded.
type rule struct {
	Alert, Record, Expr, For string
	Labels, Annotations      map[string]string
}

// rules gives the rules of Prometheus by the names of their files.
func rules(t *testing.T) map[string][]rule {
	t.Helper()
	all := map[string][]rule{}
	for file, text := range filesLike(t, "docker/prometheus/rules/*.yml") {
		var content struct {
			Groups []struct {
				Name  string
				Rules []rule
			}
		}
		decoder := yaml.NewDecoder(strings.NewReader(string(text)))
		decoder.KnownFields(true)
		require.NoError(t, decoder.Decode(&content), file)
		for _, group := range content.Groups {
			all[file] = append(all[file], group.Rules...)
		}
	}
	return all
}

// pages gives the runbook by the names of its pages.
func pages(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	for file, text := range filesLike(t, pagesFolder+"/*.md") {
		all[strings.TrimSuffix(file, ".md")] = string(text)
	}
	return all
}

// filesLike reads the files of a pattern, by their base names.
func filesLike(t *testing.T, pattern string) map[string][]byte {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(root, pattern))
	require.NoError(t, err)
	require.NotEmpty(t, found, pattern)
	all := map[string][]byte{}
	for _, file := range found {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		all[filepath.Base(file)] = text
	}
	return all
}
