package httplimit

import (
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/viva/rate-limiter/pkg/ratelimit"
)

// Outcome is what became of one request. It is valid until the function that it
// is passed to returns; so is its Decision.
type Outcome struct {
	Key      string              // who is asking; empty if that is not known
	Admitted bool                // it goes on to the handler
	Decision *ratelimit.Decision // of the store; nil if there is none
	Err      error               // why there is none
	Status   int                 // of the refusal, as the package's documentation lists them; 0 if admitted
	Code     string              // of the refusal, likewise; empty if admitted

	body []byte
}

func (o *Outcome) admit() { o.Admitted, o.Status, o.Code = true, 0, "" }

func (o *Outcome) refuse(status int, code string) { o.Status, o.Code = status, code }

// undecided refuses for an error on the way to a decision.
func (o *Outcome) undecided(r *http.Request, err error) {
	o.Err = err
	switch {
	case errors.Is(err, ErrUnidentified):
		o.refuse(http.StatusBadRequest, "unidentified")
	case r.Context().Err() != nil:
		o.refuse(http.StatusServiceUnavailable, "timeout")
	default:
		o.refuse(http.StatusInternalServerError, "internal")
	}
}

// details say for people what a code says for programs.
var details = map[string]string{
	"cost_exceeds_limit": "The request costs more than a limit ever admits",
	"unidentified":       "The request does not say who is asking",
	"timeout":            "The time allowed for the request ran out",
	"store_unavailable":  "The rate limit could not be checked",
	"internal":           "The rate limit could not be checked",
}

// WriteProblem answers a refused request with a problem of RFC 9457. It is the
// default of Config.Refuse, for those who replace it for some refusals only.
func (o *Outcome) WriteProblem(w http.ResponseWriter) {
	h := w.Header()
	lines := []string{"application/problem+json", "no-store", "nosniff"}
	h["Content-Type"], h["Cache-Control"], h["X-Content-Type-Options"] = lines[0:1:1], lines[1:2:2], lines[2:3:3]
	w.WriteHeader(o.Status)
	o.body = o.appendProblem(o.body[:0])
	// It fails if the connection does, and then there is nobody to tell.
	_, _ = w.Write(o.body)
}

func (o *Outcome) appendProblem(b []byte) []byte {
	if detail, ok := details[o.Code]; ok {
		// Without a type it is about:blank, whose title is the status in words.
		b = append(b, `{"title":"`...)
		b = append(b, http.StatusText(o.Status)...)
		b = append(b, `","detail":"`...)
		b = append(b, detail...)
	} else {
		b = append(b, `{"type":"https://iana.org/assignments/http-problem-types#quota-exceeded"`+
			`,"title":"Request cannot be satisfied as assigned quota has been exceeded`...)
	}
	b = append(b, `","status":`...)
	b = strconv.AppendInt(b, int64(o.Status), 10)
	b = append(b, `,"code":"`...)
	b = append(b, o.Code...)
	b = append(b, '"')
	if o.Decision != nil {
		b = appendViolated(b, o.Decision.Results)
		if wait := o.Decision.RetryAfter(); wait > 0 {
			b = append(b, `,"retry_after_ms":`...)
			b = strconv.AppendInt(b, roundUp(wait, time.Millisecond), 10)
		}
	}
	return append(b, '}')
}

// appendViolated names the rules that refuse, as RateLimit-Policy does.
func appendViolated(b []byte, results []ratelimit.Result) []byte {
	b = append(b, `,"violated-policies":[`...)
	separator := ""
	for i := range results {
		if r := &results[i]; r.Denied {
			b = append(b, separator...)
			b = appendString(b, r.Rule.Name)
			separator = ","
		}
	}
	return append(b, ']')
}
