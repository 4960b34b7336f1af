package models_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/pkg/apierror"
	"github.com/viva/rate-limiter/pkg/ratelimit"
)

// limit is a rule that is right, but for what a test changes of it.
func limit(change func(r *models.Rule)) models.Rule {
	r := models.Rule{Name: "per-minute", Limit: 100, Window: time.Minute, Scope: models.ScopeKey}
	change(&r)
	return r
}

func quota(change func(r *models.Rule)) models.Rule {
	r := models.Rule{
		Name: "monthly", Limit: 10_000, Period: models.PeriodMonth,
		Algorithm: ratelimit.FixedWindow, Scope: models.ScopeOwner, Overage: models.OverageBlock,
	}
	change(&r)
	return r
}

func bucket(change func(r *models.Rule)) models.Rule {
	r := limit(func(r *models.Rule) { r.Algorithm, r.Burst = ratelimit.GCRA, 20 })
	change(&r)
	return r
}

func TestRuleBounds(t *testing.T) {
	tests := []struct {
		name string
		rule models.Rule
		bad  []string
	}{
		{"a limit", limit(func(*models.Rule) {}), nil},
		{"a quota", quota(func(*models.Rule) {}), nil},
		{"no name", limit(func(r *models.Rule) { r.Name = "" }), []string{"rules[0].name"}},
		{"longest name", limit(func(r *models.Rule) { r.Name = strings.Repeat("x", 64) }), nil},
		{"too long a name", limit(func(r *models.Rule) { r.Name = strings.Repeat("x", 65) }), []string{"rules[0].name"}},
		{"a name with a space", limit(func(r *models.Rule) { r.Name = "per minute" }), []string{"rules[0].name"}},
		{"a name that ends a header", limit(func(r *models.Rule) { r.Name = "a\";r=1" }), []string{"rules[0].name"}},
		{"every letter of a name", limit(func(r *models.Rule) { r.Name = "aZ09._-" }), nil},
		{"no scope", limit(func(r *models.Rule) { r.Scope = "" }), []string{"rules[0].scope"}},
		{"another scope", limit(func(r *models.Rule) { r.Scope = "identifier" }), []string{"rules[0].scope"}},

		{"limit 0", limit(func(r *models.Rule) { r.Limit = 0 }), []string{"rules[0].limit"}},
		{"negative limit", limit(func(r *models.Rule) { r.Limit = -1 }), []string{"rules[0].limit"}},
		{"least limit", limit(func(r *models.Rule) { r.Limit = 1 }), nil},
		{"largest sliding limit", limit(func(r *models.Rule) { r.Limit = 1 << 32 }), nil},
		{"too large a sliding limit", limit(func(r *models.Rule) { r.Limit = 1<<32 + 1 }), []string{"rules[0].limit"}},
		{"largest fixed limit", limit(func(r *models.Rule) { r.Limit, r.Algorithm = 1<<53-1, ratelimit.FixedWindow }), nil},
		{"too large a fixed limit", limit(func(r *models.Rule) { r.Limit, r.Algorithm = 1<<53, ratelimit.FixedWindow }), []string{"rules[0].limit"}},
		{"largest quota", quota(func(r *models.Rule) { r.Limit = 1<<53 - 1 }), nil},
		{"too large a quota", quota(func(r *models.Rule) { r.Limit = 1 << 53 }), []string{"rules[0].limit"}},
		{"quota 0", quota(func(r *models.Rule) { r.Limit = 0 }), []string{"rules[0].limit"}},
		{"largest limit of a log", limit(func(r *models.Rule) { r.Limit, r.Algorithm = 10_000, ratelimit.SlidingLog }), nil},
		{
			"too large a limit of a log",
			limit(func(r *models.Rule) { r.Limit, r.Algorithm = 10_001, ratelimit.SlidingLog }), []string{"rules[0].limit"},
		},
		{"largest limit of a bucket", bucket(func(r *models.Rule) { r.Limit, r.Burst = 1<<32, 1<<32 }), nil},
		{"too large a limit of a bucket", bucket(func(r *models.Rule) { r.Limit = 1<<32 + 1 }), []string{"rules[0].limit"}},

		{"a bucket", bucket(func(*models.Rule) {}), nil},
		{"a bucket without a burst", bucket(func(r *models.Rule) { r.Burst = 0 }), nil},
		{"least burst", bucket(func(r *models.Rule) { r.Burst = 1 }), nil},
		{"negative burst", bucket(func(r *models.Rule) { r.Burst = -1 }), []string{"rules[0].burst"}},
		{"largest burst", bucket(func(r *models.Rule) { r.Limit, r.Burst = 1<<32, 1<<32 }), nil},
		{"too large a burst", bucket(func(r *models.Rule) { r.Limit, r.Burst = 1<<32, 1<<32+1 }), []string{"rules[0].burst"}},
		{"a burst that drains in time", bucket(func(r *models.Rule) { r.Limit, r.Burst = 1, 366*24*60 }), nil},
		{"one that drains late", bucket(func(r *models.Rule) { r.Limit, r.Burst = 1, 366*24*60+1 }), []string{"rules[0].burst"}},
		{
			"a burst over the longest window",
			bucket(func(r *models.Rule) { r.Limit, r.Burst, r.Window = 3, 35, 31*24*time.Hour }), nil,
		},
		{
			"too large a burst over the longest window",
			bucket(func(r *models.Rule) { r.Limit, r.Burst, r.Window = 3, 36, 31*24*time.Hour }), []string{"rules[0].burst"},
		},
		{"too long for a bucket", bucket(func(r *models.Rule) { r.Window = 32 * 24 * time.Hour }), []string{"rules[0].window"}},
		{
			"a burst at no rate",
			bucket(func(r *models.Rule) { r.Limit, r.Window = 0, 0 }), []string{"rules[0].window", "rules[0].limit"},
		},
		{"a burst of a window", limit(func(r *models.Rule) { r.Burst = 100 }), []string{"rules[0].burst"}},
		{
			"a burst of a log",
			limit(func(r *models.Rule) { r.Burst, r.Algorithm = 100, ratelimit.SlidingLog }), []string{"rules[0].burst"},
		},
		{"a burst of a quota", quota(func(r *models.Rule) { r.Burst = 100 }), []string{"rules[0].burst"}},
		{
			"a bucket by the month",
			quota(func(r *models.Rule) { r.Algorithm, r.Burst = ratelimit.GCRA, 10 }), []string{"rules[0].algorithm"},
		},
		{
			"a log by the month",
			quota(func(r *models.Rule) { r.Algorithm = ratelimit.SlidingLog }), []string{"rules[0].algorithm"},
		},

		{"neither window nor period", limit(func(r *models.Rule) { r.Window = 0 }), []string{"rules[0].window"}},
		{"negative window", limit(func(r *models.Rule) { r.Window = -time.Minute }), []string{"rules[0].window"}},
		{"shortest window", limit(func(r *models.Rule) { r.Window = 100 * time.Millisecond }), nil},
		{"too short a window", limit(func(r *models.Rule) { r.Window = 100*time.Millisecond - time.Microsecond }), []string{"rules[0].window"}},
		{"whole microseconds", limit(func(r *models.Rule) { r.Window = time.Second + time.Microsecond }), nil},
		{"half a microsecond", limit(func(r *models.Rule) { r.Window = time.Second + 500 }), []string{"rules[0].window"}},
		{"an hour", limit(func(r *models.Rule) { r.Window = time.Hour }), nil},
		{"over an hour in milliseconds", limit(func(r *models.Rule) { r.Window = time.Hour + time.Millisecond }), nil},
		{"over an hour in microseconds", limit(func(r *models.Rule) { r.Window = time.Hour + time.Microsecond }), []string{"rules[0].window"}},
		{"longest sliding window", limit(func(r *models.Rule) { r.Window = 31 * 24 * time.Hour }), nil},
		{"too long a sliding window", limit(func(r *models.Rule) { r.Window = 31*24*time.Hour + time.Millisecond }), []string{"rules[0].window"}},
		{"longest fixed window", limit(func(r *models.Rule) { r.Window, r.Algorithm = 366*24*time.Hour, ratelimit.FixedWindow }), nil},
		{
			"too long a fixed window",
			limit(func(r *models.Rule) { r.Window, r.Algorithm = 366*24*time.Hour+time.Millisecond, ratelimit.FixedWindow }),
			[]string{"rules[0].window"},
		},

		{"window and period", quota(func(r *models.Rule) { r.Window = time.Minute }), []string{"rules[0].window"}},
		{"another period", quota(func(r *models.Rule) { r.Period = "week" }), []string{"rules[0].period"}},
		{"a quota by the day", quota(func(r *models.Rule) { r.Period = models.PeriodDay }), nil},
		{"another algorithm for a quota", quota(func(r *models.Rule) { r.Algorithm = ratelimit.SlidingWindow }), []string{"rules[0].algorithm"}},
		{"overage allowed", quota(func(r *models.Rule) { r.Overage = models.OverageAllow }), nil},
		{"another overage", quota(func(r *models.Rule) { r.Overage = "warn" }), []string{"rules[0].overage"}},
		{"overage of a limit", limit(func(r *models.Rule) { r.Overage = models.OverageAllow }), []string{"rules[0].overage"}},

		{"a method", limit(func(r *models.Rule) { r.Methods = []string{"GET", "PROPFIND"} }), nil},
		{"no method", limit(func(r *models.Rule) { r.Methods = []string{"GET", ""} }), []string{"rules[0].methods[1]"}},
		{"a method in lower case", limit(func(r *models.Rule) { r.Methods = []string{"get"} }), []string{"rules[0].methods[0]"}},
		{"too long a method", limit(func(r *models.Rule) { r.Methods = []string{strings.Repeat("A", 17)} }), []string{"rules[0].methods[0]"}},
		{"most methods", limit(func(r *models.Rule) { r.Methods = repeat(16, func(int) string { return "GET" }) }), nil},
		{"too many methods", limit(func(r *models.Rule) { r.Methods = repeat(17, func(int) string { return "GET" }) }), []string{"rules[0].methods"}},
		{"globs", limit(func(r *models.Rule) { r.Endpoints = []string{"/v1/*", "/v1/**", "**/x?", "/[a-z]/é"} }), nil},
		{"an empty glob", limit(func(r *models.Rule) { r.Endpoints = []string{""} }), []string{"rules[0].endpoints[0]"}},
		{"a broken glob", limit(func(r *models.Rule) { r.Endpoints = []string{"/ok", "/[a"} }), []string{"rules[0].endpoints[1]"}},
		{"too long a glob", limit(func(r *models.Rule) { r.Endpoints = []string{strings.Repeat("é", 257)} }), []string{"rules[0].endpoints[0]"}},
		{"longest glob", limit(func(r *models.Rule) { r.Endpoints = []string{strings.Repeat("é", 256)} }), nil},
		{"alternatives", limit(func(r *models.Rule) { r.Endpoints = []string{"/{a,b}"} }), []string{"rules[0].endpoints[0]"}},
		{"alternatives that escape", limit(func(r *models.Rule) { r.Endpoints = []string{`/\{a`} }), []string{"rules[0].endpoints[0]"}},
		{"too many globs", limit(func(r *models.Rule) { r.Endpoints = repeat(33, func(int) string { return "/" }) }), []string{"rules[0].endpoints"}},

		{
			"all that is wrong at once",
			limit(func(r *models.Rule) { *r = models.Rule{Overage: "x", Methods: []string{"1"}} }),
			[]string{"rules[0].name", "rules[0].scope", "rules[0].overage", "rules[0].window", "rules[0].limit", "rules[0].methods[0]"},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			require.Equal(t, test.bad, bad(t, func(v *apierror.Validator) {
				models.ValidateRules(v, []models.Rule{test.rule}, models.ScopeKey, models.ScopeOwner)
			}))
		})
	}
}

