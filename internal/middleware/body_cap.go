package middleware

import (
	"net/http"

	"github.com/gin-gonic/gin"
)

// BodyCap lets bodies of at most so many bytes through. One that announces
// more is refused at once; one that turns out longer fails the read with
// [http.MaxBytesError], and its connection is closed.
func BodyCap(bytes int64) gin.HandlerFunc {
	return func(c *gin.Context) {
		if c.Request.ContentLength > bytes {
			c.Header("Connection", "close")
			fail(c, &http.MaxBytesError{Limit: bytes})
			return
		}
		if c.Request.ContentLength != 0 {
			c.Request.Body = http.MaxBytesReader(c.Writer, c.Request.Body, bytes)
		}
	}
}
