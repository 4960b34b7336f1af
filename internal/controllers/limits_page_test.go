package controllers_test

import (
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The rules that docs/limits.md shows are taken, and answered as it says.
func TestTheLimitsPageIsRight(t *testing.T) {
	text, err := os.ReadFile("../../docs/limits.md")
	require.NoError(t, err)
	page := string(text)
	blocks := regexp.MustCompile("(?s)```json\n(.*?)\n```").FindAllStringSubmatch(page, -1)
	require.Len(t, blocks, 3)
	rules := make([]string, len(blocks))
	for i, block := range blocks {
		rules[i] = block[1]
	}
	s := newServer(t)
	s.newKey(`"rules":[` + strings.Join(rules, ",") + `]`)

	answer := s.do(http.MethodPost, "/api/v1/limits/check", `{"namespace":"page","identifier":"reader","rules":[`+rules[1]+`]}`).is(http.StatusOK)
	limits := regexp.MustCompile(`"limits":\[[^]]*\]`).FindString(answer.Body.String())
	require.Contains(t, page, "\n"+limits+"\n")
	headers := answer.object()["headers"].(map[string]any)
	for _, name := range []string{"RateLimit-Policy", "RateLimit", "X-RateLimit-Limit", "X-RateLimit-Remaining"} {
		require.Contains(t, page, "\n"+name+": "+headers[name].(string)+"\n")
	}
}
