// Package client calls a Viva service: it makes and changes keys, owners, plans
// and keyspaces, and asks whether calls may be made.
//
// A [Client] groups its operations by what they are about:
//
//	viva, err := client.New("http://127.0.0.1:8080", client.WithHeaderFile("data/admin.header"))
//	created, err := viva.Keys.Create(ctx, client.NewKey{Name: "Checkout"})
//	answer, err := viva.Validate(ctx, client.Check{APIKey: created.Secret})
//
// What the service refuses is an [*apierror.Error] in the chain of the error;
// branch on its code with errors.Is:
//
//	if errors.Is(err, apierror.CodeNotFound) { … }
//
// A refused check is an answer and no error.
//
// Calls that are safe to repeat are repeated when the service is busy or out of
// reach; create calls carry an Idempotency-Key that makes them so. Changes of
// an object and checks without a CheckID are sent at most once.
//
// Floor F1. It may import pkg/apierror, pkg/apikey and the standard library.
package client

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Client calls one service. It is safe for concurrent use.
type Client struct {
	Keys      Keys
	Keyspaces Keyspaces
	Owners    Owners
	Plans     Plans
	Queues    Queues

	Destinations Destinations
	Deliveries   Deliveries

	Alerts             Alerts
	AlertRules         AlertRules
	MaintenanceWindows MaintenanceWindows

	base          string // without a slash at its end
	http          *http.Client
	authorization func() string // a function, so that a printed Client shows no token
	agent         string
	timeout       time.Duration
	retries       int
}

// Defaults of the options.
const (
	DefaultTimeout = 30 * time.Second
	DefaultRetries = 3
)

// apiPath is where the first version of the API lives.
const apiPath = "/api/v1"

// New makes a client of the service at baseURL, which is http or https, with
// or without /api/v1 at its end. It sends nothing.
func New(baseURL string, opts ...Option) (*Client, error) {
	base, err := parseBase(baseURL)
	if err != nil {
		return nil, err
	}
	c := &Client{
		base: base, http: &http.Client{Transport: newTransport()}, agent: "viva-go",
		timeout: DefaultTimeout, retries: DefaultRetries,
	}
	for _, opt := range opts {
		if err := opt(c); err != nil {
			return nil, err
		}
	}
	// The API redirects nothing: following would send the token to a place that
	// was not asked for.
	c.http.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	c.Keys, c.Keyspaces, c.Owners, c.Plans = Keys{c}, Keyspaces{c}, Owners{c}, Plans{c}
	c.Queues = Queues{c}
	c.Destinations, c.Deliveries = Destinations{c}, Deliveries{c}
	c.Alerts, c.AlertRules, c.MaintenanceWindows = Alerts{c}, AlertRules{c}, MaintenanceWindows{c}
	return c, nil
}

// CloseIdleConnections closes connections that no call is using.
func (c *Client) CloseIdleConnections() { c.http.CloseIdleConnections() }

// parseBase errors do not repeat the URL: it may hold a password.
func parseBase(baseURL string) (string, error) {
	u, err := url.Parse(baseURL)
	switch {
	case err != nil:
		return "", errors.New("the server's URL is not well-formed")
	case u.Scheme != "http" && u.Scheme != "https", u.Host == "":
		return "", errors.New("the server's URL must begin with http:// or https:// and name a host")
	case u.User != nil:
		return "", errors.New("the server's URL must not hold a user or password")
	case u.RawQuery != "" || u.Fragment != "":
		return "", errors.New("the server's URL must not hold a query or fragment")
	}
	path := strings.TrimSuffix(strings.TrimRight(u.EscapedPath(), "/"), apiPath)
	return fmt.Sprintf("%s://%s%s", u.Scheme, u.Host, path), nil
}

// newTransport keeps more connections to the one host than the default of two:
// a backend checks many calls at once.
func newTransport() http.RoundTripper {
	standard, ok := http.DefaultTransport.(*http.Transport)
	if !ok {
		return http.DefaultTransport
	}
	t := standard.Clone()
	t.MaxIdleConnsPerHost = t.MaxIdleConns
	return t
}
