package apierror

import (
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"time"
)

// ContentType is the media type of a Problem.
const ContentType = "application/problem+json"

// typePrefix makes a code the absolute URI that RFC 9457 asks for, without
// claiming a domain that someone would have to keep.
const typePrefix = "urn:viva:problem:"

// Problem is the body of every answer that is an error (RFC 9457).
type Problem struct {
	Type      string  `json:"type" format:"uri" example:"urn:viva:problem:not_found" doc:"The code as a URI"`
	Title     string  `json:"title" example:"Not found" doc:"Summary for people, the same for every occurrence of the code"`
	Status    int     `json:"status" minimum:"400" maximum:"599" doc:"The HTTP status"`
	Detail    string  `json:"detail,omitempty" doc:"What happened this time, for people"`
	Code      Code    `json:"code" example:"not_found" doc:"What happened, for programs; new codes may appear"`
	RequestID string  `json:"request_id,omitempty" doc:"Finds this request in the server's log"`
	Errors    []Field `json:"errors,omitempty" doc:"Each bad field and what would be right"`
}

// Problem returns the public part of e in its wire form.
func (e *Error) Problem(requestID string) Problem {
	return Problem{
		Type:      typePrefix + string(e.Code),
		Title:     e.Code.Title(),
		Status:    e.Status(),
		Detail:    e.Detail,
		Code:      e.Code,
		RequestID: requestID,
		Errors:    e.Fields,
	}
}

// Header returns the response headers that belong to the error besides its Content-Type:
// Retry-After in whole seconds, never earlier than RetryAfter, and for 401 the challenge
// that RFC 9110 requires.
func (e *Error) Header() http.Header {
	h := http.Header{}
	if e.RetryAfter > 0 {
		seconds := int64(e.RetryAfter / time.Second)
		if e.RetryAfter%time.Second > 0 {
			seconds++
		}
		h.Set("Retry-After", strconv.FormatInt(seconds, 10))
	}
	if e.Status() == http.StatusUnauthorized {
		h.Set("WWW-Authenticate", "Bearer")
	}
	return h
}

// Write answers a request with the error. The only failure is that of the connection.
func (e *Error) Write(w http.ResponseWriter, requestID string) error {
	body, err := json.Marshal(e.Problem(requestID))
	if err != nil {
		return fmt.Errorf("encode problem: %w", err)
	}
	h := w.Header()
	for name, values := range e.Header() {
		h[name] = values
	}
	h.Set("Content-Type", ContentType)
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(e.Status())
	_, err = w.Write(body)
	return err
}

// FromResponse decodes an answer whose status says that it is an error. A body that is no Problem,
// such as a proxy's page, is dropped and the code follows from the status.
// A code this version does not know is kept; Status is then still that of the response.
// The caller bounds how much of the body it reads.
func FromResponse(status int, header http.Header, body []byte) *Error {
	e := &Error{status: status, RetryAfter: retryAfter(header)}
	var p Problem
	if err := json.Unmarshal(body, &p); err != nil {
		p = Problem{}
	}
	e.Code, e.Detail, e.Fields, e.RequestID = p.Code, p.Detail, p.Errors, p.RequestID
	if e.Code == "" {
		e.Code = codeForStatus(status)
	}
	if e.Detail == "" {
		e.Detail = p.Title
	}
	if e.Detail == "" {
		e.Detail = fmt.Sprintf("The server answered %d %s", status, http.StatusText(status))
	}
	if e.RequestID == "" {
		e.RequestID = header.Get("X-Request-Id")
	}
	return e
}

// retryAfter reads both forms of RFC 9110, section 10.2.3. A date is taken relative to
// the answer's own Date, so that the clocks of server and client need not agree.
func retryAfter(header http.Header) time.Duration {
	value := header.Get("Retry-After")
	if seconds, err := strconv.ParseUint(value, 10, 63); err == nil {
		return time.Duration(min(seconds, math.MaxInt64/uint64(time.Second))) * time.Second
	}
	at, err := http.ParseTime(value)
	if err != nil {
		return 0
	}
	sent, err := http.ParseTime(header.Get("Date"))
	if err != nil {
		return 0
	}
	return max(0, at.Sub(sent))
}
