package controllers_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"flag"
	"io"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/danielgtaylor/huma/v2"
	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write docs/openapi.json")

const documentFile = "../../docs/openapi.json"

func TestTheOpenAPIDocumentIsUpToDate(t *testing.T) {
	s := newServer(t)
	served := s.do(http.MethodGet, "/openapi.json", "", "Authorization", "").is(http.StatusOK)
	require.Equal(t, "application/openapi+json", served.Header().Get("Content-Type"))
	var document bytes.Buffer
	require.NoError(t, json.Indent(&document, served.Body.Bytes(), "", "  "))
	document.WriteByte('\n')
	if *update {
		require.NoError(t, os.WriteFile(documentFile, document.Bytes(), 0o644))
	}
	committed, err := os.ReadFile(documentFile)
	require.NoError(t, err)
	require.Equal(t, string(committed), document.String(), "run go generate ./internal/controllers")
}

func TestTheDocumentDescribesEveryOperationWhole(t *testing.T) {
	s := newServer(t)
	require.Equal(t, "3.1.0", s.openAPI.OpenAPI)
	ids := map[string]bool{}
	s.operations(func(method, _ string, op *huma.Operation) {
		require.NotEmpty(t, op.OperationID)
		require.False(t, ids[op.OperationID], op.OperationID)
		ids[op.OperationID] = true
		require.NotEmpty(t, op.Summary, op.OperationID)
		require.Len(t, op.Tags, 1, op.OperationID)
		require.NotNil(t, op.Security, op.OperationID)
		for _, p := range op.Parameters {
			require.NotEmpty(t, p.Description, "%s %s", op.OperationID, p.Name)
		}
		for status, response := range op.Responses {
			for media, content := range response.Content {
				require.NotNil(t, content.Schema, "%s %s %s", op.OperationID, status, media)
				if status[0] >= '4' && op.OperationID != "get-health" {
					require.Equal(t, "application/problem+json", media, op.OperationID)
					require.Equal(t, "#/components/schemas/Problem", content.Schema.Ref, op.OperationID)
				}
			}
		}
	})
	for _, route := range s.Routes() {
		path := regexp.MustCompile(`:(\w+)`).ReplaceAllString(route.Path, "{$1}")
		if strings.HasPrefix(path, "/docs") || path == "/openapi.json" || strings.Contains(path, "authorize") {
			continue
		}
		require.Contains(t, s.openAPI.Paths, path, "every route is documented")
	}
	for name, schema := range s.openAPI.Components.Schemas.Map() {
		require.NotContains(t, schema.Properties, "$schema", name)
	}
}

// The page must work under a policy that allows no inline script and no other
// origin.
func TestTheDocumentationLoadsNothingFromElsewhere(t *testing.T) {
	s := newServer(t)
	page := s.do(http.MethodGet, "/docs", "", "Authorization", "").is(http.StatusOK)
	policy := page.Header().Get("Content-Security-Policy")
	require.Contains(t, policy, "default-src 'none'")
	require.NotContains(t, policy, "unsafe")
	require.NotContains(t, policy, "http")
	html := page.Body.String()
	require.NotRegexp(t, `<script>|<style|style=|\son\w+=|javascript:`, html)
	files := regexp.MustCompile(`(?:src|href)="([^"]+)"`).FindAllStringSubmatch(html, -1)
	require.Len(t, files, 5)
	for _, file := range files {
		require.True(t, strings.HasPrefix(file[1], "/"), file[1])
		a := s.do(http.MethodGet, file[1], "", "Authorization", "").is(http.StatusOK)
		require.NotEmpty(t, a.Body.Bytes(), file[1])
		require.Equal(t, "nosniff", a.Header().Get("X-Content-Type-Options"))
	}
}

func TestFilesAreSentCompressedToThoseWhoSaySo(t *testing.T) {
	s := newServer(t)
	packed := s.do(http.MethodGet, "/docs/swagger-ui.css", "", "Accept-Encoding", "br, gzip;q=0.8").is(http.StatusOK)
	require.Equal(t, "gzip", packed.Header().Get("Content-Encoding"))
	r, err := gzip.NewReader(packed.Body)
	require.NoError(t, err)
	unpacked, err := io.ReadAll(r)
	require.NoError(t, err)
	for _, accept := range []string{"", "br", "gzip;q=0"} {
		plain := s.do(http.MethodGet, "/docs/swagger-ui.css", "", "Accept-Encoding", accept).is(http.StatusOK)
		require.Empty(t, plain.Header().Get("Content-Encoding"))
		require.Equal(t, "Accept-Encoding", plain.Header().Get("Vary"))
		require.Equal(t, string(unpacked), plain.Body.String())
	}
}
