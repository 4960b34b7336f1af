package controllers

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/gin-gonic/gin"

	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/internal/services/privacy"
	"github.com/viva/rate-limiter/pkg/apierror"
)

const mediaNDJSON = "application/x-ndjson"

// registerPrivacy declares what is told and erased of one key or owner.
func (a *api) registerPrivacy() {
	for _, about := range []struct {
		noun, tag, id string
		export        func(ctx context.Context, id string, line privacy.Line) error
	}{
		{"key", tagKeys, "The key's id", func(ctx context.Context, id string, line privacy.Line) error {
			key, err := KeyPath{id}.id()
			if err != nil {
				return err
			}
			return a.Privacy.ExportKey(ctx, key, line)
		}},
		{"owner", tagOwners, "Id or external id of the owner", a.exportOwner},
	} {
		a.registerExport(&huma.Operation{
			OperationID: "export-" + about.noun, Method: http.MethodGet,
			Path: prefix + "/" + about.noun + "s/{id}/export", Tags: []string{about.tag},
			Summary: "Export everything that is stored about one " + about.noun,
			Description: "One JSON object a line, each with its `kind`: the " + about.noun + " first, then the rows of each table about it, as they are stored. " +
				"Secrets are masked. The last line is `{\"kind\":\"end\",\"lines\":N}`, N being the lines before it: an export without it was cut off. " +
				"It is read in pages: what comes while it runs may be in it or not.",
			Security: bearer(models.ScopeAdmin),
			Parameters: []*huma.Param{{
				Name: "id", In: "path", Required: true, Description: about.id,
				Schema: &huma.Schema{Type: huma.TypeString, MaxLength: length(255)},
			}},
			Responses: exportResponses(),
		}, about.export)
	}
	erasure := func(noun, tag, more string) huma.Operation {
		return huma.Operation{
			OperationID: "erase-personal-data-of-" + noun, Method: http.MethodPost,
			Path: prefix + "/" + noun + "s/{id}/erase-personal-data", Tags: []string{tag},
			Summary: "Erase what is personal of a " + noun,
			Description: "Addresses and user agents of its checks and violations, metadata, and the reason of a suspension; " + more +
				" and what the audit log holds of these. What was counted stays. It cannot be undone, and is safe to repeat.",
			Security: bearer(models.ScopeAdmin), DefaultStatus: http.StatusOK,
		}
	}
	register(a, erasure("key", tagKeys, "of an owner of its own, name and email too;"), a.eraseKeyData)
	register(a, erasure("owner", tagOwners, "name and email; of the keys it holds the same;"), a.eraseOwnerData)
}

func length(n int) *int { return &n }

func (a *api) exportOwner(ctx context.Context, id string, line privacy.Line) error {
	return a.Privacy.ExportOwner(ctx, id, line)
}

// registerExport serves a stream, outside of Huma, which answers a panic in one
// as if it had ended well.
func (a *api) registerExport(op *huma.Operation, export func(ctx context.Context, id string, line privacy.Line) error) {
	path := strings.NewReplacer("{", ":", "}", "").Replace(op.Path)
	a.engine.GET(path, append(accessHandlers(a.Guard, op), func(c *gin.Context) {
		if err := a.inspectParameters(c, op); err != nil {
			fail(c, err)
			return
		}
		if accept := c.Request.Header["Accept"]; len(accept) > 0 && quality(accept, mediaNDJSON) == 0 && quality(accept, mediaJSON) == 0 {
			fail(c, apierror.New(apierror.CodeNotAcceptable, "The answer comes as "+mediaNDJSON,
				apierror.Field{In: apierror.Header, Name: "Accept", Detail: "must allow " + mediaNDJSON}))
			return
		}
		s := lineStream{c: c}
		err := export(c.Request.Context(), c.Param("id"), s.line)
		if err == nil {
			err = s.end()
		}
		if err != nil {
			fail(c, err) // a problem where nothing was sent, and else for the log: the last line is missing
		}
	})...)
	a.huma.OpenAPI().AddOperation(op)
}

const (
	// lineBytes is how much of a stream gathers before it is sent.
	lineBytes = 32 << 10
	// lineTimeout is how long the client may take for that much, as an export is
	// longer than other answers may take.
	lineTimeout = 30 * time.Second
)

// lineStream writes objects as lines.
type lineStream struct {
	c      *gin.Context
	buffer bytes.Buffer
	lines  int64
}

// line adds an object, its kind as its first member.
func (s *lineStream) line(kind string, object any) error {
	data, err := encodeJSON(object)
	if err != nil {
		return fmt.Errorf("export of %s: %w", kind, err)
	}
	data = bytes.TrimSpace(data)
	s.lines++
	fmt.Fprintf(&s.buffer, `{"kind":%q`, kind)
	if len(data) > len("{}") {
		s.buffer.WriteByte(',')
	}
	s.buffer.Write(data[1:])
	s.buffer.WriteByte('\n')
	if s.buffer.Len() < lineBytes {
		return nil
	}
	return s.flush()
}

func (s *lineStream) end() error {
	fmt.Fprintf(&s.buffer, "{\"kind\":\"end\",\"lines\":%d}\n", s.lines)
	return s.flush()
}

func (s *lineStream) flush() error {
	h := s.c.Writer.Header()
	h.Set("Content-Type", mediaNDJSON)
	h.Set("Cache-Control", "no-store")
	// Where the server sets no deadlines there is none to move.
	_ = http.NewResponseController(s.c.Writer).SetWriteDeadline(time.Now().Add(lineTimeout))
	s.c.Status(http.StatusOK)
	_, err := s.c.Writer.Write(s.buffer.Bytes())
	s.buffer.Reset()
	s.c.Writer.Flush()
	return err
}

type erasureOutput struct{ Body erasureBody }

// erasureBody counts what was emptied.
type erasureBody struct {
	Logs       int64 `json:"logs" doc:"Rows of checks and reports that were emptied"`
	Violations int64 `json:"violations" doc:"Violations that were emptied"`
	AuditLogs  int64 `json:"audit_logs" doc:"Entries of the audit log that were emptied"`
}

func (a *api) eraseKeyData(ctx context.Context, in *KeyPath) (*erasureOutput, error) {
	id, err := in.id()
	if err != nil {
		return nil, err
	}
	return erased(a.Privacy.EraseKey(ctx, id))
}

func (a *api) eraseOwnerData(ctx context.Context, in *OwnerPath) (*erasureOutput, error) {
	return erased(a.Privacy.EraseOwner(ctx, in.ID))
}

func erased(n models.ErasedRows, err error) (*erasureOutput, error) {
	if err != nil {
		return nil, err
	}
	return &erasureOutput{erasureBody{Logs: n.Logs, Violations: n.Violations, AuditLogs: n.AuditLogs}}, nil
}

func exportResponses() map[string]*huma.Response {
	problem := map[string]*huma.MediaType{apierror.ContentType: {Schema: &huma.Schema{Ref: "#/components/schemas/Problem"}}}
	return map[string]*huma.Response{
		"200": {Description: "The lines", Content: map[string]*huma.MediaType{mediaNDJSON: {Schema: &huma.Schema{
			Type: huma.TypeObject, Description: "One line", Required: []string{"kind"},
			Properties:           map[string]*huma.Schema{"kind": {Type: huma.TypeString, Description: "What the line is: key, owner, the name of a table, or end"}},
			AdditionalProperties: true,
		}}}},
		"404":     {Description: "There is none", Content: problem},
		"default": {Description: "The export was refused or failed", Content: problem},
	}
}