func TestRuleSetBounds(t *testing.T) {
	validate := func(rules []models.Rule) []string {
		return bad(t, func(v *apierror.Validator) { models.ValidateRules(v, rules, models.ScopeKey) })
	}
	named := func(i int) models.Rule { return limit(func(r *models.Rule) { r.Name = fmt.Sprint("r", i) }) }
	require.Empty(t, validate(nil))
	require.Empty(t, validate(repeat(models.MaxRules, named)))
	require.Equal(t, []string{"rules"}, validate(repeat(models.MaxRules+1, named)))
	require.Equal(t, []string{"rules[2].name"}, validate([]models.Rule{named(0), named(1), named(0)}))
	require.Equal(t, []string{"rules[1].scope"}, validate([]models.Rule{named(0), quota(func(*models.Rule) {})}),
		"a key's rules do not count its owner")
}

func TestRulesOfPlanOwnerAndKeyFitIntoOneTake(t *testing.T) {
	require.LessOrEqual(t, 3*models.MaxRules, ratelimit.MaxRules)
}

func TestRuleBoundsAreThoseOfTheLimitStore(t *testing.T) {
	require.Equal(t, ratelimit.MaxSlidingLimit, models.MaxSlidingLimit)
	require.Equal(t, ratelimit.MaxFixedLimit, models.MaxFixedLimit)
	require.Equal(t, ratelimit.MinWindow, models.MinWindow)
	require.Equal(t, ratelimit.MaxSliding, models.MaxSlidingWindow)
	require.Equal(t, ratelimit.MaxFixed, models.MaxFixedWindow)
	require.Equal(t, ratelimit.MaxLogLimit, models.MaxLogLimit)
	require.Equal(t, ratelimit.MaxDrain, models.MaxDrain)
}

