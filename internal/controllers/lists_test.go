package controllers_test

import (
	"encoding/csv"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/internal/models"
)

// names reads the names in a page of a list.
func (a answer) names() []string {
	names := []string{}
	for _, row := range a.object()["data"].([]any) {
		names = append(names, row.(map[string]any)["name"].(string))
	}
	return names
}

func (s *server) newKeys(names ...string) {
	s.t.Helper()
	for _, name := range names {
		s.do(http.MethodPost, "/api/v1/keys", fmt.Sprintf(`{"name":%q}`, name)).is(http.StatusCreated)
		s.advance(time.Second)
	}
}

func TestPagesJoinToTheWholeListWhicheverWayItIsFollowed(t *testing.T) {
	s := newServer(t)
	s.newKeys("a", "b", "c", "d", "e")
	for sort, want := range map[string][]string{
		"":            {"e", "d", "c", "b", "a"},
		"-created_at": {"e", "d", "c", "b", "a"},
		"created_at":  {"a", "b", "c", "d", "e"},
		"updated_at":  {"a", "b", "c", "d", "e"},
		"-name":       {"e", "d", "c", "b", "a"},
	} {
		query := "/api/v1/keys?limit=2"
		if sort != "" {
			query += "&sort=" + sort
		}
		byCursor, byLink := []string{}, []string{}
		cursor, link := "", query
		for {
			a := s.do(http.MethodGet, query+cursor, "").is(http.StatusOK)
			byCursor = append(byCursor, a.names()...)
			b := s.do(http.MethodGet, link, "").is(http.StatusOK)
			byLink = append(byLink, b.names()...)
			next, more := a.object()["next_cursor"].(string)
			if !more {
				require.Empty(t, b.Header().Get("Link"))
				break
			}
			require.LessOrEqual(t, len(a.names()), 2)
			cursor = "&cursor=" + next
			link = strings.TrimSuffix(strings.TrimPrefix(b.Header().Get("Link"), "<"), `>; rel="next"`)
		}
		require.Equal(t, want, byCursor, sort)
		require.Equal(t, want, byLink, sort)
	}
}

func TestAPageThatHoldsTheRestIsTheLast(t *testing.T) {
	s := newServer(t)
	s.newKeys("a", "b")
	a := s.do(http.MethodGet, "/api/v1/keys?limit=2", "").is(http.StatusOK)
	require.Nil(t, a.object()["next_cursor"])
	require.Len(t, a.names(), 2)
}

func TestACursorIsGoodForItsOwnListOnly(t *testing.T) {
	s := newServer(t)
	s.newKeys("a", "b", "c")
	cursor := s.do(http.MethodGet, "/api/v1/keys?limit=1", "").text("next_cursor")
	s.do(http.MethodGet, "/api/v1/keys?limit=2&cursor="+cursor, "").is(http.StatusOK)
	tampered := []byte(cursor)
	tampered[len(tampered)/2] ^= 1
	for name, target := range map[string]string{
		"another list":      "/api/v1/owners?cursor=" + cursor,
		"another sort":      "/api/v1/keys?sort=name&cursor=" + cursor,
		"another filter":    "/api/v1/keys?status=active&cursor=" + cursor,
		"another plan":      "/api/v1/plans/pro/versions?cursor=" + cursor,
		"tampered":          "/api/v1/keys?cursor=" + url.QueryEscape(string(tampered)),
		"cut short":         "/api/v1/keys?cursor=" + cursor[:len(cursor)-4],
		"not base64":        "/api/v1/keys?cursor=%21%21",
		"shorter than sums": "/api/v1/keys?cursor=AAAA",
	} {
		code, fields := s.do(http.MethodGet, target, "").is(http.StatusUnprocessableEntity).problem()
		require.Equal(t, "validation_failed", code, name)
		require.Equal(t, []string{"query cursor"}, fields, name)
	}
}

func TestListsAreFiltered(t *testing.T) {
	s := newServer(t)
	s.do(http.MethodPost, "/api/v1/owners", `{"external_id":"cust_1","name":"Acme"}`).is(http.StatusCreated)
	s.newKey(`"owner":"cust_1","tags":["web"],"environment":"test"`)
	s.newKeys("other")
	for query, want := range map[string][]string{
		"owner=cust_1":     {"Checkout"},
		"tag=web":          {"Checkout"},
		"environment=test": {"Checkout"},
		"name=oth":         {"other"},
		"status=revoked":   {},
		"keyspace=default": {"other", "Checkout"},
	} {
		require.Equal(t, want, s.do(http.MethodGet, "/api/v1/keys?"+query, "").is(http.StatusOK).names(), query)
	}
	_, fields := s.do(http.MethodGet, "/api/v1/keys?owner=nobody", "").is(http.StatusUnprocessableEntity).problem()
	require.Equal(t, []string{"query owner"}, fields)
	require.Equal(t, []string{"Acme"}, s.do(http.MethodGet, "/api/v1/owners?implicit=false", "").names())
	require.Len(t, s.do(http.MethodGet, "/api/v1/owners?implicit=true", "").names(), 1)
}

