package client_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"iter"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/pkg/apierror"
	"github.com/viva/rate-limiter/pkg/client"
)

func drain[T any](seq iter.Seq2[T, error]) error {
	for _, err := range seq {
		if err != nil {
			return err
		}
	}
	return nil
}

// The answers of the API, as it documents them.
const (
	keyJSON = `{"id":"0198c0de-0000-7000-8000-000000000001","name":"Checkout","keyspace":"default","owner":"cust_42","plan":"pro",
		"environment":"live","status":"suspended",
		"secrets":[{"id":"s1","mask":"viva_live_…wXyZ","expires_at":null,"created_at":"2026-03-01T12:00:00Z"},
			{"id":"s0","mask":"…a1b2","imported":true,"expires_at":"2027-03-01T12:00:00Z","created_at":"2026-02-01T12:00:00Z"}],
		"expires_at":"2027-03-01T12:00:00Z","revoked_at":null,"suspended_until":null,"suspend_reason":"abuse",
		"allowed_ips":["10.0.0.0/8"],"permissions":["read"],"methods":[],"endpoints":[],
		"rules":[{"name":"per-minute","limit":60,"window":"1m","algorithm":"sliding_window","scope":"key"},
			{"name":"bucket","limit":10,"window":"1s","algorithm":"gcra","burst":20,"scope":"key"}],
		"tags":["eu"],"metadata":{"region":"eu"},"last_used_at":"2026-03-02T12:00:00Z","total_requests":70,"total_units":90,"created_at":"2026-03-01T12:00:00.000001Z","updated_at":"2026-03-01T12:00:00Z"}`
	ownerJSON = `{"id":"o","external_id":null,"name":"Acme","email":"","plan":"pro","plan_version":2,"implicit":true,"rules":[],
		"time_zone":"UTC","anchor_day":1,"metadata":{},"archived_at":null,"created_at":"2026-03-01T12:00:00Z","updated_at":"2026-03-01T12:00:00Z"}`
	planJSON = `{"id":"p","name":"pro","description":"","version":3,"rules":[],"archived":false,"metadata":{},
		"created_at":"2026-03-01T12:00:00Z","updated_at":"2026-03-01T12:00:00Z"}`
	versionJSON  = `{"id":"v","number":3,"rules":[{"name":"monthly","limit":5,"period":"month","algorithm":"fixed_window","scope":"owner","overage":"block"}],"created_at":"2026-03-01T12:00:00Z"}`
	keyspaceJSON = `{"id":"s","name":"default","prefix":"viva","description":"","imported":false,"metadata":{},
		"created_at":"2026-03-01T12:00:00Z","updated_at":"2026-03-01T12:00:00Z"}`
	tokenJSON  = `{"id":"t","name":"admin","mask":"vivat_…wXyZ","scopes":["admin"],"expires_at":null,"revoked_at":null,"created_at":"2026-03-01T12:00:00Z"}`
	answerJSON = `{"allowed":false,"code":"rate_limited","request_id":"r","degraded":false,"replayed":true,"retry_after_ms":1200,
		"key":{"id":"k","name":"Checkout","keyspace":"default","owner":"cust_42","plan":"pro","environment":"live","permissions":["read"],"metadata":{"region":"eu"}},
		"limits":[{"name":"per-minute","limit":100,"remaining":0,"reset_after_ms":1200,"retry_after_ms":1200},
			{"name":"bucket","limit":10,"burst":20,"remaining":19,"reset_after_ms":100},
			{"name":"trial","limit":1,"remaining":0,"reset_after_ms":5,"shadow":true,"would_deny":true}],
		"headers":{"Retry-After":"2"}}`
)

