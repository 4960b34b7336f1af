package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"

	"github.com/viva/rate-limiter/bench/e2e/load"
	"github.com/viva/rate-limiter/bench/e2e/servers"
)

// The names of the contenders that budgets and tables speak of.
const (
	bare          = "bare Gin handler"
	embedded      = "embedded"
	denials       = "embedded, denials"
	noJournal     = "embedded, journal off"
	logging       = "embedded, log.level info"
	embeddedBatch = "embedded, batches of 100"
	onRedis       = "Redis"
	redisDenials  = "Redis, denials"
	redisBatch    = "Redis, batches of 100"
	onCluster     = "Redis Cluster"
	clusterBatch  = "Redis Cluster, batches of 100"
	gubernator    = "Gubernator"
	envoy         = "Envoy ratelimit"
	envoyBuffered = "Envoy ratelimit, buffered"
)

// ofKeys names the embedded service with another number of keys.
func ofKeys(count string) string { return "embedded, " + count + " keys" }

const (
	usualKeys = 10_000
	batchSize = 100
)

// A contender is a server that is asked for one thing.
type contender struct {
	name    string
	server  *servers.Process
	beside  []*servers.Process // what it cannot do without, and whose work is told apart
	request *load.Template
	keys    *load.Keys
	status  int
	want    string
}

// degraded is in an answer that was decided without the Redis it should come from.
const degraded = `"degraded":true`

// checks is how many checks a request has.
func (c *contender) checks() int { return c.request.Keys() }

const check = `{"api_key":"{key}","cost":1,"method":"GET","endpoint":"/v1/users/42"}`

// enter makes a contender of a service.
func (b *run) enter(name string, v *servers.Viva, plan string, n int, beside ...*servers.Process) {
	c := &contender{name: name, server: v.Process, beside: beside, keys: secrets(plan, n), status: http.StatusOK, want: `{"allowed":true,`}
	if plan == shut {
		c.want = `{"allowed":false,"code":"rate_limited",`
	}
	c.request = load.Post("/api/v1/validate", check, c.keys.Width, "Authorization: Bearer "+v.Token)
	b.contenders = append(b.contenders, c)
}

// enterBatch makes one that is asked for many checks at once.
func (b *run) enterBatch(name string, v *servers.Viva, beside ...*servers.Process) {
	b.enter(name, v, open, usualKeys, beside...)
	c := b.contenders[len(b.contenders)-1]
	body := `{"checks":[` + strings.TrimSuffix(strings.Repeat(check+",", batchSize), ",") + `]}`
	c.request = load.Post("/api/v1/validate/batch", body, c.keys.Width, "Authorization: Bearer "+v.Token)
}

// embed starts the service alone with n keys, and checks each of them once.
func (b *run) embed(ctx context.Context, name string, n int, settings ...string) (*servers.Viva, error) {
	place := filepath.Join(b.dir, strings.NewReplacer(" ", "-", ",", "").Replace(name))
	if err := b.folder(ctx, n, place); err != nil {
		return nil, err
	}
	b.log("starting: %s", name)
	v, err := servers.Embedded(ctx, strings.ReplaceAll(name, " ", "-"), b.programs, place, settings...)
	if err != nil {
		return nil, err
	}
	b.started = append(b.started, v.Process)
	return v, errors.Join(warm(ctx, v, open, n), warm(ctx, v, shut, deniedKeys))
}

// startEmbedded starts the service alone, in its variants, and the bare handler with an answer of it.
func (b *run) startEmbedded(ctx context.Context) error {
	v, err := b.embed(ctx, embedded, usualKeys)
	if err != nil {
		return err
	}
	answer, err := b.answer(ctx, v)
	if err != nil {
		return err
	}
	server, err := servers.StartBare(ctx, b.dir, answer)
	if err != nil {
		return err
	}
	b.started = append(b.started, server)
	b.enter(bare, &servers.Viva{Process: server, Token: v.Token}, open, usualKeys)
	b.enter(embedded, v, open, usualKeys)
	if !b.parts["embedded"] {
		return nil
	}
	off, err := b.embed(ctx, noJournal, usualKeys, "VIVA_JOURNAL_ENABLED=false")
	if err != nil {
		return err
	}
	b.enter(noJournal, off, open, usualKeys)
	b.enter(denials, v, shut, deniedKeys)
	b.enterBatch(embeddedBatch, v)
	told, err := b.embed(ctx, logging, usualKeys, "VIVA_LOG_LEVEL=info")
	if err != nil {
		return err
	}
	b.enter(logging, told, open, usualKeys)
	for _, size := range b.plan.sizes {
		// The cache of keys holds a million by default: those of the plan shut come on top.
		v, err := b.embed(ctx, ofKeys(size.name), size.keys, fmt.Sprint("VIVA_CACHE_MAX_ENTRIES=", max(1_000_000, 2*size.keys)), "VIVA_CACHE_TTL=1h")
		if err != nil {
			return err
		}
		b.enter(ofKeys(size.name), v, open, size.keys)
	}
	return nil
}

