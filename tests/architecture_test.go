package tests

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestEveryPathARCHITECTURENamesExists(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root, "ARCHITECTURE.md"))
	require.NoError(t, err)
	named := pathsIn(string(text))
	require.NotEmpty(t, named)
	var missing []string
	for _, name := range named {
		matches, err := filepath.Glob(filepath.Join(root, name))
		require.NoError(t, err)
		if len(matches) == 0 {
			missing = append(missing, name)
		}
	}
	require.Empty(t, missing)
}

var (
	quoted     = regexp.MustCompile("`([^`\n]+)`")
	pathShaped = regexp.MustCompile(`^[\w.*-]+(/[\w.*-]+)*/?$`)
	oneOf      = regexp.MustCompile(`^(.*)\{([^{}]+)\}(.*)$`)
	fileNamed  = regexp.MustCompile(`^(\w[\w-]*\.(md|go|mod|ya?ml|sql|lua|sh|json)|Makefile|LICENSE)$`)
)

// pathsIn finds the paths a text names in backticks: `internal/app`, `cmd/{viva,api}`, `docs/adr/*.md`, `Makefile`.
// A name that begins with a slash is a URL, one whose first part has a dot a Go module; media types are known, and
// what the programs make in data/ when they run is not in the repository.
func pathsIn(text string) []string {
	var found []string
	for _, match := range quoted.FindAllStringSubmatch(text, -1) {
		for _, name := range alternatives(match[1]) {
			first, _, folders := strings.Cut(name, "/")
			switch {
			case !pathShaped.MatchString(name), strings.Contains(strings.TrimPrefix(first, "."), ".") && folders:
			case first == "application", first == "text", first == "data":
			case folders, fileNamed.MatchString(name):
				found = append(found, name)
			}
		}
	}
	return found
}

// alternatives writes out `a/{b,c}` as `a/b` and `a/c`.
func alternatives(name string) []string {
	parts := oneOf.FindStringSubmatch(name)
	if parts == nil {
		return []string{name}
	}
	var all []string
	for choice := range strings.SplitSeq(parts[2], ",") {
		all = append(all, alternatives(parts[1]+strings.TrimSpace(choice)+parts[3])...)
	}
	return all
}

func TestPathsAreToldFromOtherNames(t *testing.T) {
	text := "`internal/app/engines.go` `cmd/{viva, api}` `docs/adr/*.md` `configs/` `.ci/run` `Makefile` `go.mod`"
	require.Equal(t, []string{"internal/app/engines.go", "cmd/viva", "cmd/api", "docs/adr/*.md", "configs/", ".ci/run",
		"Makefile", "go.mod"}, pathsIn(text))
	for _, other := range []string{"keys.Service", "/api/v1/validate", "application/problem+json", "text/csv", "make run",
		"github.com/viva/rate-limiter", "modernc.org/sqlite", "data/admin.header", "GET /health", "key", "services/…",
		"http://127.0.0.1:8080/docs", "VIVA_SERVER_ADDR"} {
		require.Empty(t, pathsIn("`"+other+"`"), other)
	}
}

var generated = regexp.MustCompile(`(?m)^// Code generated .* DO NOT EDIT\.$`)

func TestFilesAreShort(t *testing.T) {
	var long []string
	for _, file := range goFiles(t, true) {
		source, err := os.ReadFile(filepath.Join(root, file))
		require.NoError(t, err)
		if lines := bytes.Count(source, []byte("\n")); lines > mostLines(file) && !generated.Match(source) {
			long = append(long, fmt.Sprintf("%s has %d lines", file, lines))
		}
	}
	require.Empty(t, long)
}

// mostLines is how long a file may be. A main only reads its arguments, calls what does the work, and exits.
func mostLines(file string) int {
	if main, _ := path.Match("cmd/*/main.go", file); main {
		return 80
	}
	return 500
}

func TestMainsAreShorterThanOtherFiles(t *testing.T) {
	require.Equal(t, 80, mostLines("cmd/viva/main.go"))
	require.Equal(t, 500, mostLines("internal/app/app.go"))
}

func TestEveryPackageSaysWhatItIsAndWhereItStands(t *testing.T) {
	docs := map[string]string{}
	for _, file := range goFiles(t, false) {
		if isTest(file) {
			continue
		}
		parsed := parse(t, file, parser.PackageClauseOnly|parser.ParseComments)
		docs[path.Dir(file)] += opening(parsed)
	}
	var silent []string
	for folder, doc := range docs {
		if doc == "" {
			silent = append(silent, folder+": no file opens with a comment // Package …")
		} else if stands, ok := treeOf(folder); ok && !strings.Contains(doc, fmt.Sprintf("F%d", stands.floor)) {
			silent = append(silent, fmt.Sprintf("%s: its comment does not name its floor, F%d", folder, stands.floor))
		}
	}
	require.Empty(t, silent)
}

// opening is the file's package comment, where it has the form that says what the package is.
func opening(file *ast.File) string {
	doc := file.Doc.Text()
	name := file.Name.Name
	if strings.HasPrefix(doc, "Package "+name+" ") || name == "main" && strings.HasPrefix(doc, "Command ") {
		return doc
	}
	return ""
}