func TestEveryListComesAsCSVToo(t *testing.T) {
	s := newServer(t)
	s.newKeys("a")
	s.use(s.newUser(), start)
	s.newAlert("quota-80", string(models.NewID[models.OwnerID]()))
	s.newMaintenance("")
	s.newDestination("")
	s.do(http.MethodPost, destinationsPath+"/on-call/test", "").is(http.StatusOK)
	s.failJob(models.JobNotifyDeliver, "d1", "refused")
	lists := 0
	s.operations(func(method, _ string, op *huma.Operation) {
		if !strings.HasPrefix(op.OperationID, "list-") {
			return
		}
		lists++
		target := strings.Replace(op.Path, "{id}", "pro", 1)
		a := s.do(method, target, "", "Accept", "text/csv").is(http.StatusOK)
		require.Equal(t, "text/csv", a.Header().Get("Content-Type"), target)
		rows, err := csv.NewReader(a.Body).ReadAll()
		require.NoError(t, err, target)
		require.GreaterOrEqual(t, len(rows), 2, target)
		for name := range s.do(method, target, "").object()["data"].([]any)[0].(map[string]any) {
			require.Contains(t, rows[0], name, target)
		}
	})
	require.Equal(t, 15, lists)
}

func TestEveryListCanBeSortedAsItSays(t *testing.T) {
	s := newServer(t)
	s.operations(func(method, _ string, op *huma.Operation) {
		for _, p := range op.Parameters {
			if p.Name != "sort" {
				continue
			}
			require.Contains(t, p.Schema.Enum, p.Schema.Default)
			for _, sort := range p.Schema.Enum {
				target := strings.Replace(op.Path, "{id}", "pro", 1) + "?limit=1&sort=" + sort.(string)
				a := s.do(method, target, "").is(http.StatusOK)
				if cursor, more := a.object()["next_cursor"].(string); more {
					s.do(method, target+"&cursor="+cursor, "").is(http.StatusOK)
				}
			}
		}
	})
}

func TestCSVIsSafeToOpenInASpreadsheet(t *testing.T) {
	s := newServer(t)
	s.newKeys(`=HYPERLINK("http://evil.example")`, "+1", "-1", "@SUM(A1)", `with "quotes", commas`)
	a := s.do(http.MethodGet, "/api/v1/keys?sort=created_at", "", "Accept", "text/csv").is(http.StatusOK)
	require.Contains(t, a.Body.String(), "\r\n")
	rows, err := csv.NewReader(a.Body).ReadAll()
	require.NoError(t, err)
	column := map[string]int{}
	for i, name := range rows[0] {
		column[name] = i
	}
	names := []string{}
	for _, row := range rows[1:] {
		names = append(names, row[column["name"]])
		require.Empty(t, row[column["expires_at"]])
		require.Equal(t, "[]", row[column["tags"]])
	}
	require.Equal(t, []string{`'=HYPERLINK("http://evil.example")`, "'+1", "'-1", "'@SUM(A1)", `with "quotes", commas`}, names)
}

func TestAcceptDecidesTheMediaType(t *testing.T) {
	s := newServer(t)
	for accept, want := range map[string]string{
		"":                                    "application/json",
		"*/*":                                 "application/json",
		"application/*":                       "application/json",
		"text/*":                              "text/csv",
		"text/csv, application/json":          "application/json",
		"application/json;q=0.5, text/csv":    "text/csv",
		"application/json;q=0, */*":           "text/csv",
		"text/html, application/xml, */*;q=1": "application/json",
	} {
		a := s.do(http.MethodGet, "/api/v1/plans", "", "Accept", accept).is(http.StatusOK)
		require.Equal(t, want, a.Header().Get("Content-Type"), accept)
	}
	for _, accept := range []string{"text/html", "application/json;q=0", "application/json;q=2", "nonsense"} {
		code, fields := s.do(http.MethodGet, "/api/v1/plans", "", "Accept", accept).is(http.StatusNotAcceptable).problem()
		require.Equal(t, "not_acceptable", code, accept)
		require.Equal(t, []string{"header Accept"}, fields)
	}
	s.do(http.MethodGet, "/api/v1/plans/pro", "", "Accept", "text/csv").is(http.StatusNotAcceptable)
}
