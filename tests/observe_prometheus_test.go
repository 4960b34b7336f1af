//go:build journeys

package tests

import (
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

// A monitor is a Prometheus that runs by the stack's own configuration: it asks each second, and these processes in
// place of the stack's.
type monitor struct{ *client }

// monitoring starts one. The jobs of the configuration, and viva-serve, are given the addresses they are to ask.
func monitoring(t *testing.T, targets map[string]string) *monitor {
	t.Helper()
	folder := t.TempDir()
	var config map[string]any
	require.NoError(t, yaml.Unmarshal(filesLike(t, "docker/prometheus/prometheus.yml")["prometheus.yml"], &config))
	config["global"] = object{"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"}
	jobs, left := config["scrape_configs"].([]any), map[string]string{}
	for name, target := range targets {
		left[name] = target
	}
	if left["viva-serve"] != "" {
		jobs = append(jobs, object{"job_name": "viva-serve"})
	}
	for _, job := range jobs {
		name := job.(object)["job_name"].(string)
		require.NotEmpty(t, left[name], name)
		job.(object)["static_configs"] = []object{{"targets": []string{host(left[name])}}}
		delete(left, name)
	}
	require.Empty(t, left)
	config["scrape_configs"] = jobs
	text, err := yaml.Marshal(config)
	require.NoError(t, err)
	write(t, filepath.Join(folder, "prometheus.yml"), string(text))

	// What is wrong is an alert at once: how long each waits is for promtool to try.
	require.NoError(t, os.Mkdir(filepath.Join(folder, "rules"), 0o700))
	for file, rules := range filesLike(t, "docker/prometheus/rules/*.yml") {
		write(t, filepath.Join(folder, "rules", file), regexp.MustCompile(`(?m)^ +for: .*\n`).ReplaceAllString(string(rules), ""))
	}
	addr := freeAddr(t)
	launch(t, nil, installed(t, "prometheus"), "--config.file="+filepath.Join(folder, "prometheus.yml"),
		"--storage.tsdb.path="+filepath.Join(folder, "data"), "--web.listen-address="+addr, "--log.level=warn")
	m := &monitor{newClient(t, "http://"+addr, "")}
	eventually(t, patience, func() error { return m.answers(http.StatusOK, "GET", "/-/ready") })
	return m
}

// A sample is one value that a query gave.
type sample struct {
	labels map[string]string
	value  float64
}

// ask runs a query, which Prometheus has to understand.
func (m *monitor) ask(query string) (samples []sample, err error) {
	got, err := m.send("GET", "/api/v1/query?query="+url.QueryEscape(query), nil)
	if err != nil {
		return nil, err
	}
	if got.status != http.StatusOK {
		return nil, fmt.Errorf("%s: %s", query, got.body)
	}
	for _, result := range into[struct {
		Data struct {
			Result []struct {
				Metric map[string]string
				Value  [2]any
			}
		}
	}](m.t, got).Data.Result {
		value, err := strconv.ParseFloat(result.Value[1].(string), 64)
		if err != nil {
			return nil, err
		}
		samples = append(samples, sample{result.Metric, value})
	}
	return samples, nil
}

// shows tells whether a query gives at least one number.
func (m *monitor) shows(query string) error {
	samples, err := m.ask(query)
	if err != nil {
		return err
	}
	for _, s := range samples {
		if !math.IsNaN(s.value) {
			return nil
		}
	}
	return fmt.Errorf("no number: %s: %v", query, samples)
}

// show waits until every query gives a number.
func (m *monitor) show(t *testing.T, queries []string) {
	t.Helper()
	eventually(t, patience, func() error {
		var failed []error
		queries = slices.DeleteFunc(queries, func(query string) bool {
			err := m.shows(query)
			failed = append(failed, err)
			return err == nil
		})
		return errors.Join(failed...)
	})
}

// fires waits until an alert fires, or until it does not.
func (m *monitor) fires(alert string, want bool) {
	m.t.Helper()
	query := fmt.Sprintf(`ALERTS{alertname=%q, alertstate="firing"}`, alert)
	eventually(m.t, patience, func() error {
		samples, err := m.ask(query)
		if err == nil && (len(samples) > 0) != want {
			err = fmt.Errorf("%s: %v", query, samples)
		}
		return err
	})
}

var thresholds = regexp.MustCompile(`\s*(==|!=|>=|<=|>|<)\s*[0-9.]+`)

// signal is what an alert looks at, without the threshold that keeps it silent while all is well. Whatever else could
// keep it so is not used in the rules.
func signal(t *testing.T, expr string) string {
	t.Helper()
	parts := strings.Split(expr, `"`) // every other one is a text
	for i := 0; i < len(parts); i += 2 {
		parts[i] = strings.ReplaceAll(thresholds.ReplaceAllString(parts[i], ""), "absent(", "(")
		compared := strings.NewReplacer("=~", "", "!=", "").Replace(parts[i])
		require.NotRegexp(t, `[<>]|==|\b(unless|absent)`, compared, "%s: compare with numbers alone", expr)
	}
	return strings.Join(parts, `"`)
}

func TestSignalsAreFound(t *testing.T) {
	require.Equal(t, `(up{job=~"a|b", x!="1 > 2"})`, signal(t, `absent(up{job=~"a|b", x!="1 > 2"} == 1)`))
	require.Equal(t, `deriv(a[1h]) and b`, signal(t, `deriv(a[1h]) > 0.2 and b > 2000`))
}
