package controllers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humagin"
	"github.com/gin-gonic/gin"

	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/pkg/apierror"
)

// IdempotencyStore keeps the answers to create calls, in the transaction of
// what they created.
type IdempotencyStore interface {
	InTx(ctx context.Context, fn func(ctx context.Context) error) error
	// Claim tells whether no other transaction has claimed the id; the claim
	// ends with the transaction.
	Claim(ctx context.Context, id string) (bool, error)
	// Find gives a record, which may have expired, or apierror.CodeNotFound.
	Find(ctx context.Context, id string) (*models.IdempotencyRecord, error)
	// Save replaces a record that has expired.
	Save(ctx context.Context, record *models.IdempotencyRecord) error
}

// IdempotencyHeader is a parameter of every create call. (It is exported, as
// are other parts of inputs, because Huma binds no embedded type that is not.)
type IdempotencyHeader struct {
	IdempotencyKey string `header:"Idempotency-Key" minLength:"1" maxLength:"255" pattern:"^[ -~]*$" patternDescription:"1 to 255 printable ASCII characters" doc:"Makes the call safe to repeat: for 24 hours the same key with the same call gets the first answer again, with Idempotency-Replayed: true"`
}

// idempotent answers a create call that carries an Idempotency-Key once. What
// it created and what it answered become durable together; only answers of
// success are kept.
func (a *api) idempotent(ctx huma.Context, next func(huma.Context)) {
	key := ctx.Header("Idempotency-Key")
	if key == "" {
		next(ctx)
		return
	}
	c := humagin.Unwrap(ctx)
	// The guard has let this token in.
	_, token, _ := strings.Cut(c.Request.Header.Get("Authorization"), " ")
	call := idempotentCall{api: a, gin: c, seal: seal{token: strings.TrimSpace(token), key: key}}
	r := ctx.(*request)
	call.digest = call.seal.request(c.Request.Method, c.Request.URL.RequestURI(), r.body)
	answer, err := call.once(r, next)
	if err != nil {
		c.Errors = nil // it is among them, perhaps
		fail(c, err)
		return
	}
	answer.send(c.Writer)
}

type idempotentCall struct {
	api    *api
	gin    *gin.Context
	seal   seal
	digest string
}

// once gives the answer kept, or makes and keeps it.
func (call *idempotentCall) once(r *request, next func(huma.Context)) (answer *storedAnswer, err error) {
	store, id := call.api.Idempotency, call.seal.name()
	err = store.InTx(r.Context(), func(ctx context.Context) error {
		call.gin.Errors = nil // of an attempt that the database gave up
		claimed, err := store.Claim(ctx, id)
		if err != nil {
			return err
		}
		if !claimed {
			return apierror.New(apierror.CodeIdempotencyConflict, "The first call with this Idempotency-Key is still running")
		}
		answer, err = call.find(ctx, id)
		if err != nil || answer != nil {
			return err
		}
		answer = &storedAnswer{}
		next(&recorder{request: r, ctx: ctx, answer: answer})
		if failure := call.gin.Errors.Last(); failure != nil {
			return failure.Err // takes back the transaction
		}
		return call.save(ctx, id, answer)
	})
	return answer, err
}

func (call *idempotentCall) find(ctx context.Context, id string) (*storedAnswer, error) {
	record, err := call.api.Idempotency.Find(ctx, id)
	switch {
	case errors.Is(err, apierror.CodeNotFound):
		return nil, nil
	case err != nil:
		return nil, err
	case !call.api.Now().Before(record.ExpiresAt):
		return nil, nil
	case record.RequestHash != call.digest:
		return nil, apierror.New(apierror.CodeIdempotencyMismatch, "The Idempotency-Key was used for another call",
			apierror.Field{In: apierror.Header, Name: "Idempotency-Key", Detail: "must be new for a call that differs in method, path or body"})
	}
	data, err := call.seal.decrypt(record.Response, call.digest)
	if err != nil {
		return nil, fmt.Errorf("open kept answer: %w", err)
	}
	answer := &storedAnswer{Replayed: true}
	if err := json.Unmarshal(data, answer); err != nil {
		return nil, fmt.Errorf("read kept answer: %w", err)
	}
	return answer, nil
}

func (call *idempotentCall) save(ctx context.Context, id string, answer *storedAnswer) error {
	data, err := json.Marshal(answer)
	if err != nil {
		return fmt.Errorf("keep answer: %w", err)
	}
	now := call.api.Now()
	return call.api.Idempotency.Save(ctx, &models.IdempotencyRecord{
		ID: id, RequestHash: call.digest, Status: answer.Status, Response: call.seal.encrypt(data, call.digest),
		CreatedAt: now, ExpiresAt: now.Add(call.api.IdempotencyKeep),
	})
}

// storedAnswer is an answer that is kept.
type storedAnswer struct {
	Status   int
	Header   http.Header
	Body     []byte
	Replayed bool `json:"-"`
}

func (s *storedAnswer) send(w gin.ResponseWriter) {
	for name, values := range s.Header {
		w.Header()[name] = values
	}
	if s.Replayed {
		w.Header().Set("Idempotency-Replayed", "true")
	}
	w.WriteHeader(s.Status)
	// An error is that of the connection: the answer is kept.
	_, _ = w.Write(s.Body)
}

// Write appends to the body.
func (s *storedAnswer) Write(p []byte) (int, error) {
	s.Body = append(s.Body, p...)
	return len(p), nil
}

func (s *storedAnswer) header() http.Header {
	if s.Header == nil {
		s.Header = http.Header{}
	}
	return s.Header
}

// createCall makes an operation one that Idempotency-Key protects. Its input
// embeds IdempotencyHeader.
func (a *api) createCall(op huma.Operation) huma.Operation {
	op.DefaultStatus = http.StatusCreated
	op.Middlewares = append(op.Middlewares, a.idempotent)
	return op
}
