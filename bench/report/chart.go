package report

import (
	"cmp"
	"fmt"
	"html"
	"math"
	"slices"
	"strings"
)

// A Chart draws lines over a logarithmic x axis and a y axis that begins at zero, as an SVG that follows the reader's
// choice of light or dark.
type Chart struct {
	Title, X, Y string
	Lines       []Line
	XLabel      func(x float64) string // of the tick at x; Number, if nil
}

// A Line joins points. The first of a chart is drawn the strongest.
type Line struct {
	Name   string
	Points []Point
}

// Point has a positive X.
type Point struct{ X, Y float64 }

// The plot's place in the picture.
const (
	width, height = 760, 420
	left, right   = 64, 600
	ceiling, base = 56, 364
)

// The colors are told apart by people who see few, and on both grounds: the first is that of ours.
const style = `<style>
svg { font: 13px system-ui, sans-serif }
.ground { fill: #ffffff } text { fill: #1f2328 } .grid { stroke: #d1d9e0 } .quiet { fill: #59636e }
.c0 { color: #0969da } .c1 { color: #54aeff } .c2 { color: #bc4c00 }
.c3 { color: #8250df } .c4 { color: #116329 } .c5 { color: #bf3989 }
@media (prefers-color-scheme: dark) {
.ground { fill: #0d1117 } text { fill: #f0f6fc } .grid { stroke: #30363d } .quiet { fill: #9198a1 }
.c0 { color: #4493f8 } .c1 { color: #a5d6ff } .c2 { color: #f0883e }
.c3 { color: #bc8cff } .c4 { color: #56d364 } .c5 { color: #ff9bce }
}
.title { font-weight: 600; font-size: 15px } .bold { font-weight: 600 }
.line { fill: none; stroke: currentColor; stroke-width: 1.75 } .first { stroke-width: 3.5 }
.dot, .name { fill: currentColor }
</style>
`

// lineColors is how many classes the style has.
const lineColors = 6

// head begins a picture; what names the unit.
func head(b *strings.Builder, height int, title, what string) {
	fmt.Fprintf(b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" role="img" aria-label="%s">`+"\n",
		width, height, html.EscapeString(title))
	b.WriteString(style)
	b.WriteString(`<rect class="ground" width="100%" height="100%"/>` + "\n")
	text(b, left-48, 24, "title", "start", title)
	text(b, left-48, 44, "quiet", "start", what)
}

// SVG returns the picture.
func (c *Chart) SVG() string {
	s := c.scale()
	var b strings.Builder
	head(&b, height, c.Title, c.Y)
	text(&b, (left+right)/2, height-12, "quiet", "middle", c.X)
	for y := 0.0; y <= s.top*1.001; y += s.step {
		fmt.Fprintf(&b, `<path class="grid" d="M%d %.1fH%d"/>`+"\n", left, s.y(y), right)
		text(&b, left-8, s.y(y)+4, "quiet", "end", tick(y))
	}
	for _, x := range s.xs {
		text(&b, s.x(x), base+20, "quiet", "middle", c.xLabel(x))
	}
	for i, line := range c.Lines {
		drawLine(&b, s, i, line)
	}
	for i, y := range c.labels(s) {
		class := fmt.Sprintf("name c%d", i%lineColors)
		if i == 0 {
			class += " bold"
		}
		text(&b, right+12, y+4, class, "start", c.Lines[i].Name)
	}
	b.WriteString("</svg>\n")
	return b.String()
}

func drawLine(b *strings.Builder, s scale, i int, line Line) {
	class := "line"
	if i == 0 {
		class += " first"
	}
	color := i % lineColors
	var path strings.Builder
	for n, p := range line.Points {
		command := 'L'
		if n == 0 {
			command = 'M'
		}
		fmt.Fprintf(&path, "%c%.1f %.1f", command, s.x(p.X), s.y(p.Y))
	}
	fmt.Fprintf(b, `<path class="%s c%d" d="%s"/>`+"\n", class, color, path.String())
	for _, p := range line.Points {
		fmt.Fprintf(b, `<circle class="dot c%d" cx="%.1f" cy="%.1f" r="3.5"/>`+"\n", color, s.x(p.X), s.y(p.Y))
	}
}

func text(b *strings.Builder, x, y float64, class, anchor, s string) {
	fmt.Fprintf(b, `<text x="%.1f" y="%.1f" class="%s" text-anchor="%s">%s</text>`+"\n",
		x, y, class, anchor, html.EscapeString(s))
}

func (c *Chart) xLabel(x float64) string {
	if c.XLabel != nil {
		return c.XLabel(x)
	}
	return Number(x)
}

func tick(y float64) string { return group(fmt.Sprintf("%g", y)) }

// scale maps values to places in the picture.
type scale struct {
	xs        []float64 // where there are points
	low, high float64   // logarithms of the first and last
	top, step float64
}

func (c *Chart) scale() scale {
	var s scale
	highest := 0.0
	for _, line := range c.Lines {
		for _, p := range line.Points {
			s.xs = append(s.xs, p.X)
			highest = max(highest, p.Y)
		}
	}
	slices.Sort(s.xs)
	s.xs = slices.Compact(s.xs)
	if len(s.xs) > 0 {
		s.low, s.high = math.Log(s.xs[0]), math.Log(s.xs[len(s.xs)-1])
	}
	s.step = step(highest)
	s.top = s.step * math.Ceil(highest/s.step)
	return s
}

// step returns a round number of which four to eight make up the highest value.
func step(highest float64) float64 {
	if highest <= 0 {
		return 1
	}
	power := math.Pow(10, math.Floor(math.Log10(highest)))
	for _, times := range []float64{0.2, 0.25, 0.5, 1, 2} {
		if highest/(power*times) <= 6 {
			return power * times
		}
	}
	return 2 * power
}

func (s scale) x(x float64) float64 {
	if s.high == s.low {
		return (left + right) / 2
	}
	return left + (right-left)*(math.Log(x)-s.low)/(s.high-s.low)
}

func (s scale) y(y float64) float64 { return base - (base-ceiling)*y/s.top }

// labels places each line's name beside its last point, moved where two would meet.
func (c *Chart) labels(s scale) []float64 {
	const apart = 18
	places := make([]float64, len(c.Lines))
	order := make([]int, len(c.Lines))
	for i, line := range c.Lines {
		order[i], places[i] = i, base
		if n := len(line.Points); n > 0 {
			places[i] = s.y(line.Points[n-1].Y)
		}
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(places[b], places[a]) })
	lowest := float64(base) + apart
	for _, i := range order {
		places[i] = min(places[i], lowest-apart)
		lowest = places[i]
	}
	return places
}
