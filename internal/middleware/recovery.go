package middleware

import (
	"fmt"
	"net/http"

	"github.com/gin-gonic/gin"
	"go.uber.org/zap"

	"github.com/viva/rate-limiter/internal/logging"
	"github.com/viva/rate-limiter/pkg/apierror"
)

// Recovery answers a panic with a 500 problem, and tells the log alone where
// it came from. Where the answer had begun, it cuts the connection: a whole
// answer is the only other thing the client could take it for.
func Recovery(log *zap.Logger) gin.HandlerFunc {
	return func(c *gin.Context) {
		defer func() {
			v := recover()
			if v == nil {
				return
			}
			if v == http.ErrAbortHandler { //nolint:errorlint // net/http too knows it only as it is
				panic(v)
			}
			log.Error("panic", zap.String("panic", fmt.Sprint(v)), zap.String("route", c.FullPath()),
				zap.String("request_id", requestID(c.Writer.Header())), logging.Traced(c.Request.Context()), zap.StackSkip("stack", 2))
			if c.Writer.Written() {
				panic(http.ErrAbortHandler)
			}
			fail(c, apierror.From(fmt.Errorf("panic: %v", v)))
			answer(c)
		}()
		c.Next()
	}
}
