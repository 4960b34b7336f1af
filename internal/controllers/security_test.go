package controllers_test

import (
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/danielgtaylor/huma/v2"
	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/internal/models"
)

// open are the routes that take no token.
var open = []string{
	"/health", "/health/live", "/health/ready", "/openapi.json",
	"/docs", "/docs/docs.js", "/docs/favicon.png", "/docs/swagger-ui.css", "/docs/swagger-ui-bundle.js",
}

func TestEveryRouteThatIsNotOpenRefusesCallersWithoutAToken(t *testing.T) {
	s := newServer(t)
	for _, route := range s.Routes() {
		a := s.do(route.Method, strings.Replace(route.Path, "*path", "x", 1), "", "Authorization", "", "X-Viva-Token", "")
		if slices.Contains(open, route.Path) {
			require.Equal(t, http.StatusOK, a.Code, route.Path)
			continue
		}
		require.Equal(t, http.StatusUnauthorized, a.Code, "%s %s", route.Method, route.Path)
		require.Equal(t, "Bearer", a.Header().Get("WWW-Authenticate"), route.Path)
	}
}

func TestEveryOperationAsksForItsScopeAndNoOther(t *testing.T) {
	s := newServer(t)
	var all []models.TokenScope
	for _, scope := range models.TokenScopes {
		if !strings.HasSuffix(string(scope), "*") {
			all = append(all, scope)
		}
	}
	tokens := map[models.TokenScope]string{}
	for _, scope := range all {
		tokens[scope] = s.newToken(scope)
	}
	asked := map[string]bool{}
	s.operations(func(method, target string, op *huma.Operation) {
		if len(op.Security) == 0 {
			require.Contains(t, open, op.Path)
			return
		}
		scheme := slices.Collect(maps.Keys(op.Security[0]))[0]
		header, before := "Authorization", "Bearer "
		if scheme == "gateway" {
			header, before = "X-Viva-Token", ""
		}
		for _, held := range all {
			a := s.do(method, target, "", "Authorization", "", "X-Viva-Token", "", header, before+tokens[held])
			wanted := op.Security[0][scheme]
			if len(wanted) == 0 || held == models.ScopeAdmin || string(held) == wanted[0] {
				require.NotEqual(t, http.StatusForbidden, a.Code, "%s %s with %s", method, target, held)
				continue
			}
			asked[wanted[0]] = true
			code, _ := a.is(http.StatusForbidden).problem()
			require.Equal(t, "forbidden", code)
			require.Contains(t, a.text("detail"), wanted[0])
		}
	})
	require.Len(t, asked, len(all), "every scope opens something")
}

func TestTheSchemeSaysWhichHeaderCarriesTheToken(t *testing.T) {
	s := newServer(t)
	s.do(http.MethodGet, "/api/v1/whoami", "", "Authorization", "", "X-Viva-Token", s.token).is(http.StatusUnauthorized)
	s.do(http.MethodGet, "/api/v1/authorize", "", "X-Viva-Token", "").is(http.StatusUnauthorized)
}

func TestWhoamiTellsWhatTheTokenMayDo(t *testing.T) {
	s := newServer(t)
	me := s.do(http.MethodGet, "/api/v1/whoami", "", "Authorization", "bearer "+s.newToken("keys:*")).is(http.StatusOK).object()
	require.Equal(t, []any{"keys:*"}, me["scopes"])
	require.Equal(t, "test", me["name"])
	require.NotContains(t, me, "token")
}

func TestUnknownPathsAndMethodsAreProblems(t *testing.T) {
	s := newServer(t)
	for _, path := range []string{"/", "/api/v1", "/api/v1/nothing", "/api/v1/keys/", "/api/v1//keys", "/API/v1/keys", "/docs/", "/api/v2/keys"} {
		code, _ := s.do(http.MethodGet, path, "").is(http.StatusNotFound).problem()
		require.Equal(t, "not_found", code, path)
	}
	a := s.do(http.MethodPut, "/api/v1/keys", "{}").is(http.StatusMethodNotAllowed)
	code, _ := a.problem()
	require.Equal(t, "method_not_allowed", code)
	require.Equal(t, []string{"GET", "HEAD", "POST"}, slices.Sorted(slices.Values(strings.Split(a.Header().Get("Allow"), ", "))))
}

func TestHeadAnswersAsGetDoes(t *testing.T) {
	s := newServer(t)
	get := s.do(http.MethodGet, "/api/v1/plans", "").is(http.StatusOK)
	head := s.do(http.MethodHead, "/api/v1/plans", "").is(http.StatusOK)
	require.Equal(t, get.Header().Get("Content-Type"), head.Header().Get("Content-Type"))
}
