package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	stdhttp "net/http"
	"net/url"
	"slices"
	"time"
)

// http makes single calls.
type http struct {
	base, token string
	client      *stdhttp.Client
}

func newHTTP(addr, token string) *http {
	return &http{"http://" + addr + "/api/v1/", token, &stdhttp.Client{Timeout: 2 * time.Minute}}
}

// call makes a call, and decodes its answer.
func (h *http) call(ctx context.Context, method, path string, body, answer any) error {
	var in io.Reader
	if body != nil {
		data, err := json.Marshal(body)
		if err != nil {
			return err
		}
		in = bytes.NewReader(data)
	}
	req, err := stdhttp.NewRequestWithContext(ctx, method, h.base+path, in)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+h.token)
	req.Header.Set("Content-Type", "application/json")
	resp, err := h.client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode != stdhttp.StatusOK {
		return fmt.Errorf("%s %s: %s: %s", method, path, resp.Status, data)
	}
	return json.Unmarshal(data, answer)
}

// A page of a list.
type page struct {
	Data []struct {
		ID string `json:"id"`
	} `json:"data"`
	NextCursor string `json:"next_cursor"`
}

// result is what was measured with so many keys.
type result struct {
	engine string
	keys   int

	load           time.Duration
	rate           float64       // keys a second
	crowd          string        // load of the machine after the import
	cpu            time.Duration // of the service and the command, for each key
	start          time.Duration
	atStart, after float64 // bytes of memory
	checked        int     // keys, before after was taken
	database       float64 // bytes
	operations     []operation
}

// operation is one kind of call.
type operation struct {
	name        string
	p50, p99    time.Duration
	calls, rows int
	failure     string
}

// How often each is done: lists are slow enough for fewer.
const (
	checkCalls = 500
	listCalls  = 40
	// distinctKeys are checked, at most, to see what that leaves in memory.
	distinctKeys = 1_000_000
	deepPages    = 50
)

func (s *subject) measure(ctx context.Context, keys int, got *result) (err error) {
	if err := s.viva.Stop(); err != nil {
		return err
	}
	s.viva = nil
	began := time.Now()
	if err := s.start(ctx); err != nil {
		return err
	}
	got.start = time.Since(began)
	if got.atStart, err = s.viva.Resident(); err != nil {
		return err
	}
	if got.database, err = s.size(); err != nil {
		return err
	}
	random := rand.New(rand.NewPCG(1, uint64(keys)))
	order := random.Perm(keys)[:min(keys, checkCalls)]
	check := func(i int) error { return s.check(ctx, secretOf(order[i%len(order)])) }
	got.add("check, key not in memory", len(order), 0, check)
	got.add("check, key in memory", checkCalls, 0, check)
	got.add("POST keys/lookup", checkCalls, 0, func(int) error {
		var key struct {
			ID string `json:"id"`
		}
		return s.http.call(ctx, "POST", "keys/lookup", map[string]string{"api_key": secretOf(random.IntN(keys))}, &key)
	})
	if err := s.lists(ctx, keys, got); err != nil {
		return err
	}
	return s.checkAll(ctx, keys, got)
}

func (r *result) add(name string, calls, rows int, call func(i int) error) {
	op := operation{name: name, calls: calls, rows: rows}
	took := make([]time.Duration, calls)
	for i := range took {
		began := time.Now()
		if err := call(i); err != nil {
			op.failure = err.Error()
			took = took[:i]
			break
		}
		took[i] = time.Since(began)
	}
	if slices.Sort(took); len(took) > 0 {
		op.p50, op.p99 = took[len(took)/2], took[len(took)*99/100]
	}
	r.operations = append(r.operations, op)
}

func (s *subject) check(ctx context.Context, secret string) error {
	var answer struct {
		Code string `json:"code"`
	}
	err := s.http.call(ctx, "POST", "validate", map[string]string{"api_key": secret}, &answer)
	if err == nil && answer.Code != "ok" {
		return fmt.Errorf("the check of a key that exists answers %s", answer.Code)
	}
	return err
}

