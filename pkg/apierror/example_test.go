package apierror_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/viva/rate-limiter/pkg/apierror"
)

func ExampleValidator() {
	type rule struct {
		Name   string
		Window time.Duration
	}
	name, rules := "", []rule{{"burst", time.Second}, {"daily", 0}}

	var v apierror.Validator
	v.Check(name != "", "name", "must not be empty")
	for i, r := range rules {
		v.In("rules", i).Check(r.Window >= 100*time.Millisecond, "window", "must be at least 100ms")
	}
	for _, field := range apierror.From(v.Err()).Fields {
		fmt.Println(field)
	}
	// Output:
	// body name: must not be empty
	// body rules[1].window: must be at least 100ms
}

func ExampleError_Write() {
	cause := errors.New("pq: no rows in result set")
	err := fmt.Errorf("rotate: %w", apierror.NotFound("key").Wrap(cause))

	w := httptest.NewRecorder()
	if err := apierror.From(err).Write(w, "0198c0de"); err != nil {
		fmt.Println("the connection is gone:", err)
	}
	fmt.Println("log:", err)
	fmt.Println("answer:", w.Body)
	// Output:
	// log: rotate: not_found: There is no such key: pq: no rows in result set
	// answer: {"type":"urn:viva:problem:not_found","title":"Not found","status":404,"detail":"There is no such key","code":"not_found","request_id":"0198c0de"}
}

func ExampleFromResponse() {
	body := []byte(`{"code": "rate_limited", "detail": "At most 100 requests a minute", "status": 429}`)
	err := apierror.FromResponse(429, http.Header{"Retry-After": {"7"}}, body)
	if errors.Is(err, apierror.CodeRateLimited) {
		fmt.Println(err.Detail+"; again in", err.RetryAfter)
	}
	// Output: At most 100 requests a minute; again in 7s
}
