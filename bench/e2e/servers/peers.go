package servers

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
)

// Limit is the limit of an hour that admits all of a run.
const Limit = 1_000_000_000

// StartGubernator starts a node that is alone. It has room for all keys, where by default it forgets all but 50,000;
// and it exports no traces.
func StartGubernator(ctx context.Context, path, dir string, keys int) (*Process, error) {
	addrs, err := freeAddrs(3)
	if err != nil {
		return nil, err
	}
	return start(ctx, program{
		name: "gubernator", path: path, dir: dir, addr: addrs[0], ready: answers("/v1/HealthCheck"),
		env: []string{
			"GUBER_HTTP_ADDRESS=" + addrs[0], "GUBER_GRPC_ADDRESS=" + addrs[1], "GUBER_ADVERTISE_ADDRESS=" + addrs[1],
			"GUBER_MEMBERLIST_BIND_ADDRESS=" + addrs[2], "GUBER_MEMBERLIST_ADDRESS=" + addrs[2], "GUBER_MEMBERLIST_KNOWN_NODES=" + addrs[2],
			fmt.Sprint("GUBER_CACHE_SIZE=", 2*keys), "GUBER_LOG_LEVEL=error",
			"OTEL_TRACES_EXPORTER=none", "OTEL_TRACES_SAMPLER=always_off",
		},
	})
}

const envoyRules = `domain: bench
descriptors:
  - key: api_key
    rate_limit:
      unit: hour
      requests_per_unit: %d
`

// StartEnvoy starts the rate limit service of Envoy on a Redis. It keeps no statistics, and flushes what it writes to
// Redis every so often, as its documentation recommends for throughput; 0 is at once.
func StartEnvoy(ctx context.Context, path, dir, redis, pipelineWindow string) (*Process, error) {
	rules := filepath.Join(dir, "ratelimit", "config", "bench.yaml")
	if err := os.MkdirAll(filepath.Dir(rules), 0o700); err != nil {
		return nil, fmt.Errorf("make the folder of Envoy's rules: %w", err)
	}
	if err := os.WriteFile(rules, fmt.Appendf(nil, envoyRules, Limit), 0o600); err != nil {
		return nil, fmt.Errorf("write Envoy's rules: %w", err)
	}
	addrs, err := freeAddrs(3)
	if err != nil {
		return nil, err
	}
	return start(ctx, program{
		name: "envoy-ratelimit", path: path, dir: dir, addr: addrs[0], ready: answers("/healthcheck"),
		env: []string{
			"HOST=127.0.0.1", "PORT=" + port(addrs[0]), "GRPC_HOST=127.0.0.1", "GRPC_PORT=" + port(addrs[1]),
			"DEBUG_HOST=127.0.0.1", "DEBUG_PORT=" + port(addrs[2]),
			"RUNTIME_ROOT=" + dir, "RUNTIME_SUBDIRECTORY=ratelimit", "RUNTIME_WATCH_ROOT=false",
			"REDIS_SOCKET_TYPE=tcp", "REDIS_URL=" + redis, "REDIS_PIPELINE_WINDOW=" + pipelineWindow,
			"USE_STATSD=false", "DISABLE_STATS=true", "LOG_LEVEL=error",
		},
	})
}

// answers is ready once a path is answered well.
func answers(path string) func(context.Context, *Process) error {
	return func(ctx context.Context, p *Process) error {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+p.Addr+path, nil)
		if err != nil {
			return err
		}
		answer, err := http.DefaultClient.Do(request)
		if err != nil {
			return err
		}
		defer answer.Body.Close()
		if answer.StatusCode != http.StatusOK {
			return fmt.Errorf("%s says %s", path, answer.Status)
		}
		return nil
	}
}