// answer is what the service answers to a check.
func (b *run) answer(ctx context.Context, v *servers.Viva) ([]byte, error) {
	body := strings.ReplaceAll(check, load.Hole, string(secrets(open, 1).At(0)))
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+v.Addr+"/api/v1/validate", strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header = http.Header{"Authorization": {"Bearer " + v.Token}, "Content-Type": {"application/json"}}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	content, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode != http.StatusOK {
		err = fmt.Errorf("a check is answered with %s: %s", answer.Status, content)
	}
	return content, err
}

// startRedis starts the API on a single Redis and on a cluster, each with a database of its own.
func (b *run) startRedis(ctx context.Context) error {
	b.log("starting: PostgreSQL, Redis, Redis Cluster")
	database, err := servers.Postgres(ctx, b.dir)
	if err != nil {
		return err
	}
	b.started = append(b.started, database)
	single, err := servers.Redis(ctx, "redis", b.dir)
	if err != nil {
		return err
	}
	b.started = append(b.started, single)
	nodes, cluster, err := servers.RedisCluster(ctx, b.dir, 3)
	if err != nil {
		return err
	}
	b.started = append(b.started, nodes...)
	for i, each := range []struct {
		single, batch, denied string
		redis                 string
		beside                []*servers.Process
	}{
		{onRedis, redisBatch, redisDenials, "redis://" + single.Addr + "/0", []*servers.Process{single}},
		{onCluster, clusterBatch, "", cluster, nodes},
	} {
		b.log("starting: %s, and making keys", each.single)
		url, err := servers.CreateDatabase(ctx, database, fmt.Sprint("bench_", i))
		if err != nil {
			return err
		}
		v, err := servers.API(ctx, strings.ReplaceAll("api on "+each.single, " ", "-"), b.programs, filepath.Join(b.dir, fmt.Sprint("api-", i)), url, each.redis)
		if err != nil {
			return err
		}
		b.started = append(b.started, v.Process)
		if err := errors.Join(populate(ctx, v, usualKeys), warm(ctx, v, open, usualKeys), warm(ctx, v, shut, deniedKeys)); err != nil {
			return err
		}
		b.enter(each.single, v, open, usualKeys, each.beside...)
		b.enterBatch(each.batch, v, each.beside...)
		if each.denied != "" {
			b.enter(each.denied, v, shut, deniedKeys, each.beside...)
		}
	}
	return nil
}

// startPeers starts the peers, each with the rule that comes nearest to ours and with as many keys.
func (b *run) startPeers(ctx context.Context) error {
	b.log("starting: Gubernator, Envoy ratelimit and its Redis")
	keys := secrets(open, usualKeys)
	node, err := servers.StartGubernator(ctx, b.gubernator.Path, b.dir, usualKeys)
	if err != nil {
		return err
	}
	b.started = append(b.started, node)
	body := fmt.Sprintf(`{"requests":[{"name":"per-hour","unique_key":"{key}","hits":"1","limit":"%d","duration":"3600000"}]}`, servers.Limit)
	b.contenders = append(b.contenders, &contender{
		name: gubernator, server: node, keys: keys, status: http.StatusOK, want: `"status":"UNDER_LIMIT"`,
		request: load.Post("/v1/GetRateLimits", body, keys.Width),
	})
	store, err := servers.Redis(ctx, "redis-of-envoy", b.dir)
	if err != nil {
		return err
	}
	b.started = append(b.started, store)
	for _, each := range [][2]string{{envoy, "0"}, {envoyBuffered, pipelineWindow}} {
		name, window := each[0], each[1]
		service, err := servers.StartEnvoy(ctx, b.envoy.Path, filepath.Join(b.dir, "envoy-"+window), store.Addr, window)
		if err != nil {
			return err
		}
		b.started = append(b.started, service)
		b.contenders = append(b.contenders, &contender{
			name: name, server: service, beside: []*servers.Process{store}, keys: keys, status: http.StatusOK, want: `"overallCode":"OK"`,
			request: load.Post("/json", `{"domain":"bench","descriptors":[{"entries":[{"key":"api_key","value":"{key}"}]}]}`, keys.Width),
		})
	}
	return nil
}

// pipelineWindow is how long Envoy ratelimit may collect what it writes to Redis.
const pipelineWindow = "150us"
