package report

import (
	"fmt"
	"math"
	"strings"
	"time"
	"unicode/utf8"
)

// A Table is written in Markdown, its columns aligned so that it reads well unrendered too. The first column stands
// left, the others right.
type Table struct {
	Head []string
	Rows [][]string
}

// Add adds a row.
func (t *Table) Add(cells ...string) { t.Rows = append(t.Rows, cells) }

// String returns the table with a line feed at its end.
func (t *Table) String() string {
	widths := make([]int, len(t.Head))
	for _, row := range append([][]string{t.Head}, t.Rows...) {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell), 3)
		}
	}
	var b strings.Builder
	writeRow(&b, t.Head, widths)
	for i, width := range widths {
		if i == 0 {
			b.WriteString("|" + strings.Repeat("-", width+2) + "|")
		} else {
			b.WriteString(strings.Repeat("-", width+1) + ":|")
		}
	}
	b.WriteByte('\n')
	for _, row := range t.Rows {
		writeRow(&b, row, widths)
	}
	return b.String()
}

func writeRow(b *strings.Builder, cells []string, widths []int) {
	b.WriteByte('|')
	for i, cell := range cells {
		gap := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
		if i == 0 {
			b.WriteString(" " + cell + gap + " |")
		} else {
			b.WriteString(" " + gap + cell + " |")
		}
	}
	b.WriteByte('\n')
}

// none stands where nothing was measured.
const none = "—"

// Number writes a number with three significant digits, and more where they stand before the point.
func Number(v float64) string {
	digits := 0
	switch size := math.Abs(v); {
	case math.IsNaN(v) || math.IsInf(v, 0):
		return none
	case size < 9.995:
		digits = 2
	case size < 99.95:
		digits = 1
	}
	return group(fmt.Sprintf("%.*f", digits, v))
}

// group sets commas between thousands.
func group(number string) string {
	whole, fraction, _ := strings.Cut(number, ".")
	sign := strings.HasPrefix(whole, "-")
	whole = strings.TrimPrefix(whole, "-")
	for i := len(whole) - 3; i > 0; i -= 3 {
		whole = whole[:i] + "," + whole[i:]
	}
	if sign {
		whole = "-" + whole
	}
	if fraction != "" {
		whole += "." + fraction
	}
	return whole
}

// Times writes a value and, in brackets, what ours is of it.
func Times(value, ratio float64) string {
	if math.IsNaN(value) {
		return none
	}
	return fmt.Sprintf("%s (%.2f)", Number(value), ratio)
}

// Duration writes a duration with three significant digits.
func Duration(d time.Duration) string {
	switch {
	case d < time.Microsecond:
		return Number(float64(d)) + " ns"
	case d < time.Millisecond:
		return Number(float64(d)/1e3) + " µs"
	case d < time.Second:
		return Number(float64(d)/1e6) + " ms"
	default:
		return Number(d.Seconds()) + " s"
	}
}
