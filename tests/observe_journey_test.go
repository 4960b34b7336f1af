//go:build journeys

package tests

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/internal/testenv"
	"github.com/viva/rate-limiter/pkg/apikey"
)

func TestPromtoolFindsNothingWrongWithTheRules(t *testing.T) {
	folder := filepath.Join(root, "docker/prometheus")
	promtool(t, folder, "", "check", "config", "prometheus.yml")
	tests, err := filepath.Glob(filepath.Join(folder, "tests/*.yml"))
	require.NoError(t, err)
	require.NotEmpty(t, tests)
	args := []string{"test", "rules"}
	for _, file := range tests {
		args = append(args, filepath.Join("tests", filepath.Base(file)))
	}
	promtool(t, folder, "", args...)
}

func promtool(t *testing.T, folder, input string, args ...string) {
	t.Helper()
	command := exec.Command(installed(t, "promtool"), args...)
	command.Dir, command.Stdin = folder, strings.NewReader(input)
	said, err := command.CombinedOutput()
	require.NoError(t, err, "promtool %s\n%s", strings.Join(args, " "), said)
}

// forgiving lets a process be asked with wrong tokens again and again.
var forgiving = settings{"VIVA_ACCESS_FAILED_AUTH_LIMIT": "1000000"}

// One stack is looked at as an operator does: every panel and alert has something to look at, the commands of the
// runbook run, and what goes wrong shows.
func TestOperatorsSeeHowTheServiceIs(t *testing.T) {
	postgres, redis := testenv.Postgres(t), testenv.Redis(t)
	database, store := testenv.StartProxy(t, postgres), testenv.StartProxy(t, redis)
	s := shared(t, database.URL(), store.URL()).with(metered).with(nearby).with(forgiving)
	api, worker := start(t, s, "api"), start(t, s, "worker")
	serve := start(t, alone(t).with(metered).with(nearby).with(forgiving), "viva", "serve")
	m := monitoring(t, map[string]string{"viva-api": api.url, "viva-worker": worker.url, "viva-serve": serve.url})

	broken := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) }))
	t.Cleanup(broken.Close)
	customers := busy(t, api.client(), broken.URL)
	busy(t, serve.client(), broken.URL)
	m.fires("VivaDestinationFailing", true)

	t.Run("promtool finds nothing wrong with the metrics", func(t *testing.T) {
		for _, p := range []*process{api, worker, serve} {
			text := newClient(t, p.url, "").call(http.StatusOK, "GET", "/metrics", nil).body
			promtool(t, ".", string(text), "check", "metrics")
		}
	})
	t.Run("every query has something to show", func(t *testing.T) { m.show(t, queries(t)) })
	t.Run("the embedded service shows all that it tells", func(t *testing.T) { m.show(t, onlyOf(t, queries(t), host(serve.url))) })
	t.Run("the runbook's commands run", func(t *testing.T) { customers.follow(t, s, worker, openBooks(t, s, postgres)) })

	// What is away at once is told apart.
	database.Cut()
	store.Cut()
	for _, alert := range []string{"VivaLimitStoreDown", "VivaDatabaseDown", "VivaQueueDown", "VivaChecksDegraded", "VivaIngestionLag"} {
		m.fires(alert, true)
	}
	m.fires("VivaAPIDown", false)
	m.fires("VivaJournalBlocked", false)
	firing := string(m.call(http.StatusOK, "GET", "/api/v1/alerts", nil).body)
	require.Contains(t, firing, host(api.url)+" cannot reach the database", "it says which process")
	require.NotContains(t, firing, "error expanding template")
	database.Restore()
	store.Restore()
	for _, alert := range []string{"VivaLimitStoreDown", "VivaDatabaseDown", "VivaQueueDown", "VivaIngestionLag"} {
		m.fires(alert, false)
	}
	m.fires("VivaDestinationFailing", true)
	worker.stop()
	serve.stop()
	m.fires("VivaWorkerDown", true)
	m.fires("VivaInstanceDown", true)
	m.fires("VivaAPIDown", false)
}

// queries gives those of every panel, and of every rule without what keeps it silent.
func queries(t *testing.T) (all []string) {
	t.Helper()
	for _, b := range boards(t) {
		for _, p := range b.Panels {
			for _, target := range p.Targets {
				all = append(all, strings.NewReplacer("$__rate_interval", "10s", "$instance", ".+").Replace(target.Expr))
			}
		}
	}
	for _, list := range rules(t) {
		for _, r := range list {
			all = append(all, signal(t, r.Expr))
		}
	}
	require.Greater(t, len(all), 100)
	return all
}

// onlyOf narrows the queries that choose a process to that one, where `viva serve` tells what they ask for.
func onlyOf(t *testing.T, queries []string, instance string) (narrowed []string) {
	t.Helper()
	golden := string(filesLike(t, "internal/app/testdata/metrics.txt")["metrics.txt"])
	for _, query := range queries {
		own := strings.ReplaceAll(query, `instance=~".+"`, `instance="`+instance+`"`)
		untold := slices.ContainsFunc(metricsOf(query), func(name string) bool {
			base := regexp.MustCompile(`_(bucket|sum|count)$`).ReplaceAllString(name, "")
			return !regexp.MustCompile(`(?m)^(` + name + `|` + base + `) .*\bserve\b`).MatchString(golden)
		})
		if own != query && !untold {
			narrowed = append(narrowed, own)
		}
	}
	require.Greater(t, len(narrowed), 40)
	return narrowed
}