// What is valid here, the limit store takes, and nothing else.
func TestTheLimitStoreTakesEveryValidRule(t *testing.T) {
	number := func(name string, bounds ...int64) *rapid.Generator[int64] {
		return rapid.Custom(func(t *rapid.T) int64 {
			near := rapid.SampledFrom(bounds).Draw(t, name) + rapid.Int64Range(-1, 1).Draw(t, "off")
			return rapid.SampledFrom([]int64{near, rapid.Int64Range(0, models.MaxFixedLimit).Draw(t, "any")}).Draw(t, "which")
		})
	}
	units := number("units", 0, 10, models.MaxLogLimit, 366*24*60, models.MaxSlidingLimit, models.MaxFixedLimit)
	window := number("window", int64(models.MinWindow), int64(time.Minute),
		int64(models.MaxSlidingWindow), int64(models.MaxFixedWindow))
	rapid.Check(t, func(t *rapid.T) {
		r := models.Rule{
			Name: "r", Limit: units.Draw(t, "limit"), Window: time.Duration(window.Draw(t, "window")), Scope: models.ScopeKey,
			Algorithm: rapid.SampledFrom(algorithms).Draw(t, "algorithm"),
		}
		if rapid.Bool().Draw(t, "bursts") {
			r.Burst = units.Draw(t, "burst")
		}
		r.Normalize(models.ScopeKey)
		var v apierror.Validator
		models.ValidateRules(&v, []models.Rule{r}, models.ScopeKey)
		var compiled models.CompiledRule
		compiled.Compile(r, "key-1", time.UTC, 1)
		req := ratelimit.Request{Group: "g", Rules: []ratelimit.Rule{compiled.LimitAt(noon)}}
		require.Equal(t, req.Validate() == nil, v.Err() == nil, "%+v", r)
	})
}

