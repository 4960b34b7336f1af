package client

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
)

// Readiness tells whether a process can do its part, and on what that depends.
type Readiness struct {
	Status       Status       `json:"status"`
	Dependencies []Dependency `json:"dependencies"`
}

// Dependency is something a process needs, such as the database.
type Dependency struct {
	Name      string `json:"name"`
	Status    Status `json:"status"`
	LatencyMS int64  `json:"latency_ms"` // how long it took to find out, in milliseconds
}

// Status is how a process or a dependency is.
type Status string

// The statuses of processes and dependencies.
const (
	Up   Status = "ok"
	Down Status = "unavailable"
)

// Ready asks a process how it is; no token is needed. A process that is not ready
// is an answer; an error says that there was none. It is sent once.
func (c *Client) Ready(ctx context.Context) (*Readiness, error) {
	op := call{method: http.MethodGet}
	a, err := c.attempt(ctx, &op, c.base+"/health/ready", nil)
	media, _, _ := strings.Cut(a.header.Get("Content-Type"), ";")
	if err != nil && (a.status != http.StatusServiceUnavailable || media != mediaJSON) {
		return nil, fmt.Errorf("readiness: %w", err)
	}
	r := new(Readiness)
	if err := json.Unmarshal(a.body, r); err != nil || r.Status == "" {
		return nil, fmt.Errorf("readiness: what answers at %s is no Viva service", c.base)
	}
	return r, nil
}
