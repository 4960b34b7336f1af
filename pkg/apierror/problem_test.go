package apierror_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/pkg/apierror"
)

func TestAnswerSurvivesTheWire(t *testing.T) {
	sent := apierror.Invalid(apierror.Field{In: apierror.Body, Name: "rules[0].window", Detail: "must be 100ms to 744h"})
	sent.RetryAfter = 1200 * time.Millisecond
	w := httptest.NewRecorder()
	require.NoError(t, sent.Wrap(errors.New("pq: secret")).Write(w, "0198c0de"))

	require.Equal(t, 422, w.Code)
	require.Equal(t, "application/problem+json", w.Header().Get("Content-Type"))
	require.JSONEq(t, `{
		"type": "urn:viva:problem:validation_failed",
		"title": "Validation failed",
		"status": 422,
		"detail": "Some fields are not valid; errors names each of them",
		"code": "validation_failed",
		"request_id": "0198c0de",
		"errors": [{"in": "body", "field": "rules[0].window", "detail": "must be 100ms to 744h"}]
	}`, w.Body.String())

	got := apierror.FromResponse(w.Code, w.Header(), w.Body.Bytes())
	require.ErrorIs(t, got, apierror.CodeValidationFailed)
	require.Equal(t, sent.Fields, got.Fields)
	require.Equal(t, sent.Detail, got.Detail)
	require.Equal(t, "0198c0de", got.RequestID)
	require.Equal(t, 2*time.Second, got.RetryAfter, "a retry must never come early")
}

func TestHeaderAsksForCredentialsOnlyWhenUnauthorized(t *testing.T) {
	for _, code := range apierror.Codes() {
		challenge := apierror.New(code, "").Header().Get("WWW-Authenticate")
		require.Equal(t, code == apierror.CodeUnauthorized, challenge == "Bearer", code)
	}
}

func TestRetryAfterIsRoundedUpToWholeSeconds(t *testing.T) {
	tests := []struct {
		after time.Duration
		want  string
	}{
		{0, ""},
		{-time.Second, ""},
		{time.Nanosecond, "1"},
		{time.Second, "1"},
		{time.Second + 1, "2"},
		{1<<63 - 1, "9223372037"},
	}
	for _, test := range tests {
		e := &apierror.Error{Code: apierror.CodeRateLimited, RetryAfter: test.after}
		require.Equal(t, test.want, e.Header().Get("Retry-After"), test.after)
	}
}

func TestFromResponseUnderstandsAnswersThatAreNotOurs(t *testing.T) {
	tests := []struct {
		name   string
		status int
		body   string
		code   apierror.Code
		detail string
	}{
		{"a proxy's page", 502, "<html>Bad Gateway</html>", apierror.CodeUnavailable, "The server answered 502 Bad Gateway"},
		{"a proxy's timeout", 504, "", apierror.CodeTimeout, "The server answered 504 Gateway Timeout"},
		{"another API's JSON", 404, `{"error":"nope"}`, apierror.CodeNotFound, "The server answered 404 Not Found"},
		{"another API's problem", 403, `{"title":"Out of credit"}`, apierror.CodeForbidden, "Out of credit"},
		{"members of other types", 400, `{"code":7,"detail":"x"}`, apierror.CodeBadRequest, "The server answered 400 Bad Request"},
		{"a status of no code", 418, "", apierror.CodeBadRequest, "The server answered 418 I'm a teapot"},
		{"a failure of no code", 507, "", apierror.CodeInternal, "The server answered 507 Insufficient Storage"},
		{"a code of a later version", 402, `{"code":"plan_unpaid","detail":"Pay."}`, "plan_unpaid", "Pay."},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			header := http.Header{"X-Request-Id": {"r1"}}
			e := apierror.FromResponse(test.status, header, []byte(test.body))
			require.Equal(t, test.code, e.Code)
			require.Equal(t, test.detail, e.Detail)
			require.Equal(t, test.status, e.Status())
			require.Equal(t, "r1", e.RequestID)
		})
	}
}

func TestStatusAloneYieldsACodeOfThatStatus(t *testing.T) {
	for _, code := range apierror.Codes() {
		e := apierror.FromResponse(code.Status(), nil, nil)
		require.Equal(t, code.Status(), e.Code.Status(), code)
	}
}

func TestFromResponseReadsRetryAfter(t *testing.T) {
	const date = "Tue, 10 Mar 2026 12:00:00 GMT"
	tests := []struct {
		name, value, date string
		want              time.Duration
	}{
		{"seconds", "3", "", 3 * time.Second},
		{"more seconds than a Duration holds", "9223372036854775807", "", 9223372036 * time.Second},
		{"a date, by the server's clock", "Tue, 10 Mar 2026 12:00:30 GMT", date, 30 * time.Second},
		{"a date gone by", "Tue, 10 Mar 2026 11:59:30 GMT", date, 0},
		{"a date without a clock", "Tue, 10 Mar 2026 12:00:30 GMT", "", 0},
		{"negative seconds", "-3", date, 0},
		{"nothing", "", date, 0},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			header := http.Header{"Retry-After": {test.value}, "Date": {test.date}}
			require.Equal(t, test.want, apierror.FromResponse(429, header, nil).RetryAfter)
		})
	}
}

func FuzzFromResponse(f *testing.F) {
	f.Add(429, "1", []byte(`{"code":"rate_limited","errors":[{"in":"body"}]}`))
	f.Add(502, "Tue, 10 Mar 2026 12:00:30 GMT", []byte("<html>"))
	f.Add(0, "-1", []byte("null"))
	f.Fuzz(func(t *testing.T, status int, retryAfter string, body []byte) {
		header := http.Header{"Retry-After": {retryAfter}, "Date": {"Tue, 10 Mar 2026 12:00:00 GMT"}}
		e := apierror.FromResponse(status, header, body)
		require.NotEmpty(t, e.Code)
		require.NotEmpty(t, e.Detail)
		require.NotEmpty(t, e.Error())
		require.GreaterOrEqual(t, e.RetryAfter, time.Duration(0))
	})
}
