package client

import (
	"context"
	"iter"
	"net/url"
	"strconv"
)

// Page says how a list is read.
type Page struct {
	// Sort is the field to sort by, descending with a minus sign; newest first
	// unless said otherwise.
	Sort string
	// Size is how many elements each request asks for, from 1 to 1000; the
	// service chooses where it is 0.
	Size int
}

// query makes the parameters of a list; empty filters are left out.
func (p Page) query(filters map[string]string) url.Values {
	values := url.Values{}
	set := func(name, value string) {
		if value != "" {
			values.Set(name, value)
		}
	}
	for name, value := range filters {
		set(name, value)
	}
	set("sort", p.Sort)
	if p.Size != 0 {
		values.Set("limit", strconv.Itoa(p.Size))
	}
	return values
}

// list yields the elements of a list, asking for pages as they are needed. An
// error is the last thing it yields. It can be ranged over again, from the start.
func list[T any](ctx context.Context, c *Client, op call) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		next := op
		for {
			var page struct {
				Data       []T    `json:"data"`
				NextCursor string `json:"next_cursor"`
			}
			if _, err := c.do(ctx, next, &page); err != nil {
				var none T
				yield(none, err)
				return
			}
			for _, element := range page.Data {
				if !yield(element, nil) {
					return
				}
			}
			if page.NextCursor == "" {
				return
			}
			next.query = url.Values{"cursor": {page.NextCursor}}
			for name, values := range op.query {
				next.query[name] = values
			}
		}
	}
}