var algorithms = []ratelimit.Algorithm{
	ratelimit.SlidingWindow, ratelimit.FixedWindow, ratelimit.GCRA, ratelimit.SlidingLog,
}

func TestABurstThatDrainsTooLateIsToldTheLargestThatDoesNot(t *testing.T) {
	var v apierror.Validator
	models.ValidateRules(&v, []models.Rule{
		bucket(func(r *models.Rule) { r.Limit, r.Burst, r.Window = 3, 36, models.MaxSlidingWindow }),
	}, models.ScopeKey)
	e, ok := apierror.As(v.Err())
	require.True(t, ok)
	require.Equal(t, []apierror.Field{
		{In: apierror.Body, Name: "rules[0].burst", Detail: "must be from 1 to 35, and drain within 366 days"},
	}, e.Fields)
}

func TestNormalizeRuleFillsWhatWasLeftOut(t *testing.T) {
	r := models.Rule{Name: "a", Limit: 1, Window: time.Minute, Methods: []string{"get", "Post"}}
	r.Normalize(models.ScopeOwner)
	require.Equal(t, models.Rule{
		Name: "a", Limit: 1, Window: time.Minute, Scope: models.ScopeOwner,
		Algorithm: ratelimit.SlidingWindow, Methods: []string{"GET", "POST"},
	}, r)

	r = models.Rule{Name: "b", Limit: 1, Period: models.PeriodDay, Scope: models.ScopeKey, Overage: models.OverageAllow}
	r.Normalize(models.ScopeOwner)
	require.Equal(t, models.Rule{
		Name: "b", Limit: 1, Period: models.PeriodDay, Scope: models.ScopeKey,
		Algorithm: ratelimit.FixedWindow, Overage: models.OverageAllow,
	}, r, "what was given stays")

	r = models.Rule{Limit: 7, Algorithm: ratelimit.GCRA}
	require.EqualValues(t, 7, r.Capacity())
	r.Normalize(models.ScopeOwner)
	require.EqualValues(t, 7, r.Burst)
	r.Burst = 9
	r.Normalize(models.ScopeOwner)
	require.EqualValues(t, 9, r.Burst)
	require.EqualValues(t, 9, r.Capacity())
	for _, bad := range []int64{-1, 0, models.MaxSlidingLimit + 1} {
		r = models.Rule{Limit: bad, Algorithm: ratelimit.GCRA}
		r.Normalize(models.ScopeOwner)
		require.Zero(t, r.Burst, "what is wrong with the limit is said of the limit")
	}

	r = models.Rule{Period: models.PeriodDay}
	r.Normalize(models.ScopeOwner)
	require.Equal(t, models.OverageBlock, r.Overage)
}

