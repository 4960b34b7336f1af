package httplimit_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/pkg/ratelimit"
	"github.com/viva/rate-limiter/pkg/ratelimit/httplimit"
)

func TestMistakesInAConfigAreNamed(t *testing.T) {
	anything := func(*http.Request, string) ([]ratelimit.Rule, error) { return nil, nil }
	nameless, hourly, monthly := perMinute, perMinute, perMinute
	nameless.Name = ""
	hourly.Window = time.Hour
	day := func(n int) time.Time { return time.Date(2026, 3, n, 0, 0, 0, 0, time.UTC) }
	monthly.Window, monthly.Calendar = 0, &ratelimit.Calendar{
		Name: "day", Previous: ratelimit.Period{Start: day(1), End: day(2)},
		Current: ratelimit.Period{Start: day(2), End: day(3)}, Next: ratelimit.Period{Start: day(3), End: day(4)},
	}
	for _, test := range []struct {
		name   string
		config httplimit.Config
		want   string
	}{
		{"no rules", httplimit.Config{}, "Config.Rules must hold a rule, or Config.RulesFor be set"},
		{"both kinds of rules", httplimit.Config{Rules: rules(perMinute), RulesFor: anything},
			"Config.RulesFor must be nil where Config.Rules is set"},
		{"a rule without a name", httplimit.Config{Rules: rules(perMinute, nameless)},
			"Config.Rules: rule 1: Name must not be empty"},
		{"a rule twice", httplimit.Config{Rules: rules(perMinute, perMinute)},
			"Config.Rules: rule 1: Name must not name the counter of rule 0 again"},
		{"a name twice", httplimit.Config{Rules: rules(perMinute, hourly)},
			"Config.Rules: rule 1: Name must not be that of rule 0"},
		{"a calendar", httplimit.Config{Rules: rules(monthly)},
			"Config.Rules: rule 0: Calendar must be nil"},
		{"too many rules", httplimit.Config{Rules: make([]ratelimit.Rule, ratelimit.MaxRules+1)},
			"Config.Rules: Rules must hold at most 64"},
	} {
		t.Run(test.name, func(t *testing.T) {
			limiter, err := httplimit.New(ratelimit.NewMemory(), test.config)
			require.ErrorContains(t, err, "httplimit: "+test.want)
			require.Nil(t, limiter)
		})
	}

	_, err := httplimit.New(nil, httplimit.Config{})
	require.ErrorContains(t, err, "store must not be nil")
	require.ErrorContains(t, err, "Config.Rules")

	_, err = httplimit.New(ratelimit.NewMemory(), httplimit.Config{Rules: rules(perMinute, shadow(hourly))})
	require.NoError(t, err, "a shadow rule may try another window under the same name")
}

func TestTheConfigIsCopied(t *testing.T) {
	own := rules(perMinute)
	l := limit(t, httplimit.Config{Rules: own})
	own[0].Limit = 100
	require.Equal(t, "2", l.get().Header().Get("X-RateLimit-Limit"))
}
