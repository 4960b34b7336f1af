package tests

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// root is this module's folder, as tests run in their own.
const root = ".."

// The source is read here, file by file, and not asked of the go command, so that go test sees what these tests read
// and never answers them from its cache.

// goFiles lists the Go files of this repository, relative to root; with nested, also those of the modules inside it.
func goFiles(t *testing.T, nested bool) []string {
	t.Helper()
	var files []string
	err := filepath.WalkDir(root, func(file string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(root, file)
		if err != nil {
			return err
		}
		if entry.IsDir() {
			return enter(file, relative, nested)
		}
		if strings.HasSuffix(relative, ".go") {
			files = append(files, filepath.ToSlash(relative))
		}
		return nil
	})
	require.NoError(t, err)
	require.NotEmpty(t, files)
	return files
}

// enter skips the folders that hold no source of ours.
func enter(folder, relative string, nested bool) error {
	name := filepath.Base(relative)
	if relative == "." {
		return nil
	}
	if strings.HasPrefix(name, ".") || name == "testdata" || relative == "data" || relative == "bin" {
		return filepath.SkipDir
	}
	if _, err := os.Stat(filepath.Join(folder, "go.mod")); err == nil && !nested {
		return filepath.SkipDir
	}
	return nil
}

func parse(t *testing.T, file string, mode parser.Mode) *ast.File {
	t.Helper()
	parsed, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root, file), nil, mode)
	require.NoError(t, err)
	return parsed
}

func isTest(file string) bool { return strings.HasSuffix(file, "_test.go") }

// packages reads every package of this module that has files beside its tests.
func packages(t *testing.T) []pkg {
	t.Helper()
	imports := map[string][]string{}
	for _, file := range goFiles(t, false) {
		if isTest(file) {
			continue
		}
		folder := path.Dir(file)
		all := imports[folder]
		for _, spec := range parse(t, file, parser.ImportsOnly).Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			require.NoError(t, err)
			all = append(all, imported)
		}
		imports[folder] = all
	}
	var found []pkg
	for folder, imported := range imports {
		found = append(found, pkg{folder, imported})
	}
	return found
}
