package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/viva/rate-limiter/pkg/apierror"
)

// mediaNDJSON is one JSON object a line.
const mediaNDJSON = "application/x-ndjson"

// ErrCutOff says that an export ended before its last line.
var ErrCutOff = errors.New("the export was cut off")

// Erased counts the rows that an erasure has emptied.
type Erased struct {
	Logs       int64 `json:"logs"`
	Violations int64 `json:"violations"`
	AuditLogs  int64 `json:"audit_logs"`
}

// ExportKey reads everything that is stored about a key, one JSON object a
// line, each with its kind. Reading fails with [ErrCutOff] where the end is
// missing. It takes as long as ctx allows; close what it returns.
func (c *Client) ExportKey(ctx context.Context, id string) (io.ReadCloser, error) {
	return c.export(ctx, "export key", "keys", id, "export")
}

// ExportOwner reads everything that is stored about an owner, by id or external
// id, and the keys it holds, like [Client.ExportKey].
func (c *Client) ExportOwner(ctx context.Context, ref string) (io.ReadCloser, error) {
	return c.export(ctx, "export owner", "owners", ref, "export")
}

// EraseKeyData empties what is personal of a key, for ever. What was counted
// stays.
func (c *Client) EraseKeyData(ctx context.Context, id string) (*Erased, error) {
	return eraseData(ctx, c, "erase personal data of key", "keys", id)
}

// EraseOwnerData empties what is personal of an owner, by id or external id, and
// of the keys it holds.
func (c *Client) EraseOwnerData(ctx context.Context, ref string) (*Erased, error) {
	return eraseData(ctx, c, "erase personal data of owner", "owners", ref)
}

func eraseData(ctx context.Context, c *Client, name, collection, ref string) (*Erased, error) {
	var e Erased
	if _, err := c.do(ctx, post(name, nil, collection, ref, "erase-personal-data"), &e); err != nil {
		return nil, err
	}
	return &e, nil
}

func (c *Client) export(ctx context.Context, name string, path ...string) (io.ReadCloser, error) {
	op := get(name, path...)
	body, err := c.stream(ctx, &op)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return &exported{ReadCloser: body}, nil
}

// stream makes a call whose answer may be longer than memory, once and without
// the timeout of other calls.
func (c *Client) stream(ctx context.Context, op *call) (io.ReadCloser, error) {
	target, err := c.url(op)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, op.method, target, http.NoBody)
	if err != nil {
		return nil, err
	}
	c.setHeaders(req.Header, op)
	req.Header.Set("Accept", mediaNDJSON)
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode == http.StatusOK {
		return resp.Body, nil
	}
	defer resp.Body.Close()
	a := answer{status: resp.StatusCode, header: resp.Header}
	if a.body, err = io.ReadAll(io.LimitReader(resp.Body, maxProblem)); err != nil {
		a.body = nil // its status is enough
	}
	if e := a.problem(); e != nil {
		return nil, e
	}
	return nil, apierror.CodeInternal
}

// exported is the lines of an export, whose end is checked.
type exported struct {
	io.ReadCloser
	lines int64
	last  []byte // the line that is being read, as far as it may be the end
	whole bool   // the line before was the end
}

// maxEndLine is longer than the last line of any export.
const maxEndLine = 64

func (e *exported) Read(p []byte) (int, error) {
	n, err := e.ReadCloser.Read(p)
	for rest := p[:n]; len(rest) > 0; {
		line, after, ended := bytes.Cut(rest, []byte("\n"))
		e.last = append(e.last, line[:min(len(line), maxEndLine+1-len(e.last))]...)
		if ended {
			e.whole = e.ends()
			e.lines, e.last = e.lines+1, e.last[:0]
		}
		rest = after
	}
	if errors.Is(err, io.EOF) && (!e.whole || len(e.last) > 0) {
		err = ErrCutOff
	}
	return n, err
}

// ends tells whether the line is the end of what was read before it.
func (e *exported) ends() bool {
	var end struct {
		Kind  string `json:"kind"`
		Lines *int64 `json:"lines"`
	}
	return len(e.last) <= maxEndLine && json.Unmarshal(e.last, &end) == nil && end.Kind == "end" &&
		end.Lines != nil && *end.Lines == e.lines
}
