package middleware

import (
	"errors"
	"io"
	"net/http"
	"os"

	"github.com/gin-gonic/gin"

	"github.com/viva/rate-limiter/pkg/apierror"
	"github.com/viva/rate-limiter/pkg/ratelimit"
)

// Problem is the one table from errors to answers: what a service said is
// answered as it is, what comes from below gets a code here, and what nobody
// foresaw is an internal error.
func Problem(err error) *apierror.Error {
	if e, ok := apierror.As(err); ok {
		return e
	}
	if cap, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return apierror.Newf(apierror.CodePayloadTooLarge, "The body may have at most %d bytes", cap.Limit).Wrap(err)
	}
	switch {
	case errors.Is(err, ratelimit.ErrUnavailable), errors.Is(err, ratelimit.ErrFull):
		return apierror.New(apierror.CodeStoreUnavailable, "Limits cannot be counted at the moment").Wrap(err)
	case errors.Is(err, ratelimit.ErrIDConflict):
		return apierror.New(apierror.CodeCheckIDConflict, "The check_id was used for another check",
			apierror.Field{In: apierror.Body, Name: "check_id", Detail: "must be new, or come with the same check"}).Wrap(err)
	case errors.Is(err, os.ErrDeadlineExceeded):
		return apierror.New(apierror.CodeTimeout, "The request took longer than it may").Wrap(err)
	case errors.Is(err, io.ErrUnexpectedEOF):
		return apierror.New(apierror.CodeBadRequest, "The body ended before its announced length").Wrap(err)
	}
	return apierror.From(err)
}

// Problems answers with the problem of the last error that a handler recorded
// with [gin.Context.Error], unless the handler has answered itself.
func Problems() gin.HandlerFunc {
	return func(c *gin.Context) {
		c.Next()
		if len(c.Errors) > 0 && !c.Writer.Written() {
			answer(c)
		}
	}
}

// fail records the error and stops the handlers that would come next.
func fail(c *gin.Context, err error) {
	_ = c.Error(err) // what it returns is what it was given
	c.Abort()
}

func answer(c *gin.Context) {
	h := c.Writer.Header()
	// They describe the answer that failed.
	for _, name := range []string{"Content-Length", "Content-Encoding", "Etag", "Link", "Location"} {
		h.Del(name)
	}
	if err := Problem(c.Errors.Last().Err).Write(c.Writer, requestID(h)); err != nil {
		_ = c.Error(err) // the client is gone: only the log can know
	}
}

func noRoute(c *gin.Context) {
	fail(c, apierror.New(apierror.CodeNotFound, "There is nothing at this path"))
}

// noMethod follows Gin's own Allow header.
func noMethod(c *gin.Context) {
	fail(c, apierror.New(apierror.CodeMethodNotAllowed, "The path does not take this method; Allow names those it takes"))
}
