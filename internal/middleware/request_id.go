package middleware

import (
	"net/http"
	"strings"

	"github.com/gin-gonic/gin"
	"github.com/google/uuid"

	"github.com/viva/rate-limiter/pkg/apikey"
)

// requestIDHeader carries the request id both ways. Whoever needs the id reads
// it from the headers of the answer, where RequestID has put it.
const requestIDHeader = "X-Request-Id"

const maxRequestID = 64

// RequestID answers with the caller's X-Request-Id where that is 1 to 64 of
// [A-Za-z0-9._-], and with a new UUIDv7 otherwise: also where it is a key or a
// token that somebody put there, as ids are logged.
func RequestID() gin.HandlerFunc {
	return func(c *gin.Context) {
		id := c.Request.Header.Get(requestIDHeader)
		if !validRequestID(id) {
			id = uuid.Must(uuid.NewV7()).String()
		}
		c.Writer.Header().Set(requestIDHeader, id)
	}
}

func requestID(h http.Header) string { return h.Get(requestIDHeader) }

func validRequestID(id string) bool {
	return id != "" && len(id) <= maxRequestID && !apikey.Valid(id) && !apikey.ValidToken(id) && strings.IndexFunc(id, func(r rune) bool {
		letter := 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z'
		return !letter && (r < '0' || r > '9') && r != '.' && r != '_' && r != '-'
	}) < 0
}
