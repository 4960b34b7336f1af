//go:build journeys

package tests

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// metered are settings under which every check is kept one by one, and quarrels of a busy machine stay out of the log.
var metered = settings{"VIVA_USAGE_RAW_ROWS_PER_SECOND": "1000000", "VIVA_LOG_LEVEL": "warn"}

// An outlet is where traffic goes while the process behind it comes and goes.
type outlet struct {
	process *process
	node    atomic.Pointer[client] // nil while there is none
}

// outletOf starts a process of a built program, as start does.
func outletOf(t *testing.T, s settings, name string, args ...string) *outlet {
	o := new(outlet)
	o.start(t, s, name, args...)
	return o
}

func (o *outlet) start(t *testing.T, s settings, name string, args ...string) {
	o.process = start(t, s, name, args...)
	o.node.Store(o.process.client())
}

// kill kills the process amid its work, and only then lets traffic know.
func (o *outlet) kill() {
	o.process.kill()
	o.node.Store(nil)
}

// A mark is a key that traffic presents, and what its checks ask.
type mark struct {
	key
	endpoints   []string
	permissions []string // asked for
}

// sent is one check as its client knows it. Its id is used once, whatever becomes of it.
type sent struct {
	id       string
	mark     *mark
	checkID  string
	method   string
	endpoint string
	cost     int64

	answered bool
	allowed  bool
	replayed bool
	code     string // empty where the answer was a status
}

// A traffic asks checks of all kinds, one after the other from each of its clients, and repeats none.
type traffic struct {
	t       *testing.T
	seed    uint64
	outlets []*outlet
	marks   []*mark
	done    chan struct{}
	clients sync.WaitGroup

	checkIDs atomic.Uint64
	answers  atomic.Int64
	mu       sync.Mutex
	all      []*sent
}

// newSeed gives what a test draws its accidents from, and logs it.
func newSeed(t *testing.T) uint64 {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	return seed
}

// drive begins to ask, until stop or the end of the test.
func drive(t *testing.T, seed uint64, marks []*mark, outlets ...*outlet) *traffic {
	const clients = 12
	tr := &traffic{t: t, seed: seed, outlets: outlets, marks: marks, done: make(chan struct{})}
	tr.clients.Go(func() { parallel(clients, tr.ask) })
	t.Cleanup(func() { tr.stop() })
	return tr
}

// stop ends the traffic and gives all it has sent.
func (tr *traffic) stop() []*sent {
	select {
	case <-tr.done:
	default:
		close(tr.done)
	}
	tr.clients.Wait()
	return tr.all
}

// more waits for so many answers more.
func (tr *traffic) more(answers int64) {
	tr.t.Helper()
	want := tr.answers.Load() + answers
	eventually(tr.t, patience, func() error { return shortOf(int(tr.answers.Load()), int(want)) })
}

func (tr *traffic) ask(worker int) {
	random := rand.New(rand.NewPCG(tr.seed, uint64(worker)))
	pace := time.NewTicker(2 * time.Millisecond)
	defer pace.Stop()
	var all []*sent
	for n := 0; ; n++ {
		select {
		case <-tr.done:
			tr.mu.Lock()
			defer tr.mu.Unlock()
			tr.all = append(tr.all, all...)
			return
		case <-pace.C:
		}
		node := tr.outlets[random.IntN(len(tr.outlets))].node.Load()
		if node == nil {
			continue
		}
		id := fmt.Sprintf("r.%d-%d", worker, n)
		switch kind := random.IntN(20); {
		case kind == 0:
			all = append(all, tr.batch(node, random, id)...)
		case kind == 1:
			all = append(all, tr.gateway(node, random, id))
		case kind <= 6:
			all = append(all, tr.repeated(node, id))
		default:
			s := tr.draw(random, id)
			tr.one(node, s)
			all = append(all, s)
		}
	}
}

var methodsAsked = []string{"GET", "POST", "PUT", "DELETE"}

func (tr *traffic) draw(random *rand.Rand, id string) *sent {
	m := tr.marks[random.IntN(len(tr.marks))]
	return &sent{
		id: id, mark: m, method: methodsAsked[random.IntN(len(methodsAsked))],
		endpoint: m.endpoints[random.IntN(len(m.endpoints))], cost: random.Int64N(5),
	}
}

func (s *sent) check() object {
	check := object{"api_key": s.mark.Secret, "cost": s.cost, "method": s.method, "endpoint": s.endpoint}
	if s.checkID != "" {
		check["check_id"] = s.checkID
	}
	if s.mark.permissions != nil {
		check["permissions"] = s.mark.permissions
	}
	return check
}

// verdict is what an answer says of a check.
type verdict struct {
	Allowed, Replayed bool
	Code              string
	RequestID         string `json:"request_id"`
	Problem           *problem
}

func (s *sent) hear(v verdict) {
	s.answered, s.allowed, s.replayed, s.code = true, v.Allowed, v.Replayed, v.Code
}

