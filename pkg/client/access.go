package client

import (
	"context"
	"time"
)

// Token is an access token, without its secret.
type Token struct {
	ID        string     `json:"id"`
	Name      string     `json:"name"`
	Mask      string     `json:"mask"`
	Scopes    []string   `json:"scopes"`     // such as keys:read
	ExpiresAt *time.Time `json:"expires_at"` // nil never
	RevokedAt *time.Time `json:"revoked_at"`
	CreatedAt time.Time  `json:"created_at"`
}

// Whoami tells what the presented token may do.
func (c *Client) Whoami(ctx context.Context) (*Token, error) {
	t := new(Token)
	if _, err := c.do(ctx, get("whoami", "whoami"), t); err != nil {
		return nil, err
	}
	return t, nil
}
