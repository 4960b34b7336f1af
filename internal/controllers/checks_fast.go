package controllers

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"sync"

	"github.com/gin-gonic/gin"

	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/internal/services/validation"
)

// fastChecks answers plain checks without Huma: they are the calls the service
// exists for, and schemas and reflection would cost more than the decision.
// Whatever is not plain goes Huma's way, errors among it, so that there is one
// meaning of a request.
type fastChecks struct{ api *api }

// scratch is the memory of one request.
type scratch struct {
	in, out []byte
	checks  []validation.Check
}

var scratches = sync.Pool{New: func() any { return new(scratch) }}

// maxScratch bounds what is kept between requests.
const maxScratch = 1 << 20

func (s *scratch) release() {
	clear(s.checks)
	if cap(s.in) <= maxScratch && cap(s.out) <= maxScratch {
		scratches.Put(s)
	}
}

var contentTypeJSON = []string{mediaJSON}

func (f fastChecks) validate(c *gin.Context) (answered bool) {
	s := scratches.Get().(*scratch)
	defer s.release()
	text, ok := f.read(c, s)
	if !ok {
		return c.IsAborted()
	}
	p, check := plain{text: text}, new(validation.Check)
	if !p.check(check) || !p.end() {
		return f.decline(c, text)
	}
	ctx := c.Request.Context()
	check.RequestID = models.ActorFrom(ctx).RequestID
	answer, err := f.api.Validation.Validate(ctx, check)
	if err != nil {
		fail(c, err)
		return true
	}
	s.out = appendAnswer(s.out[:0], &answer)
	send(c, s.out)
	return true
}

func (f fastChecks) validateBatch(c *gin.Context) (answered bool) {
	s := scratches.Get().(*scratch)
	defer s.release()
	text, ok := f.read(c, s)
	if !ok {
		return c.IsAborted()
	}
	ctx := c.Request.Context()
	if !s.decodeBatch(text) {
		return f.decline(c, text)
	}
	for i := range s.checks {
		s.checks[i].RequestID = batchRequestID(ctx, i)
	}
	s.out = append(s.out[:0], `{"results":[`...)
	var failed error
	err := f.api.Validation.ValidateMany(ctx, s.checks, func(i int, answer *validation.Answer, err error) {
		if i > 0 {
			s.out = append(s.out, ',')
		}
		failed = errors.Join(failed, s.append(&s.checks[i], answer, err))
	})
	if err = errors.Join(err, failed); err != nil {
		fail(c, err)
		return true
	}
	s.out = append(s.out, "]}"...)
	send(c, s.out)
	return true
}

func (s *scratch) decodeBatch(text string) bool {
	s.checks = s.checks[:0]
	p := plain{text: text}
	if !p.next('{') {
		return false
	}
	if name, ok := p.string(16); !ok || name != "checks" || !p.next(':') || !p.next('[') {
		return false
	}
	for {
		s.checks = append(s.checks, validation.Check{})
		if len(s.checks) > maxBatch || !p.check(&s.checks[len(s.checks)-1]) {
			return false
		}
		if !p.next(',') {
			return p.next(']') && p.next('}') && p.end()
		}
	}
}

// maxBatch is how many checks a batch may hold.
const maxBatch = 1000

func (s *scratch) append(check *validation.Check, answer *validation.Answer, err error) error {
	if err == nil {
		s.out = appendAnswer(s.out, answer)
		return nil
	}
	data, err := encodeJSON(undecided(err, check.RequestID))
	s.out = append(s.out, data...)
	return err
}

// read reads the body where the rest of the request is plain. Otherwise the
// request is left as it was, or its failure is recorded.
func (f fastChecks) read(c *gin.Context, s *scratch) (text string, ok bool) {
	r := c.Request
	if r.ContentLength <= 0 || r.URL.RawQuery != "" || !only(r.Header["Content-Type"], mediaJSON) ||
		len(r.Header["Accept"]) > 0 && !only(r.Header["Accept"], "*/*") && !only(r.Header["Accept"], mediaJSON) {
		return "", false
	}
	s.in = append(s.in[:0], make([]byte, r.ContentLength)...)
	if _, err := io.ReadFull(r.Body, s.in); err != nil {
		fail(c, err)
		return "", false
	}
	return string(s.in), true
}

func only(values []string, want string) bool { return len(values) == 1 && values[0] == want }

// decline gives the body back.
func (f fastChecks) decline(c *gin.Context, text string) (answered bool) {
	c.Request.Body = io.NopCloser(bytes.NewReader([]byte(text)))
	return false
}

func send(c *gin.Context, body []byte) {
	c.Writer.Header()["Content-Type"] = contentTypeJSON
	c.Status(http.StatusOK)
	if _, err := c.Writer.Write(body); err != nil {
		_ = c.Error(err) // for the log: the client is gone
	}
}