// Each answer is decoded and encoded again: what is lost on the way shows.
func TestAnswersAreReadWhole(t *testing.T) {
	first := func(seq iter.Seq2[client.PlanVersion, error]) (any, error) {
		for v, err := range seq {
			return &v, err
		}
		return nil, errors.New("an empty list")
	}
	for name, test := range map[string]struct {
		body string
		call func(c *client.Client) (any, error)
	}{
		"key":      {keyJSON, func(c *client.Client) (any, error) { return c.Keys.Get(ctx, "k") }},
		"owner":    {ownerJSON, func(c *client.Client) (any, error) { return c.Owners.Get(ctx, "o") }},
		"plan":     {planJSON, func(c *client.Client) (any, error) { return c.Plans.Get(ctx, "p") }},
		"version":  {versionJSON, func(c *client.Client) (any, error) { return c.Plans.Version(ctx, "p", 3) }},
		"keyspace": {keyspaceJSON, func(c *client.Client) (any, error) { return c.Keyspaces.Get(ctx, "s") }},
		"token":    {tokenJSON, func(c *client.Client) (any, error) { return c.Whoami(ctx) }},
		"answer":   {answerJSON, func(c *client.Client) (any, error) { return c.Validate(ctx, client.Check{}) }},
		"created key": {
			strings.TrimSuffix(keyJSON, "}") + `,"secret":"viva_live_x"}`,
			func(c *client.Client) (any, error) { return c.Keys.Rotate(ctx, "k", time.Hour) },
		},
		"created keys": {
			`{"data":[` + keyJSON + `]}`,
			func(c *client.Client) (any, error) { return c.Keys.CreateMany(ctx, nil) },
		},
		"readiness": {
			`{"status":"ok","dependencies":[{"name":"database","status":"ok","latency_ms":3}]}`,
			func(c *client.Client) (any, error) { return c.Ready(ctx) },
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := serve(t, func(w http.ResponseWriter, _ *http.Request) { answer(w, 200, test.body) })
			v, err := test.call(c)
			require.NoError(t, err)
			data, err := json.Marshal(v)
			require.NoError(t, err)
			require.JSONEq(t, test.body, string(data))
		})
	}
	c := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		answer(w, 200, `{"data":[`+versionJSON+`],"next_cursor":null}`)
	})
	v, err := first(c.Plans.Versions(ctx, "p", client.Page{}))
	require.NoError(t, err)
	data, err := json.Marshal(v)
	require.NoError(t, err)
	require.JSONEq(t, versionJSON, string(data))
}

func TestMembersOfALaterVersionAreNoMistake(t *testing.T) {
	c := serve(t, func(w http.ResponseWriter, _ *http.Request) { answer(w, 200, `{"id":"k","color":"red"}`) })
	key, err := c.Keys.Get(ctx, "k")
	require.NoError(t, err)
	require.Equal(t, "k", key.ID)
}

func TestVersionsAndReplaysAreNoted(t *testing.T) {
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", `"3-5f"`)
		w.Header().Set("Idempotency-Replayed", "true")
		answer(w, 200, `{}`)
	})
	key, err := c.Keys.Get(ctx, "k")
	require.NoError(t, err)
	created, err := c.Keys.Create(ctx, client.NewKey{})
	require.NoError(t, err)
	owner, err := c.Owners.Get(ctx, "o")
	require.NoError(t, err)
	plan, err := c.Plans.Get(ctx, "p")
	require.NoError(t, err)
	keyspace, err := c.Keyspaces.Get(ctx, "s")
	require.NoError(t, err)
	for _, etag := range []client.ETag{key.ETag, created.ETag, owner.ETag, plan.ETag, keyspace.ETag} {
		require.Equal(t, client.ETag(`"3-5f"`), etag)
	}
	many, err := c.Keys.CreateMany(ctx, nil)
	require.NoError(t, err)
	require.True(t, many.Replayed)
}

func TestProblemsAreErrorsWithEveryField(t *testing.T) {
	c := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		problem := apierror.Invalid(apierror.Field{In: apierror.Body, Name: "rules[0].window", Detail: "must be 100ms to 744h"})
		if err := problem.Write(w, "r1"); err != nil {
			t.Error(err)
		}
	})
	_, err := c.Keys.Create(ctx, client.NewKey{Name: "a"})
	require.ErrorIs(t, err, apierror.CodeValidationFailed)
	require.ErrorContains(t, err, "create key: ")
	e, ok := apierror.As(err)
	require.True(t, ok)
	require.Equal(t, "rules[0].window", e.Fields[0].Name)
	require.Equal(t, "r1", e.RequestID)
}

// flood writes without end.
type flood struct{}

func (flood) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	return len(p), nil
}

func TestEndlessAnswersAreCutOff(t *testing.T) {
	endless := func(code int) *script {
		return &script{replies: []reply{func(*http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: code, Body: io.NopCloser(flood{})}, nil
		}}}
	}
	s := endless(404)
	require.ErrorIs(t, ignore(s.client(t).Whoami(ctx)), apierror.CodeNotFound)
	s = endless(200)
	require.ErrorContains(t, ignore(s.client(t).Whoami(ctx)), "too large")
	require.Len(t, s.at, 1, "it would be as large again")
}

