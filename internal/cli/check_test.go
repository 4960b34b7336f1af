package cli_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/pkg/apierror"
)

const (
	allowed = `{"allowed":true,"code":"ok","request_id":"r1","degraded":true,
		"key":{"id":"k1","name":"Checkout","keyspace":"default","owner":"cust_42","plan":"pro","environment":"live","metadata":{}},
		"limits":[{"name":"per-minute","limit":100,"remaining":99,"reset_after_ms":600},
			{"name":"bucket","limit":10,"burst":50,"remaining":49,"reset_after_ms":100},
			{"name":"trial","limit":1,"remaining":0,"reset_after_ms":5000,"shadow":true,"would_deny":true}],"headers":{}}`
	limited = `{"allowed":false,"code":"rate_limited","request_id":"r1","degraded":false,"retry_after_ms":1200,
		"key":{"id":"k1","name":"Checkout","keyspace":"default","owner":"cust_42","plan":"pro","environment":"live","metadata":{}},
		"limits":[{"name":"per-minute","limit":100,"remaining":0,"reset_after_ms":1200,"retry_after_ms":1200}],"headers":{"Retry-After":"2"}}`
	unknown = `{"allowed":false,"code":"key_unknown","request_id":"r1","degraded":false,"limits":[],"headers":{}}`
)

func TestCheckSaysWhatWasAnswered(t *testing.T) {
	s := start(t, nil)
	for _, test := range []struct {
		answer string
		code   int
		stdout string
		stderr string
	}{
		{allowed, 0, `allowed   true
code      ok
key       Checkout (k1)
owner     cust_42 on plan pro
degraded  true
request   r1

LIMIT       UNITS        REMAINING  MORE IN  SAYS
per-minute  100          99         600ms    admits
bucket      10 burst 50  49         100ms    admits
trial       1            0          5s       would refuse (shadow)
`, ""},
		{limited, 1, `allowed   false
code      rate_limited
key       Checkout (k1)
owner     cust_42 on plan pro
degraded  false
request   r1

LIMIT       UNITS  REMAINING  MORE IN  SAYS
per-minute  100    0          1.2s     refuses for 1.2s
`, "viva: refused: rate_limited; allowed again in 1.2s\n"},
		{unknown, 1, `allowed   false
code      key_unknown
key       -
owner     -
degraded  false
request   r1
`, "viva: refused: key_unknown\n"},
	} {
		s.answers = map[string]reply{"POST /api/v1/validate": ok(test.answer)}
		require.Equal(t, result{test.code, test.stdout, test.stderr}, run(t, "", "check", secret))
		got := run(t, "", "check", secret, "-o", "json")
		require.JSONEq(t, test.answer, got.stdout)
		require.Equal(t, test.code, got.code)
	}
}

func TestCheckAsksWhatItIsTold(t *testing.T) {
	s := start(t, map[string]reply{"POST /api/v1/validate": ok(allowed)})
	require.Zero(t, run(t, "  "+secret+"  \nmore", "check", "-").code)
	require.Zero(t, run(t, "", "check", secret, "--cost", "0", "--keyspace", "default", "--method", "GET", "--endpoint", "/v1/carts",
		"--ip", "::1", "--permission", "read,write", "--check-id", "c1").code)
	require.JSONEq(t, `{"api_key":"`+secret+`"}`, s.requests[0].body)
	require.JSONEq(t, `{"api_key":"`+secret+`","cost":0,"keyspace":"default","method":"GET","endpoint":"/v1/carts","ip":"::1",
		"permissions":["read","write"],"check_id":"c1"}`, s.requests[1].body)
}

func TestCheckThatCannotBeDecidedIsNoRefusal(t *testing.T) {
	start(t, map[string]reply{"POST /api/v1/validate": problem(apierror.New(apierror.CodeStoreUnavailable, "The database is out of reach"))})
	got := run(t, secret, "check", "-")
	require.Equal(t, result{1, "", "viva: The database is out of reach (store_unavailable, request r1)\n"}, got)
}

func TestHealthNamesEachDependency(t *testing.T) {
	const (
		up   = `{"status":"ok","dependencies":[{"name":"database","status":"ok","latency_ms":1},{"name":"redis","status":"ok","latency_ms":0}]}`
		down = `{"status":"unavailable","dependencies":[{"name":"database","status":"ok","latency_ms":1},{"name":"redis","status":"unavailable","latency_ms":1000}]}`
	)
	s := start(t, map[string]reply{"GET /health/ready": ok(up)})
	t.Setenv("VIVA_TOKEN_FILE", "/nowhere") // none is needed
	require.Equal(t, result{0, "DEPENDENCY  STATUS  MILLISECONDS\ndatabase    ok      1\nredis       ok      0\n", ""}, run(t, "", "health"))

	s.answers["GET /health/ready"] = status(503, down)
	require.Equal(t, result{1, "DEPENDENCY  STATUS       MILLISECONDS\ndatabase    ok           1\nredis       unavailable  1000\n", "viva: not ready\n"}, run(t, "", "health"))
	got := run(t, "", "health", "--output", "json")
	require.JSONEq(t, down, got.stdout)
	require.Equal(t, 1, got.code)

	t.Setenv("VIVA_SERVER", "http://127.0.0.1:1")
	for _, flag := range []string{"--server", "--url"} {
		require.Contains(t, run(t, "", "health", flag, s.url).stdout, "redis")
	}
	require.Equal(t, 1, run(t, "", "health").code)
}

func TestWhatIsNoVivaIsNotHealthy(t *testing.T) {
	s := start(t, map[string]reply{"GET /health/ready": ok(`{"hello":"world"}`)})
	got := run(t, "", "health")
	require.Equal(t, 1, got.code)
	require.Contains(t, got.stderr, s.url+" is no Viva service")
}
