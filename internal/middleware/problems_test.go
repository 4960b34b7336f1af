package middleware_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"testing"

	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/internal/middleware"
	"github.com/viva/rate-limiter/pkg/apierror"
	"github.com/viva/rate-limiter/pkg/ratelimit"
)

func TestEveryErrorHasItsProblem(t *testing.T) {
	tests := []struct {
		err  error
		code apierror.Code
	}{
		{apierror.NotFound("key"), apierror.CodeNotFound},
		{fmt.Errorf("find: %w", apierror.NotFound("key")), apierror.CodeNotFound},
		{apierror.CodeConflict, apierror.CodeConflict},
		{&http.MaxBytesError{Limit: 10}, apierror.CodePayloadTooLarge},
		{fmt.Errorf("take: %w", ratelimit.ErrUnavailable), apierror.CodeStoreUnavailable},
		{ratelimit.ErrFull, apierror.CodeStoreUnavailable},
		{ratelimit.ErrIDConflict, apierror.CodeCheckIDConflict},
		{os.ErrDeadlineExceeded, apierror.CodeTimeout},
		{context.DeadlineExceeded, apierror.CodeTimeout},
		{context.Canceled, apierror.CodeUnavailable},
		{io.ErrUnexpectedEOF, apierror.CodeBadRequest},
		{errors.New("pq: secret"), apierror.CodeInternal},
	}
	for _, test := range tests {
		p := middleware.Problem(test.err)
		require.Equal(t, test.code, p.Code, test.err)
		require.NotContains(t, p.Detail, "secret")
		require.ErrorIs(t, p, test.code)
	}
}

func TestARecordedErrorIsAnsweredOnce(t *testing.T) {
	s := newStack(t)
	s.GET("/fails", func(c *gin.Context) {
		c.Header("ETag", `"1"`)
		c.Header("Link", "</next>")
		c.Status(http.StatusOK)
		_ = c.Error(errors.New("pq: password=hunter2"))
	})
	s.GET("/answered", func(c *gin.Context) {
		c.String(http.StatusOK, "fine")
		_ = c.Error(errors.New("the client is gone"))
	})
	w := s.send("GET", "/fails")
	p := problem(t, w, apierror.CodeInternal)
	require.NotContains(t, w.Body.String(), "hunter2")
	require.Contains(t, p.Detail, "request_id")
	require.Empty(t, w.Header().Get("ETag"))
	require.Empty(t, w.Header().Get("Link"))
	line := s.line()
	require.Equal(t, "pq: password=hunter2", line["error"], "the cause is for the log")
	require.Equal(t, "internal", line["code"])

	w = s.send("GET", "/answered")
	require.Equal(t, "fine", w.Body.String())
}

func TestUnknownPathsAndMethods(t *testing.T) {
	s := newStack(t)
	s.GET("/a", ok)
	s.POST("/a", ok)
	for _, path := range []string{"/", "/a/", "/A", "//a", "/b"} {
		problem(t, s.send("GET", path), apierror.CodeNotFound)
	}
	w := s.send("DELETE", "/a")
	problem(t, w, apierror.CodeMethodNotAllowed)
	require.Equal(t, "GET, POST", w.Header().Get("Allow"))
	problem(t, s.send("BREW", "/b"), apierror.CodeNotFound)
}
