package middleware_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap/zapcore"

	"github.com/viva/rate-limiter/internal/middleware"
	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/pkg/apierror"
	"github.com/viva/rate-limiter/pkg/apikey"
)

func TestASecretIsNoRequestID(t *testing.T) {
	s := newStack(t)
	s.GET("/", ok)
	key, err := apikey.Generate("viva", apikey.Live)
	require.NoError(t, err)
	for _, secret := range []apikey.Secret{key, apikey.GenerateToken()} {
		got := s.send("GET", "/", "X-Request-Id", secret.Reveal()).Header().Get("X-Request-Id")
		require.NotEqual(t, secret.Reveal(), got, "it would be logged")
		require.NotEmpty(t, got)
	}
}

func TestARequestIDIsTheCallersIfItIsHarmless(t *testing.T) {
	s := newStack(t)
	s.GET("/", ok)
	for _, given := range []string{"a", "0198c0de-1", "A.b_c-9", strings.Repeat("x", 64)} {
		require.Equal(t, given, s.send("GET", "/", "X-Request-Id", given).Header().Get("X-Request-Id"))
	}
	seen := map[string]bool{}
	for _, given := range []string{"", "a b", "a\n", "ä", strings.Repeat("x", 65), `"`, "a/b", "a,b"} {
		got := s.send("GET", "/", "X-Request-Id", given).Header().Get("X-Request-Id")
		id, err := uuid.Parse(got)
		require.NoError(t, err, given)
		require.EqualValues(t, 7, id.Version())
		require.False(t, seen[got])
		seen[got] = true
	}
}

func TestALineTellsOfARequestAndHidesItsSecrets(t *testing.T) {
	s := newStack(t)
	guard := s.authentication(&tokens{valid: map[string]*models.AccessToken{"hidden-token": reader}})
	s.GET("/keys/:id", guard.Bearer("keys:read"), func(c *gin.Context) {
		s.advance(1500 * time.Microsecond)
		c.String(http.StatusOK, "fine")
	})
	s.send("GET", "/keys/hidden-id?secret=hidden-query", "Authorization", "Bearer hidden-token", "X-Api-Key", "hidden-key", "X-Request-Id", "r1")
	entries := s.log.All()
	require.Len(t, entries, 1)
	require.Equal(t, "info", entries[0].Level.String())
	require.Equal(t, map[string]any{
		"method": "GET", "route": "/keys/:id", "status": int64(200), "duration": 1500 * time.Microsecond, "bytes": int64(4),
		"request_id": "r1", "client_ip": "192.0.2.1", "actor_id": "id-of-reader",
	}, s.line())

	s.send("GET", "/hidden-path/"+"hidden", "Authorization", "Bearer hidden-token")
	s.send("HIDDENMETHOD", "/keys/1")
	for _, entry := range s.log.All()[1:] {
		for name, value := range entry.ContextMap() {
			text, _ := value.(string)
			require.NotContains(t, strings.ToLower(text), "hidden", name)
		}
	}
}

func TestAnAnswerOf5xxIsLoggedAsAnError(t *testing.T) {
	s := newStack(t)
	s.GET("/", func(c *gin.Context) { _ = c.Error(apierror.New(apierror.CodeStoreUnavailable, "gone")) })
	s.send("GET", "/")
	require.Equal(t, "error", s.log.All()[0].Level.String())
	require.Equal(t, "store_unavailable", s.line()["code"])
}

func TestAPanicIsAProblem(t *testing.T) {
	s := newStack(t)
	s.GET("/", func(c *gin.Context) {
		c.Header("Content-Length", "1000")
		panic("password=hunter2")
	})
	w := s.send("GET", "/")
	problem(t, w, apierror.CodeInternal)
	require.NotContains(t, w.Body.String(), "hunter2")
	require.NotContains(t, w.Body.String(), "goroutine")
	require.Empty(t, w.Header().Get("Content-Length"))
	panics := s.log.FilterMessage("panic").All()
	require.Len(t, panics, 1)
	require.Contains(t, panics[0].ContextMap()["stack"], "log_test.go")
	require.EqualValues(t, 500, s.line()["status"])
}

func TestRequestsOfBusyRoutesAreLoggedAtDebugLevel(t *testing.T) {
	s := newStack(t, func(o *middleware.Options) { o.Busy = []string{"/busy"} })
	s.GET("/busy", func(c *gin.Context) {
		if c.Query("fail") != "" {
			_ = c.Error(errors.New("broken"))
			return
		}
		ok(c)
	})
	s.GET("/calm", ok)
	for target, level := range map[string]zapcore.Level{
		"/busy": zapcore.DebugLevel, "/busy?fail=1": zapcore.ErrorLevel, "/calm": zapcore.InfoLevel, "/nowhere": zapcore.InfoLevel,
	} {
		s.send("GET", target)
		lines := s.log.FilterMessage("request").All()
		s.log.TakeAll()
		require.Len(t, lines, 1)
		require.Equal(t, level, lines[0].Level, target)
	}
}

func TestAPanicAmidAnAnswerCutsTheConnection(t *testing.T) {
	s := newStack(t)
	s.GET("/", func(c *gin.Context) {
		c.String(http.StatusOK, "half")
		panic("gone wrong")
	})
	s.GET("/abort", func(*gin.Context) { panic(http.ErrAbortHandler) })
	for _, path := range []string{"/", "/abort"} {
		require.PanicsWithValue(t, http.ErrAbortHandler, func() { s.send("GET", path) }, "net/http closes the connection on it")
		require.Equal(t, path, s.line()["route"])
	}
	require.Len(t, s.log.FilterMessage("request").All(), 2)
	require.Len(t, s.log.FilterMessage("panic").All(), 1, "an abort is no fault")
}

func TestABodyHasACap(t *testing.T) {
	s := newStack(t)
	s.POST("/", middleware.BodyCap(10), func(c *gin.Context) {
		if _, err := c.GetRawData(); err != nil {
			_ = c.Error(err)
			return
		}
		ok(c)
	})
	post := func(body string, length int64) int {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "/", strings.NewReader(body))
		require.NoError(t, err)
		r.ContentLength = length
		w := newRecorder()
		s.ServeHTTP(w, r)
		if w.Code != http.StatusOK {
			require.Contains(t, problem(t, w, apierror.CodePayloadTooLarge).Detail, "10 bytes")
		}
		return w.Code
	}
	require.Equal(t, http.StatusOK, post("0123456789", 10))
	require.Equal(t, http.StatusOK, post("0123456789", -1))
	require.Equal(t, http.StatusRequestEntityTooLarge, post("0123456789x", 11))
	require.Equal(t, http.StatusRequestEntityTooLarge, post("0123456789x", -1), "without an announced length")
}