func TestRuleMatches(t *testing.T) {
	tests := []struct {
		methods, endpoints []string
		method, endpoint   string
		want               bool
	}{
		{nil, nil, "", "", true},
		{nil, nil, "GET", "/v1", true},
		{[]string{"GET", "PUT"}, nil, "PUT", "", true},
		{[]string{"GET"}, nil, "POST", "/", false},
		{[]string{"GET"}, nil, "", "/", false},
		{nil, []string{"/v1/*"}, "GET", "/v1/users", true},
		{nil, []string{"/v1/*"}, "GET", "/v1/users/7", false},
		{nil, []string{"/v1/**"}, "GET", "/v1/users/7", true},
		{nil, []string{"/v1/**"}, "GET", "/v1", true},
		{nil, []string{"/v1/**"}, "GET", "/v10", false},
		{nil, []string{"/v1/*"}, "GET", "", false},
		{nil, []string{"/a", "/b"}, "GET", "/b", true},
		{nil, []string{"/V1"}, "GET", "/v1", false},
		{[]string{"GET"}, []string{"/a"}, "POST", "/a", false},
		{[]string{"GET"}, []string{"/a"}, "GET", "/b", false},
		{[]string{"GET"}, []string{"/a"}, "GET", "/a", true},
	}
	for _, test := range tests {
		r := models.Rule{Methods: test.methods, Endpoints: test.endpoints}
		require.Equal(t, test.want, r.Matches(test.method, test.endpoint), "%+v", test)
	}
}

func TestMergeRulesOverridesByName(t *testing.T) {
	rule := func(name string, limit int64) models.Rule { return models.Rule{Name: name, Limit: limit} }
	plan := []models.Rule{rule("a", 1), rule("b", 1)}
	merged := models.MergeRules(plan, []models.Rule{rule("b", 2), rule("c", 2)}, []models.Rule{rule("a", 3), rule("c", 3), rule("d", 3)})
	require.Equal(t, []models.Rule{rule("a", 3), rule("b", 2), rule("c", 3), rule("d", 3)}, merged)
	require.Equal(t, rule("b", 1), plan[1], "the plan stays as it is")
	require.Empty(t, models.MergeRules(nil, nil, nil))
}

