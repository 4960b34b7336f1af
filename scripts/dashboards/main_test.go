package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const folder = "../../docker/grafana"

func TestDashboardsAreThoseOfTheBoards(t *testing.T) {
	made := t.TempDir()
	require.NoError(t, convert(filepath.Join(folder, "boards"), made))
	names := func(folder string) (names []string) {
		found, err := filepath.Glob(filepath.Join(folder, "*.json"))
		require.NoError(t, err)
		for _, file := range found {
			names = append(names, filepath.Base(file))
		}
		return names
	}
	require.Equal(t, names(filepath.Join(folder, "dashboards")), names(made))
	for _, name := range names(made) {
		want, err := os.ReadFile(filepath.Join(made, name))
		require.NoError(t, err)
		got, err := os.ReadFile(filepath.Join(folder, "dashboards", name))
		require.NoError(t, err)
		require.Equal(t, string(want), string(got), "go generate ./scripts/dashboards")
	}
}

func TestPanelsStandBesideOneAnotherWhileThereIsRoom(t *testing.T) {
	var b board
	b.Rows = make([]struct {
		Title  string
		Panels []panel
	}, 1)
	b.Rows[0].Panels = []panel{{Width: 12}, {Kind: "stat"}, {Width: 12}}
	var at []object
	for _, p := range b.panels() {
		at = append(at, p["gridPos"].(object))
	}
	require.Equal(t, []object{
		{"x": 0, "y": 0, "w": 24, "h": 1},
		{"x": 0, "y": 1, "w": 12, "h": 8}, {"x": 12, "y": 1, "w": 4, "h": 4}, {"x": 0, "y": 9, "w": 12, "h": 8},
	}, at)
}

func TestMistakesInABoardAreFound(t *testing.T) {
	_, err := dashboard("x", []byte("title: x\nrows:\n  - panels:\n      - titel: y\n"))
	require.ErrorContains(t, err, "titel")
	require.ErrorContains(t, convert(t.TempDir(), t.TempDir()), "has no board")
	from := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(from, "broken.yaml"), []byte("title: ["), 0o600))
	err = convert(from, t.TempDir())
	require.True(t, err != nil && strings.Contains(err.Error(), "broken.yaml"), err)
}