// Customers call in every way there is, well and badly, until the test ends.
type customers struct {
	node         *client
	good, scarce key
	refused      string // the request id of one refusal
	done         chan struct{}
	calling      sync.WaitGroup
}

// busy lets customers call a node, whose only destination is broken.
func busy(t *testing.T, node *client, broken string) *customers {
	t.Helper()
	node.plan("unlimited")
	node.call(http.StatusCreated, "POST", "/api/v1/owners", object{"external_id": "cust_42", "name": "Customer", "plan": "unlimited"})
	node.call(http.StatusCreated, "POST", "/api/v1/destinations", object{"name": "on-call", "type": "webhook", "url": broken, "rate_per_minute": 6000})
	node.call(http.StatusCreated, "POST", "/api/v1/alert-rules", object{"name": "refusals", "kind": "violations", "params": object{"count": 1, "window": "5m"}})
	c := &customers{node: node, done: make(chan struct{})}
	c.good = node.create(object{"name": "good", "owner": "cust_42"})
	c.scarce = node.create(object{"name": "scarce", "owner": "cust_42", "rules": []object{{"name": "hourly", "limit": 1, "window": "1h", "algorithm": "fixed_window"}}})
	for range 2 {
		_, got, err := node.ask(object{"api_key": c.scarce.Secret})
		require.NoError(t, err)
		c.refused = into[struct {
			RequestID string `json:"request_id"`
		}](t, got).RequestID
	}
	c.calling.Go(c.call)
	t.Cleanup(func() {
		close(c.done)
		c.calling.Wait()
	})
	return c
}

// call calls. What becomes of it while everything is away is no concern here.
func (c *customers) call() {
	pace := time.NewTicker(20 * time.Millisecond)
	defer pace.Stop()
	for {
		select {
		case <-c.done:
			return
		case <-pace.C:
		}
		unknown, err := apikey.Generate("viva", apikey.Live)
		if err != nil {
			panic(err) // the prefix is right
		}
		checks := []object{{"api_key": c.good.Secret}, {"api_key": c.scarce.Secret}, {"api_key": "viva_live_garbage"}, {"api_key": unknown.Reveal()}}
		for _, check := range checks {
			_, _ = c.node.send("POST", "/api/v1/validate", check)
		}
		_, _ = c.node.send("POST", "/api/v1/validate/batch", object{"checks": checks})
		_, _ = c.node.send("POST", "/api/v1/authorize/v1/carts", nil, "X-Viva-Token", c.node.token, "X-Api-Key", c.good.Secret)
		_, _ = c.node.send("POST", "/api/v1/limits/check", object{
			"namespace": "login", "identifier": "somebody", "rules": []object{{"name": "hourly", "limit": 5, "window": "1h"}},
		})
		_, _ = c.node.as("wrong").send("GET", "/api/v1/keys", nil)
	}
}

// follow does what the runbook says: each block of shell, and each query, of every page.
func (c *customers) follow(t *testing.T, s settings, worker *process, b *books) {
	t.Helper()
	c.node.in(t).call(http.StatusOK, "POST", "/api/v1/destinations/on-call/test", nil) // given up at once
	delivery := into[struct{ Data []struct{ ID string } }](t, c.node.in(t).call(http.StatusOK, "GET", "/api/v1/deliveries?state=failed", nil)).Data[0].ID
	folder := t.TempDir()
	write(t, filepath.Join(folder, "secret.txt"), c.good.Secret+"\n")
	write(t, filepath.Join(folder, "admin.header"), "Authorization: Bearer "+c.node.token+"\n")
	shells := s.with(settings{
		"PATH": programs + string(os.PathListSeparator) + os.Getenv("PATH"), "VIVA_SERVER": c.node.url, "WORKER": worker.url,
		"VIVA_TOKEN_FILE": "admin.header", "KEY_ID": c.scarce.ID, "OWNER": "cust_42", "REQUEST_ID": c.refused,
		"DESTINATION": "on-call", "DELIVERY": delivery, "KIND": "alert:check",
	})
	said := map[string]string{}
	for _, page := range slices.Sorted(maps.Keys(pages(t))) {
		document := filepath.Join(pagesFolder, page+".md")
		for _, block := range codeBlocks(t, document, "sh") {
			said[page] += shell(t, shells, folder, block)
		}
		for _, block := range codeBlocks(t, document, "sql") {
			for query := range strings.SplitSeq(strings.TrimSpace(block), ";\n") {
				_, err := b.db.ExecContext(t.Context(), query)
				require.NoError(t, err, "%s: %s", page, query)
			}
		}
	}
	require.Contains(t, said["customer-refused"], "Refused by hourly: 1 of 1 used")
	require.Contains(t, said["receiver-down"], "status 503")
}