// lists measures pages of a hundred keys, chosen and sorted in every way the API has.
func (s *subject) lists(ctx context.Context, keys int, got *result) error {
	id, deep, err := s.middle(ctx)
	if err != nil {
		return err
	}
	for _, list := range []struct {
		name  string
		query url.Values
		rows  int
	}{
		{"GET keys, first page", url.Values{}, 100},
		{"GET keys, page 51 by cursor", url.Values{"cursor": {deep}}, -1},
		{"GET keys, by name", url.Values{"sort": {"name"}}, 100},
		{"GET keys?owner= of 100 keys", url.Values{"owner": {fewOwner}}, fewKeys},
		{"GET keys?owner= of a share", url.Values{"owner": {ownerOf(1)}}, -1},
		{"GET keys?name= of one key", url.Values{"name": {fmt.Sprint("key ", keys-1)}}, -1},
		{"GET keys?name= of one in ten", url.Values{"name": {"key 9"}}, -1},
		{"GET keys?tag= of 100 keys", url.Values{"tag": {rareTag}}, fewKeys},
		{"GET keys?tag= of nearly all", url.Values{"tag": {"common"}}, -1},
		{"GET keys?keyspace=", url.Values{"keyspace": {"default"}}, 100},
		{"GET keys?status=active", url.Values{"status": {"active"}}, 100},
		{"GET keys?status=expired, of none", url.Values{"status": {"expired"}}, -1},
		{"GET keys?environment=test, of none", url.Values{"environment": {"test"}}, -1},
	} {
		list.query.Set("limit", "100")
		got.add(list.name, listCalls, list.rows, func(int) error {
			var p page
			err := s.http.call(ctx, "GET", "keys?"+list.query.Encode(), nil, &p)
			if err == nil && list.rows >= 0 && len(p.Data) != list.rows {
				return fmt.Errorf("%d rows, not %d", len(p.Data), list.rows)
			}
			return err
		})
	}
	got.add("GET keys/{id}", listCalls, 0, func(int) error {
		var key struct{}
		return s.http.call(ctx, "GET", "keys/"+id, nil, &key)
	})
	got.add("GET owners, first page", listCalls, 0, func(int) error {
		var p page
		return s.http.call(ctx, "GET", "owners?limit=100", nil, &p)
	})
	got.add("GET audit-logs?object_id=", listCalls, 0, func(int) error {
		var p page
		err := s.http.call(ctx, "GET", "admin/audit-logs?object_id="+id, nil, &p)
		if err == nil && len(p.Data) == 0 {
			return fmt.Errorf("the import of key %s is not found", id)
		}
		return err
	})
	return nil
}

// middle gives a key deep in the list, and where the page behind it begins.
func (s *subject) middle(ctx context.Context) (id, cursor string, err error) {
	for range deepPages {
		var p page
		query := url.Values{"limit": {"200"}}
		if cursor != "" {
			query.Set("cursor", cursor)
		}
		if err := s.http.call(ctx, "GET", "keys?"+query.Encode(), nil, &p); err != nil {
			return "", "", err
		}
		if len(p.Data) > 0 {
			id = p.Data[0].ID
		}
		if p.NextCursor == "" {
			break
		}
		cursor = p.NextCursor
	}
	return id, cursor, nil
}

// checkAll checks as many distinct keys as there are, and tells what memory they leave taken.
func (s *subject) checkAll(ctx context.Context, keys int, got *result) (err error) {
	const batch = 1000
	got.checked = min(keys, distinctKeys)
	for first := 0; first < got.checked; first += batch {
		checks := make([]map[string]string, min(batch, got.checked-first))
		for i := range checks {
			checks[i] = map[string]string{"api_key": secretOf(first + i)}
		}
		var answer struct{}
		if err := s.http.call(ctx, "POST", "validate/batch", map[string]any{"checks": checks}, &answer); err != nil {
			return err
		}
	}
	got.after, err = s.viva.Resident()
	return err
}