func TestStoredRule(t *testing.T) {
	data, err := json.Marshal(limit(func(r *models.Rule) { r.Window = 90 * time.Second }))
	require.NoError(t, err)
	require.JSONEq(t, `{"name":"per-minute","limit":100,"window":"1m30s","algorithm":"sliding_window","scope":"key"}`, string(data))
	data, err = json.Marshal(quota(func(r *models.Rule) { r.Shadow, r.Methods = true, []string{"GET"} }))
	require.NoError(t, err)
	require.JSONEq(t, `{"name":"monthly","limit":10000,"period":"month","algorithm":"fixed_window","scope":"owner",
		"overage":"block","methods":["GET"],"shadow":true}`, string(data))
	data, err = json.Marshal(bucket(func(*models.Rule) {}))
	require.NoError(t, err)
	require.JSONEq(t, `{"name":"per-minute","limit":100,"window":"1m0s","algorithm":"gcra","burst":20,"scope":"key"}`,
		string(data))

	for _, bad := range []string{
		`{`, `[]`, `{"name":"a","limit":1.5,"algorithm":"fixed_window"}`, `{"name":"a","algorithm":"leaky"}`, `{"name":"a"}`,
		`{"name":"a","algorithm":"fixed_window","window":"soon"}`, `{"name":"a","algorithm":"fixed_window","window":5}`,
	} {
		require.Error(t, json.Unmarshal([]byte(bad), new(models.Rule)), bad)
	}
}

func TestStoredRuleComesBackTheSame(t *testing.T) {
	word := rapid.StringMatching(`[a-z/*]{1,8}`)
	some := rapid.Custom(func(t *rapid.T) []string {
		if rapid.Bool().Draw(t, "none") {
			return nil
		}
		return rapid.SliceOfN(word, 1, 4).Draw(t, "words")
	})
	rapid.Check(t, func(t *rapid.T) {
		want := models.Rule{
			Name:      word.Draw(t, "name"),
			Limit:     rapid.Int64Range(1, models.MaxFixedLimit).Draw(t, "limit"),
			Window:    time.Duration(rapid.Int64Range(0, int64(models.MaxFixedWindow)).Draw(t, "window")),
			Period:    rapid.SampledFrom([]models.PeriodKind{"", models.PeriodDay, models.PeriodMonth}).Draw(t, "period"),
			Algorithm: rapid.SampledFrom(algorithms).Draw(t, "algorithm"),
			Burst:     rapid.Int64Range(0, models.MaxSlidingLimit).Draw(t, "burst"),
			Scope:     rapid.SampledFrom([]models.Scope{models.ScopeKey, models.ScopeOwner}).Draw(t, "scope"),
			Overage:   rapid.SampledFrom([]models.Overage{"", models.OverageBlock, models.OverageAllow}).Draw(t, "overage"),
			Methods:   some.Draw(t, "methods"),
			Endpoints: some.Draw(t, "endpoints"),
			Shadow:    rapid.Bool().Draw(t, "shadow"),
		}
		data, err := json.Marshal(want)
		require.NoError(t, err)
		var got models.Rule
		require.NoError(t, json.Unmarshal(data, &got))
		require.Equal(t, want, got)
	})
}

// A bad glob must not make a check slow: its time is bounded by the product of
// the lengths, which a second leaves far behind.
func TestGlobsMatchInBoundedTime(t *testing.T) {
	globs := []string{
		strings.Repeat("*a", 127) + "b", strings.Repeat("**/", 85) + "b", strings.Repeat("**/*a", 51),
		strings.Repeat("[!b]*", 51), strings.Repeat("?*", 127) + "b",
	}
	names := []string{strings.Repeat("a", 2047) + "c", strings.Repeat("a/", 1023) + "c", strings.Repeat("/", 2048)}
	require.Empty(t, bad(t, func(v *apierror.Validator) { models.ValidateMatch(v, nil, globs) }))
	began := time.Now()
	for _, glob := range globs {
		for _, name := range names {
			r := models.Rule{Endpoints: []string{glob}}
			r.Matches("", name)
		}
	}
	require.Less(t, time.Since(began), time.Second)
}
