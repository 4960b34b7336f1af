package tests

import (
	"fmt"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const module = "github.com/viva/rate-limiter"

// A tree is a folder whose packages may import one another, and what stands on lower floors. A trailing /* makes each
// child a tree of its own, and allows no package in the folder itself.
type tree struct {
	folder string
	floor  int
}

var trees = []tree{
	{"pkg/apierror", 0}, {"pkg/ratelimit", 0}, {"pkg/apikey", 0}, {"migrations", 0},
	{"internal/models", 1}, {"internal/logging", 1}, {"internal/config", 1}, {"pkg/client", 1},
	{"internal/services/*", 2},
	{"internal/controllers", 3}, {"internal/grpcapi", 3}, {"internal/middleware", 3}, {"internal/repositories", 3},
	{"internal/queue", 3}, {"internal/cache", 3}, {"internal/journal", 3}, {"internal/notify", 3}, {"internal/metrics", 3}, {"internal/tracing", 3},
	{"internal/app", 4},
	{"internal/cli", 5},
	{"cmd/*", 6}, {"scripts/*", 6},
}

// Packages for tests alone. They stand on no floor: only test files import them, and they import none of the others.
var outside = []string{"internal/testenv", "tests"}

// A pkg is one package of this module with the imports of its files, tests apart. Its path is relative to the module.
type pkg struct {
	path    string
	imports []string
}

// breaches names every import that the floors forbid, and every package that stands on none.
func breaches(packages []pkg) []string {
	var found []string
	for _, p := range packages {
		from, ok := treeOf(p.path)
		if !ok && !slices.Contains(outside, p.path) {
			found = append(found, p.path+" stands on no floor")
			continue
		}
		for _, imported := range p.imports {
			if why := forbidden(p.path, from, imported); why != "" {
				found = append(found, fmt.Sprintf("%s imports %s: %s", p.path, imported, why))
			}
		}
	}
	return found
}

// forbidden says why the package must not import that path; nothing when it may.
func forbidden(importer string, from tree, imported string) string {
	target, ours := strings.CutPrefix(imported, module+"/")
	if !ours {
		return forbiddenOutsider(importer, from, imported)
	}
	to, ok := treeOf(target)
	switch {
	case slices.Contains(outside, target):
		return "only test files may"
	case slices.Contains(outside, importer):
		return "what stands outside the floors depends on none"
	case !ok:
		return "it stands on no floor"
	case to.folder == from.folder:
		return ""
	case to.floor >= from.floor:
		return fmt.Sprintf("floor %d may not import floor %d", from.floor, to.floor)
	case to.folder == "internal/config" && from.floor < 4:
		return "settings are read by app, cli and cmd, and handed down as values"
	}
	return ""
}

// technologies stay at the edge: the domain knows none of them.
var technologies = []string{
	"github.com/danielgtaylor/huma", "github.com/gin-gonic/gin", "github.com/hibiken/asynq", "github.com/jackc/pgx",
	"github.com/prometheus", "github.com/redis/go-redis", "github.com/spf13/viper", "go.opentelemetry.io", "gorm.io",
}

// The limiter is usable alone. What joins it to something else stands in a package of its own.
var joints = []string{"pkg/ratelimit/redisstore", "pkg/ratelimit/httplimit/ginlimit", "pkg/ratelimit/storetest"}

func forbiddenOutsider(importer string, from tree, imported string) string {
	first, _, _ := strings.Cut(imported, "/")
	standard := !strings.Contains(first, ".")
	if from.folder == "pkg/ratelimit" && !standard && !slices.Contains(joints, importer) {
		return "the library imports the standard library only"
	}
	if from.folder != "internal/models" && from.floor != 2 {
		return ""
	}
	for _, technology := range technologies {
		if imported == technology || strings.HasPrefix(imported, technology+"/") {
			return "the domain knows no technology"
		}
	}
	return ""
}

// treeOf finds the tree a package stands in, its own folder filled in for the star.
func treeOf(importPath string) (tree, bool) {
	for _, t := range trees {
		folder := t.folder
		if parent, children := strings.CutSuffix(folder, "/*"); children {
			rest, inside := strings.CutPrefix(importPath, parent+"/")
			if !inside {
				continue
			}
			child, _, _ := strings.Cut(rest, "/")
			folder = path.Join(parent, child)
		}
		if importPath == folder || strings.HasPrefix(importPath, folder+"/") {
			return tree{folder, t.floor}, true
		}
	}
	return tree{}, false
}

func TestImportsKeepToTheFloors(t *testing.T) {
	require.Empty(t, breaches(packages(t)))
}

// The rules are tried on houses built wrong, one arrow each.
func TestFloorsRefuseAForbiddenArrow(t *testing.T) {
	ours := func(path string) string { return module + "/" + path }
	for name, wrong := range map[string]struct {
		pkg  pkg
		want string
	}{
		"upwards":              {pkg{"internal/models", []string{ours("internal/app")}}, "floor 1 may not import floor 4"},
		"to a program":         {pkg{"internal/cli", []string{ours("cmd/viva")}}, "floor 5 may not import floor 6"},
		"across floor 0":       {pkg{"pkg/apikey", []string{ours("pkg/apierror")}}, "floor 0 may not import floor 0"},
		"across floor 3":       {pkg{"internal/controllers", []string{ours("internal/cache")}}, "floor 3 may not import floor 3"},
		"to a sibling service": {pkg{"internal/services/keys", []string{ours("internal/services/plans")}}, "floor 2 may not import floor 2"},
		"from a deep package":  {pkg{"internal/cache/wire", []string{ours("internal/queue")}}, "floor 3 may not import floor 3"},
		"to the test servers":  {pkg{"internal/app", []string{ours("internal/testenv")}}, "only test files may"},
		"to these tests":       {pkg{"cmd/viva", []string{ours("tests")}}, "only test files may"},
		"test servers to ours": {pkg{"internal/testenv", []string{ours("internal/models")}}, "outside the floors"},
		"to settings":          {pkg{"internal/cache", []string{ours("internal/config")}}, "settings are read by"},
		"to no floor":          {pkg{"internal/app", []string{ours("internal/extras")}}, "stands on no floor"},
		"library to others":    {pkg{"pkg/ratelimit", []string{"github.com/redis/go-redis/v9"}}, "standard library only"},
		"its parts to others":  {pkg{"pkg/ratelimit/internal/counter", []string{"golang.org/x/sys/cpu"}}, "standard library only"},
		"service to SQL":       {pkg{"internal/services/keys", []string{"gorm.io/gorm"}}, "knows no technology"},
		"entity to the web":    {pkg{"internal/models", []string{"github.com/gin-gonic/gin/binding"}}, "knows no technology"},
		"a package elsewhere":  {pkg{"internal/extras", nil}, "stands on no floor"},
		"a file in services":   {pkg{"internal/services", nil}, "stands on no floor"},
		"a file in cmd":        {pkg{"cmd", nil}, "stands on no floor"},
		"a look-alike":         {pkg{"internal/appendix", nil}, "stands on no floor"},
		"a file in the root":   {pkg{".", nil}, "stands on no floor"},
	} {
		t.Run(name, func(t *testing.T) {
			found := breaches([]pkg{wrong.pkg})
			require.Len(t, found, 1)
			require.Contains(t, found[0], wrong.want)
		})
	}
}

func TestFloorsAllowWhatTheHouseIsBuiltOf(t *testing.T) {
	ours := func(path string) string { return module + "/" + path }
	require.Empty(t, breaches([]pkg{
		{"pkg/ratelimit", []string{"context", "sync/atomic"}},
		{"pkg/ratelimit/redisstore", []string{ours("pkg/ratelimit"), "github.com/redis/go-redis/v9"}},
		{"internal/services/keys", []string{ours("internal/models"), ours("pkg/apikey")}},
		{"internal/services/keys/keystest", []string{ours("internal/services/keys")}},
		{"internal/repositories", []string{ours("internal/services/keys"), ours("migrations"), "gorm.io/gorm"}},
		{"internal/app", []string{ours("internal/config"), ours("internal/cache")}},
		{"cmd/viva", []string{ours("internal/cli")}},
		{"internal/testenv", []string{"testing", "github.com/redis/go-redis/v9"}},
	}))
}
