package httplimit

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"

	"github.com/viva/rate-limiter/pkg/ratelimit"
)

// Config says what a Limiter does. Rules or RulesFor must be set; the zero
// value of everything else is a safe choice. All functions must be safe for
// concurrent use.
type Config struct {
	// Rules apply to every key alike. The ID of a rule may be left empty: it is
	// then the key. Limiters with one store share a counter where Scope, Name,
	// Algorithm and Window of their rules are the same, and have counters of
	// their own where one of these differs.
	Rules []ratelimit.Rule

	// RulesFor returns the rules of a request, where they depend on it: on the
	// plan of the caller, or on the route. If there are none the request is
	// admitted, the store is not asked, and the Decision says no more than that.
	// The slice may be the same for many requests if it is never changed.
	RulesFor func(r *http.Request, key string) ([]ratelimit.Rule, error)

	// Key tells who is asking, and is the Group of the request to the store: a
	// Reset of that group, and of rules with their ID filled in, forgets what
	// the key has spent. The default is ByIP.
	Key KeyFunc

	// Skip lets a request through unlimited and unobserved, such as a health
	// check.
	Skip func(r *http.Request) bool

	// Cost tells how many units a request spends, 1 by default. One of 0 looks
	// without spending. What is below 0 or above ratelimit.MaxCost is an error:
	// mind Request.ContentLength, which is -1 where the length is not known.
	Cost func(r *http.Request) (int64, error)

	// FailOpen lets requests through that the store fails to decide. The default
	// refuses them.
	FailOpen bool

	// Refuse answers a request that does not go on to the handler. The default
	// is Outcome.WriteProblem.
	Refuse func(w http.ResponseWriter, r *http.Request, o *Outcome)

	// Observe hears of every outcome, before it is answered: for metrics and
	// logs. The default writes to the default slog.Logger what failed on this
	// side, which is every Outcome.Err that is neither ErrUnidentified nor due
	// to the request's context.
	Observe func(r *http.Request, o *Outcome)

	OmitRateLimit  bool // leave out RateLimit and RateLimit-Policy
	OmitXRateLimit bool // leave out X-RateLimit-Limit, -Remaining and -Reset
}

// A Limiter decides requests by a Config. It is safe for concurrent use.
type Limiter struct {
	store  ratelimit.Store
	config Config
}

// New returns a Limiter that counts in store. Its error names what is wrong: the
// field of config, and of which rule.
func New(store ratelimit.Store, config Config) (*Limiter, error) {
	err := config.validateRules()
	if store == nil {
		err = errors.Join(errors.New("store must not be nil"), err)
	}
	if err != nil {
		return nil, fmt.Errorf("httplimit: %w", err)
	}
	config.Rules = slices.Clone(config.Rules)
	if config.Key == nil {
		config.Key = ByIP
	}
	if config.Refuse == nil {
		config.Refuse = func(w http.ResponseWriter, _ *http.Request, o *Outcome) { o.WriteProblem(w) }
	}
	if config.Observe == nil {
		config.Observe = logFailure
	}
	return &Limiter{store, config}, nil
}

// Wrap returns a handler that passes to next what is admitted, with the
// ResponseWriter it got itself.
func (l *Limiter) Wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if l.Admit(w, r) {
			next.ServeHTTP(w, r)
		}
	})
}

// Admit decides one request, sets the headers and tells whether it goes on. If
// not, it has been answered. It is for routers that Wrap does not fit.
func (l *Limiter) Admit(w http.ResponseWriter, r *http.Request) bool {
	if l.config.Skip != nil && l.config.Skip(r) {
		return true
	}
	t := taken.Get().(*take)
	l.decide(r, t)
	if o := &t.outcome; o.Decision != nil {
		setHeaders(w.Header(), o.Decision, !l.config.OmitRateLimit, !l.config.OmitXRateLimit)
	}
	l.config.Observe(r, &t.outcome)
	admitted := t.outcome.Admitted
	if !admitted {
		l.config.Refuse(w, r, &t.outcome)
	}
	// Before the handler, which may take long. After a panic it is garbage.
	t.release()
	return admitted
}

func (c *Config) validateRules() error {
	switch {
	case c.RulesFor != nil && len(c.Rules) > 0:
		return errors.New("Config.RulesFor must be nil where Config.Rules is set")
	case c.RulesFor != nil:
		return nil
	case len(c.Rules) == 0:
		return errors.New("Config.Rules must hold a rule, or Config.RulesFor be set")
	}
	example := ratelimit.Request{Group: "key", Rules: fill(nil, c.Rules, "key")}
	if err := example.Validate(); err != nil {
		return fmt.Errorf("Config.Rules: %w", err)
	}
	for i := range c.Rules {
		rule := &c.Rules[i]
		if rule.Calendar != nil {
			return fmt.Errorf("Config.Rules: rule %d: Calendar must be nil: its periods pass, and need RulesFor", i)
		}
		for j := range i {
			if earlier := &c.Rules[j]; earlier.Name == rule.Name && !earlier.Shadow && !rule.Shadow {
				return fmt.Errorf("Config.Rules: rule %d: Name must not be that of rule %d: clients tell rules apart by it", i, j)
			}
		}
	}
	return nil
}

func logFailure(r *http.Request, o *Outcome) {
	if o.Err != nil && !errors.Is(o.Err, ErrUnidentified) && r.Context().Err() == nil {
		slog.ErrorContext(r.Context(), "rate limit not decided", "error", o.Err, "admitted", o.Admitted)
	}
}
