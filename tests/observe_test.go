package tests

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestDashboardsAreWhole(t *testing.T) {
	pages := pages(t)
	uids := map[string]string{}
	for name, b := range boards(t) {
		require.Equal(t, "viva-"+name, b.UID)
		require.Empty(t, uids[b.UID])
		uids[b.UID] = name
		require.GreaterOrEqual(t, b.SchemaVersion, 39)
		ids, titles := map[int]bool{}, map[string]bool{}
		for _, p := range b.Panels {
			require.NotEmpty(t, p.Title, "%s: panel %d", name, p.ID)
			where := name + ": " + p.Title
			require.Positive(t, p.ID, where)
			require.False(t, ids[p.ID] || titles[p.Title], where)
			ids[p.ID], titles[p.Title] = true, true
			if p.Type == "row" {
				require.Empty(t, p.Targets, where)
				continue
			}
			require.Equal(t, "prometheus", p.Datasource.Type, where)
			require.Equal(t, "${datasource}", p.Datasource.UID, where)
			require.NotEmpty(t, p.FieldConfig.Defaults.Unit, where)
			require.NotEmpty(t, p.Targets, where)
			for _, target := range p.Targets {
				require.NotEmpty(t, target.Expr, where)
			}
			usual, link, found := strings.Cut(p.Description, "\n\nOtherwise: [")
			require.True(t, found && usual != "", "%s: it says what is usual", where)
			require.Contains(t, pages, between(link, pagesURL, ".md"), where)
		}
		require.Empty(t, overlaps(b.Panels), name)
	}
}

// between gives what stands between two texts.
func between(text, from, to string) string {
	_, after, _ := strings.Cut(text, from)
	inner, _, _ := strings.Cut(after, to)
	return inner
}

// overlaps names panels that lie upon one another, or beyond the edge.
func overlaps(panels []boardPanel) (wrong []string) {
	taken := map[[2]int]string{}
	for _, p := range panels {
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				if other := taken[[2]int{x, y}]; other != "" || x >= 24 {
					wrong = append(wrong, p.Title+" on "+other)
				}
				taken[[2]int{x, y}] = p.Title
			}
		}
		if p.GridPos.W <= 0 || p.GridPos.H <= 0 {
			wrong = append(wrong, p.Title+" has no size")
		}
	}
	return wrong
}

func TestPanelsThatOverlapAreFound(t *testing.T) {
	at := func(x, y, w, h int) (p boardPanel) {
		p.GridPos.X, p.GridPos.Y, p.GridPos.W, p.GridPos.H = x, y, w, h
		return p
	}
	require.Empty(t, overlaps([]boardPanel{at(0, 0, 24, 1), at(0, 1, 12, 2), at(12, 1, 12, 2)}))
	require.NotEmpty(t, overlaps([]boardPanel{at(20, 0, 5, 1)}))
	require.NotEmpty(t, overlaps([]boardPanel{at(0, 0, 0, 1)}))
	one, two := at(0, 0, 2, 2), at(1, 1, 2, 2)
	one.Title, two.Title = "one", "two"
	require.Equal(t, []string{"two on one"}, overlaps([]boardPanel{one, two}))
}

func TestAlertsAreWhole(t *testing.T) {
	pages, seen, led := pages(t), map[string]bool{}, map[string]bool{}
	for file, list := range rules(t) {
		for _, r := range list {
			if r.Record != "" {
				continue
			}
			require.Regexp(t, "^Viva[A-Z]", r.Alert, file)
			require.False(t, seen[r.Alert], r.Alert)
			seen[r.Alert] = true
			require.Contains(t, []string{"critical", "warning", "info"}, r.Labels["severity"], r.Alert)
			require.NotEmpty(t, r.Annotations["summary"], r.Alert)
			require.NotEmpty(t, r.Annotations["description"], r.Alert)
			page := r.Labels["runbook"]
			require.Equal(t, pagesURL+page+".md", r.Annotations["runbook_url"], r.Alert)
			require.Contains(t, pages[page], "`"+r.Alert+"`", "the page %s of %s names it", page, r.Alert)
			led[page] = true
		}
	}
	require.Greater(t, len(seen), 20)
	for page, text := range pages {
		for _, named := range regexp.MustCompile("`(Viva[A-Z]\\w+)`").FindAllStringSubmatch(text, -1) {
			require.True(t, seen[named[1]], "%s names the alert %s", page, named[1])
		}
		if page != "README" && page != "customer-refused" { // nothing but a customer leads there
			require.True(t, led[page], "no alert leads to %s", page)
		}
	}
}