// one asks a check. What is not answered may be counted or not; what is, must be.
func (tr *traffic) one(node *client, s *sent) {
	got, err := node.send("POST", "/api/v1/validate", s.check(), "X-Request-Id", s.id)
	var v verdict
	if !tr.decided(got, err, &v) {
		return
	}
	if v.RequestID != s.id {
		tr.t.Errorf("check %s is answered as %s", s.id, v.RequestID)
	}
	s.hear(v)
	tr.answers.Add(1)
}

// repeated asks a check under a check_id that a few clients use, with the same content, at about the same time.
func (tr *traffic) repeated(node *client, id string) *sent {
	const times = 4
	n := tr.checkIDs.Add(1) / times
	s := tr.draw(rand.New(rand.NewPCG(tr.seed, n+1<<32)), id)
	s.checkID = fmt.Sprint("once-", n)
	tr.one(node, s)
	return s
}

func (tr *traffic) batch(node *client, random *rand.Rand, id string) []*sent {
	const size = 3
	all, checks := make([]*sent, size), make([]object, size)
	for i := range all {
		all[i] = tr.draw(random, fmt.Sprintf("%s-%d", id, i))
		checks[i] = all[i].check()
	}
	got, err := node.send("POST", "/api/v1/validate/batch", object{"checks": checks}, "X-Request-Id", id)
	var batch struct{ Results []verdict }
	if !tr.decided(got, err, &batch) {
		return all
	}
	if len(batch.Results) != size {
		tr.t.Errorf("batch %s has %d results", id, len(batch.Results))
		return all
	}
	for i, v := range batch.Results {
		if v.Problem == nil {
			all[i].hear(v)
			tr.answers.Add(1)
		}
	}
	return all
}

func (tr *traffic) gateway(node *client, random *rand.Rand, id string) *sent {
	s := tr.draw(random, id)
	for s.mark.permissions != nil { // a gateway asks for none
		s = tr.draw(random, id)
	}
	s.cost = 1
	// POST, as Go's client repeats a GET whose connection ends.
	got, err := node.as("").send("POST", "/api/v1/authorize", nil, "X-Request-Id", id, "X-Viva-Token", node.token,
		"X-Api-Key", s.mark.Secret, "X-Forwarded-Method", s.method, "X-Forwarded-Uri", s.endpoint+"?q=1")
	switch {
	case err != nil, got.status == http.StatusServiceUnavailable:
	case got.header.Get("X-Viva-Code") == "":
		tr.t.Errorf("authorize: %d %s", got.status, got.body)
	default:
		s.answered, s.allowed, s.code = true, got.status == http.StatusOK, got.header.Get("X-Viva-Code")
		tr.answers.Add(1)
	}
	return s
}

// decided reads an answer. There is none from a process that is gone, and 503 from one that lacks what it needs.
func (tr *traffic) decided(got answer, err error, into any) bool {
	switch {
	case err != nil, got.status == http.StatusServiceUnavailable:
		return false
	case got.status != http.StatusOK:
		tr.t.Errorf("check: %d %s", got.status, got.body)
		return false
	}
	if err := json.Unmarshal(got.body, into); err != nil {
		tr.t.Errorf("check: %v in %s", err, got.body)
		return false
	}
	return true
}

// endpointsOf gives paths of that many endpoints.
func endpointsOf(many int) []string {
	endpoints := make([]string, many)
	for i := range endpoints {
		endpoints[i] = fmt.Sprintf("/v1/things/%d", i)
	}
	return endpoints
}

// assortment makes keys of all kinds. With settings that count 6 endpoints of a key apart, one key has more.
func assortment(t *testing.T, node *client) []*mark {
	t.Helper()
	month := func(name string, limit int64, scope string) object {
		return object{"name": name, "limit": limit, "period": "month", "scope": scope}
	}
	node.plan("unlimited")
	node.plan("by-the-month", month("together", 1<<40, "owner"))
	node.call(201, "POST", "/api/v1/owners", object{"external_id": "acme", "plan": "by-the-month"})
	four := endpointsOf(4)
	marks := []*mark{
		{key: node.create(object{"name": "free", "plan": "unlimited"}), endpoints: four},
		{key: node.create(object{"name": "many endpoints", "plan": "unlimited"}), endpoints: endpointsOf(9)},
		{key: node.create(object{"name": "test", "plan": "unlimited", "environment": "test"}), endpoints: four},
		{key: node.create(object{"name": "of acme", "owner": "acme"}), endpoints: four},
		{key: node.create(object{"name": "metered, of acme", "owner": "acme", "rules": []object{month("monthly", 1<<40, "key")}}), endpoints: four},
		{key: node.create(object{"name": "scarce", "plan": "unlimited", "rules": []object{month("monthly", 300, "key")}}), endpoints: four},
		{key: node.create(object{"name": "slow", "plan": "unlimited", "rules": []object{
			{"name": "per-second", "limit": 20, "window": "1s"},
		}}), endpoints: four},
		{key: node.create(object{"name": "not permitted", "plan": "unlimited"}), endpoints: four, permissions: []string{"fly"}},
		{key: node.create(object{"name": "revoked", "plan": "unlimited"}), endpoints: four},
	}
	node.call(200, "POST", "/api/v1/keys/"+marks[len(marks)-1].ID+"/revoke", nil)
	require.Len(t, marks, 9)
	return marks
}
