package report

import (
	"fmt"
	"strings"
)

// Bars is a chart of values by name, the one below the other in the order they were added.
type Bars struct {
	Title, X string
	bars     []bar
}

type bar struct {
	name  string
	value float64
	ours  bool
}

// Add adds a value; ours are drawn apart from others.
func (c *Bars) Add(name string, value float64, ours bool) {
	c.bars = append(c.bars, bar{name, value, ours})
}

// SVG returns the picture.
func (c *Bars) SVG() string {
	const names, end, first, apart, thick = 216, 680, 72, 30, 18
	height, most := first+apart*len(c.bars)+8, 0.0
	for _, each := range c.bars {
		most = max(most, each.value)
	}
	var b strings.Builder
	head(&b, height, c.Title, c.X)
	for i, each := range c.bars {
		y, long, color := float64(first+apart*i), 0.0, 2
		if most > 0 {
			long = (end - names) * each.value / most
		}
		if each.ours {
			color = 0
		}
		text(&b, names-10, y+thick-4, "label", "end", each.name)
		fmt.Fprintf(&b, `<rect class="dot c%d" x="%d" y="%.1f" width="%.1f" height="%d"/>`+"\n", color, names, y, long, thick)
		text(&b, names+long+8, y+thick-4, "quiet", "start", Number(each.value))
	}
	b.WriteString("</svg>\n")
	return b.String()
}
