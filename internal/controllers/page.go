package controllers

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/url"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/pkg/apierror"
)

// PageQuery are the parameters of every list. Lists add their own sorts and
// filters.
type PageQuery struct {
	Limit  int    `query:"limit" minimum:"1" maximum:"1000" default:"50" doc:"The most rows to answer"`
	Cursor string `query:"cursor" maxLength:"1024" doc:"The next_cursor of the page before; the other parameters must be the same"`

	list  string // what the cursor belongs to: the operation with its sort and filters
	url   url.URL
	after *models.Position
}

// Resolve reads the cursor.
func (q *PageQuery) Resolve(ctx huma.Context) []error {
	q.url = ctx.URL()
	query := q.url.Query()
	query.Del("limit")
	query.Del("cursor")
	q.list = ctx.Operation().OperationID + " " + q.url.Path + "?" + query.Encode()
	if q.Cursor == "" {
		return nil
	}
	after, ok := parseCursor(q.list, q.Cursor)
	if !ok {
		return []error{apierror.Invalid(apierror.Field{
			In: apierror.Query, Name: "cursor", Detail: "must be the next_cursor of this list, with the same sort and filters",
		})}
	}
	q.after = &after
	return nil
}

// page asks for one row more than the caller wants: whether it comes tells
// whether there is a next page.
func (q *PageQuery) page(sort string) models.Page {
	return models.Page{Limit: q.Limit + 1, Sort: sort, After: q.after}
}

// listOutput answers a list.
type listOutput[T any] struct {
	Link string `header:"Link" doc:"Where the next page is, as rel=next"`
	Body list[T]
}

type list[T any] struct {
	Data       []T     `json:"data" doc:"One page of the list"`
	NextCursor *string `json:"next_cursor" doc:"Asks for the next page; null on the last"`
}

// answerList makes the answer of the rows asked for with q.page. The position of a
// row is by the sort asked for.
func answerList[R, T any](q *PageQuery, rows []R, wire func(*R) T, position func(*R) models.Position) *listOutput[T] {
	out := &listOutput[T]{Body: list[T]{Data: make([]T, 0, min(len(rows), q.Limit))}}
	for i := range rows[:min(len(rows), q.Limit)] {
		out.Body.Data = append(out.Body.Data, wire(&rows[i]))
	}
	if len(rows) > q.Limit {
		cursor := newCursor(q.list, position(&rows[q.Limit-1]))
		out.Body.NextCursor = &cursor
		next := q.url.Query()
		next.Set("cursor", cursor)
		out.Link = fmt.Sprintf(`<%s?%s>; rel="next"`, q.url.EscapedPath(), next.Encode())
	}
	return out
}

// A cursor is base64url of a checksum and the position it stands for. The
// checksum covers the list, its sort and its filters, so a cursor of another
// list is refused. It is no signature: who forges one only skips rows that
// they may read anyway.
const cursorChecksum = 8

func newCursor(list string, p models.Position) string {
	position, err := json.Marshal([2]string{p.Value, p.ID})
	if err != nil {
		panic(fmt.Sprintf("controllers: two strings without a JSON form: %v", err))
	}
	return base64.RawURLEncoding.EncodeToString(append(checksum(list, position), position...))
}

func parseCursor(list, cursor string) (models.Position, bool) {
	data, err := base64.RawURLEncoding.Strict().DecodeString(cursor)
	if err != nil || len(data) < cursorChecksum {
		return models.Position{}, false
	}
	sum, position := data[:cursorChecksum], data[cursorChecksum:]
	var parts [2]string
	if !bytes.Equal(sum, checksum(list, position)) || json.Unmarshal(position, &parts) != nil {
		return models.Position{}, false
	}
	return models.Position{Value: parts[0], ID: parts[1]}, true
}

func checksum(list string, position []byte) []byte {
	sum := sha256.Sum256(fmt.Appendf(nil, "viva cursor\x00%s\x00%s", list, position))
	return sum[:cursorChecksum]
}

// sorted gives the value of a row by the field that a list is sorted by.
func sorted(sort string, created, updated time.Time, name string) string {
	at := created
	switch sort {
	case "name", "-name":
		return name
	case "updated_at", "-updated_at":
		at = updated
	}
	return at.UTC().Format(time.RFC3339Nano)
}

// csvToo documents that a list also comes as CSV.
func csvToo(op huma.Operation) huma.Operation {
	op.Responses = map[string]*huma.Response{"200": {
		Description: "One page of the list",
		Content: map[string]*huma.MediaType{
			mediaJSON: {},
			mediaCSV: {Schema: &huma.Schema{
				Type:        huma.TypeString,
				Description: "A header row with the names of the members, then one row each (RFC 4180); lists and objects are JSON in their cell",
			}},
		},
	}}
	return op
}
