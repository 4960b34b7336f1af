package client

import (
	"context"
	"net/http"
	"time"
)

// LogLevel is how much one process of the service writes to its log.
type LogLevel struct {
	Node       string     `json:"node"`       // the process that answered: its host and process id
	Level      string     `json:"level"`      // debug, info, warn or error
	Configured string     `json:"configured"` // the level it started with
	Until      *time.Time `json:"until"`      // when it falls back to that; nil where it does not by itself
}

// LogLevel tells how much the process that answers writes to its log.
func (c *Client) LogLevel(ctx context.Context) (*LogLevel, error) {
	l := new(LogLevel)
	if _, err := c.do(ctx, get("get log level", "admin", "log-level"), l); err != nil {
		return nil, err
	}
	return l, nil
}

// SetLogLevel has the process that answers, and no other, write lines down to
// that level: debug, info, warn or error. After lasts, from a second to a day, it
// falls back to its configured level; 0 is for as long as it runs.
func (c *Client) SetLogLevel(ctx context.Context, level string, lasts time.Duration) (*LogLevel, error) {
	body := struct {
		Level string `json:"level"`
		For   string `json:"for,omitempty"`
	}{Level: level}
	if lasts != 0 {
		body.For = lasts.String()
	}
	l := new(LogLevel)
	op := call{name: "set log level", method: http.MethodPut, path: []string{"admin", "log-level"}, body: body}
	if _, err := c.do(ctx, op, l); err != nil {
		return nil, err
	}
	return l, nil
}