func TestAnswersThatAreNotOursAreErrors(t *testing.T) {
	for _, body := range []string{"", "<html>", `{"id":7,"data":7}`, `[]`} {
		c := serve(t, func(w http.ResponseWriter, _ *http.Request) { answer(w, 200, body) })
		require.Error(t, ignore(c.Keys.Get(ctx, "k")), body)
		require.Error(t, ignore(c.Ready(ctx)), body)
		require.Error(t, drain(c.Owners.List(ctx, client.OwnerFilter{}, client.Page{})), body)
	}
}

func TestBatchHasAnAnswerToEachCheck(t *testing.T) {
	c := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		answer(w, 200, `{"results":[`+answerJSON+`,{"code":"store_unavailable","problem":{"code":"store_unavailable","status":503}}]}`)
	})
	answers, err := c.ValidateBatch(ctx, make([]client.Check, 2))
	require.NoError(t, err)
	require.Equal(t, client.RateLimited, answers[0].Code)
	require.Equal(t, 1200*time.Millisecond, answers[0].RetryAfter())
	require.Equal(t, apierror.CodeStoreUnavailable, answers[1].Problem.Code)
	require.Error(t, ignore(c.ValidateBatch(ctx, make([]client.Check, 3))))
}

func TestProcessThatIsNotReadyIsAnAnswer(t *testing.T) {
	c := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		answer(w, 503, `{"status":"unavailable","dependencies":[{"name":"redis","status":"unavailable","latency_ms":1000}]}`)
	})
	r, err := c.Ready(ctx)
	require.NoError(t, err)
	require.Equal(t, &client.Readiness{
		Status: client.Down, Dependencies: []client.Dependency{{Name: "redis", Status: client.Down, LatencyMS: 1000}},
	}, r)

	proxy := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "no upstream", http.StatusServiceUnavailable)
	})
	_, err = proxy.Ready(ctx)
	require.ErrorIs(t, err, apierror.CodeUnavailable)
}

// pages serves three pages of two keys each, and counts the requests.
func pages(t *testing.T, asked *[]string) http.HandlerFunc {
	t.Helper()
	next := map[string]string{
		"":  `{"data":[{"id":"1"},{"id":"2"}],"next_cursor":"b"}`,
		"b": `{"data":[{"id":"3"},{"id":"4"}],"next_cursor":"c"}`,
		"c": `{"data":[{"id":"5"},{"id":"6"}],"next_cursor":null}`,
	}
	return func(w http.ResponseWriter, r *http.Request) {
		*asked = append(*asked, r.URL.RawQuery)
		answer(w, 200, next[r.URL.Query().Get("cursor")])
	}
}

func TestListAsksForPagesAsTheyAreNeeded(t *testing.T) {
	var asked []string
	seq := serve(t, pages(t, &asked)).Keys.List(ctx, client.KeyFilter{Tag: "eu"}, client.Page{Size: 2})
	require.Empty(t, asked)
	for range 2 { // a list can be read again, from its start
		var ids strings.Builder
		for key, err := range seq {
			require.NoError(t, err)
			ids.WriteString(key.ID)
			if key.ID == "3" {
				require.Equal(t, []string{"limit=2&tag=eu", "cursor=b&limit=2&tag=eu"}, asked)
				break
			}
		}
		require.Equal(t, "123", ids.String())
		asked = nil
	}
	require.NoError(t, drain(seq))
	require.Len(t, asked, 3)
}

func TestListEndsWithItsFirstError(t *testing.T) {
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("cursor") != "" {
			answer(w, 403, `{"code":"forbidden"}`)
			return
		}
		answer(w, 200, `{"data":[{"id":"1"}],"next_cursor":"b"}`)
	})
	var ids []string
	var failures []error
	for owner, err := range c.Owners.List(ctx, client.OwnerFilter{}, client.Page{}) {
		ids, failures = append(ids, owner.ID), append(failures, err)
	}
	require.Equal(t, []string{"1", ""}, ids)
	require.NoError(t, failures[0])
	require.ErrorIs(t, failures[1], apierror.CodeForbidden)
}

func TestCancellationEndsAList(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var asked []string
	seen := 0
	var last error
	for _, err := range serve(t, pages(t, &asked)).Keys.List(ctx, client.KeyFilter{}, client.Page{}) {
		if last = err; err == nil {
			seen++
			cancel()
		}
	}
	require.Equal(t, 2, seen)
	require.ErrorIs(t, last, context.Canceled)
	require.Len(t, asked, 1)
}