// promtool runs these in a journey. Here it is seen that they are of every alert.
func TestEveryAlertIsTriedToFireAndNotTo(t *testing.T) {
	tried := filesLike(t, "docker/prometheus/tests/*.yml")
	for file, list := range rules(t) {
		for _, r := range list {
			if r.Record != "" {
				continue
			}
			fires := regexp.MustCompile(`alertname="` + r.Alert + `", alertstate="firing".*exp_samples: \[\{labels: '\{alertname="` + r.Alert + `"`)
			waits := regexp.MustCompile(`alertname="` + r.Alert + `", alertstate="firing".*exp_samples: \[\]`)
			require.Regexp(t, fires, string(tried[file]), r.Alert)
			if r.For != "" {
				require.Regexp(t, waits, string(tried[file]), r.Alert)
			}
		}
		if file != "recorded.yml" {
			require.Equal(t, 2, strings.Count(string(tried[file]), "expr: ALERTS, exp_samples: []"), "%s: none before, none after", file)
		}
	}
}

var (
	textsInQuery  = regexp.MustCompile(`"[^"]*"`)
	labelsInQuery = regexp.MustCompile(`\{[^}]*\}|\b(by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)`)
	namesInQuery  = regexp.MustCompile(`\b(viva:[a-z0-9_:]+|(viva|go|process|promhttp)_[a-z0-9_]+|up|ALERTS)\b`)
)

// metricsOf gives the names of metrics that a query asks for.
func metricsOf(query string) []string {
	query = textsInQuery.ReplaceAllString(query, "")
	return namesInQuery.FindAllString(labelsInQuery.ReplaceAllString(query, ""), -1)
}

func TestMetricsOfQueriesAreFound(t *testing.T) {
	require.Equal(t, []string{"viva_jobs", "go_goroutines", "up", "viva:api_errors:ratio_rate5m"},
		metricsOf(`max by (viva_a) (viva_jobs{x="viva_b{}", y=~"viva_c"}) / go_goroutines > up and viva:api_errors:ratio_rate5m`))
}

// told gives the names that queries may use: those of the golden list, and what follows from them.
func told(t *testing.T) map[string]bool {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, "internal/app/testdata/metrics.txt"))
	require.NoError(t, err)
	names := map[string]bool{"up": true, "ALERTS": true}
	for _, name := range regexp.MustCompile(`(?m)\b(viva|go|process)_[a-z0-9_]+`).FindAllString(string(text), -1) {
		names[name] = true
	}
	for _, list := range rules(t) {
		for _, r := range list {
			names[r.Record] = true
		}
	}
	return names
}

func TestQueriesAskForWhatIsTold(t *testing.T) {
	told, asked := told(t), map[string]bool{}
	check := func(where, query string) {
		names := metricsOf(query)
		require.NotEmpty(t, names, "%s: %s", where, query)
		for _, name := range names {
			base := regexp.MustCompile(`_(bucket|sum|count)$`).ReplaceAllString(name, "")
			require.True(t, told[name] || told[base], "%s asks for %s", where, name)
			asked[name], asked[base] = true, true
		}
	}
	for name, b := range boards(t) {
		for _, p := range b.Panels {
			for _, target := range p.Targets {
				check(name+": "+p.Title, target.Expr)
			}
		}
	}
	for _, list := range rules(t) {
		for _, r := range list {
			check(r.Alert+r.Record, r.Expr)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(told)) {
		if strings.HasPrefix(name, "viva") {
			require.True(t, asked[name], "nothing shows %s", name)
		}
	}
}
