package cli

import (
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/viva/rate-limiter/pkg/client"
)

// paging are the flags of every list.
type paging struct {
	limit int
	sort  string
}

func (p *paging) add(cmd *cobra.Command, sorts string) {
	p.addLimit(cmd)
	cmd.Flags().StringVar(&p.sort, "sort", "", "`field` to sort by, descending with a minus sign: "+sorts)
}

// addLimit is for lists of one order.
func (p *paging) addLimit(cmd *cobra.Command) {
	cmd.Flags().IntVar(&p.limit, "limit", 50, "the most rows to list; 0 lists all")
	cmd.PreRunE = func(*cobra.Command, []string) error {
		if p.limit < 0 {
			return usageError{errors.New("--limit must not be negative")}
		}
		return nil
	}
}

// maxPage is the most that the API gives at once.
const maxPage = 1000

// page asks for one row more than is shown: whether it comes tells whether there
// are more.
func (p *paging) page() client.Page {
	size := maxPage
	if p.limit > 0 {
		size = min(p.limit, maxPage-1) + 1
	}
	return client.Page{Sort: p.sort, Size: size}
}

// printList lists rows as they come.
func printList[T any](cmd *cobra.Command, p *paging, rows iter.Seq2[T, error], columns []column[T]) error {
	var out listWriter[T] = &tableList[T]{w: newTable(cmd.OutOrStdout()), columns: columns}
	if inJSON(cmd) {
		out = &jsonList[T]{w: cmd.OutOrStdout()}
	}
	n := 0
	for row, err := range rows {
		if err != nil {
			return err
		}
		if n++; p.limit > 0 && n > p.limit {
			fmt.Fprintf(cmd.ErrOrStderr(), "there are more: --limit %d or 0 for all\n", 10*p.limit)
			break
		}
		if err := out.add(&row); err != nil {
			return err
		}
	}
	return out.end()
}

type listWriter[T any] interface {
	add(row *T) error
	end() error
}

type tableList[T any] struct {
	w       *tabwriter.Writer
	columns []column[T]
	n       int
}

func (l *tableList[T]) add(row *T) error {
	l.head()
	cells := make([]string, len(l.columns))
	for i, c := range l.columns {
		cells[i] = visible(c.text(row))
	}
	fmt.Fprintln(l.w, strings.Join(cells, "\t"))
	if l.n++; l.n%maxPage == 0 {
		return l.w.Flush() // rather than keep all rows to align them
	}
	return nil
}

func (l *tableList[T]) head() {
	if l.n > 0 {
		return
	}
	titles := make([]string, len(l.columns))
	for i, c := range l.columns {
		titles[i] = strings.ToUpper(c.title)
	}
	fmt.Fprintln(l.w, strings.Join(titles, "\t"))
}

func (l *tableList[T]) end() error {
	l.head()
	return l.w.Flush()
}

// jsonList writes {"data": […]} as the API does.
type jsonList[T any] struct {
	w io.Writer
	n int
}

func (l *jsonList[T]) add(row *T) error {
	before := ",\n    "
	if l.n == 0 {
		before = "{\n  \"data\": [\n    "
	}
	l.n++
	text, err := encode(row, "    ")
	if err != nil {
		return err
	}
	_, err = io.WriteString(l.w, before+text)
	return err
}

func (l *jsonList[T]) end() error {
	text := "\n  ]\n}\n"
	if l.n == 0 {
		text = "{\n  \"data\": []\n}\n"
	}
	_, err := io.WriteString(l.w, text)
	return err
}
