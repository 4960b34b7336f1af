package report

import (
	"encoding/xml"
	"errors"
	"io"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestTableReadsWellUnrendered(t *testing.T) {
	table := Table{Head: []string{"limiter", "ns"}}
	table.Add("viva", "61.2")
	table.Add("µ", Times(1234, 0.0496))
	require.Equal(t, strings.TrimLeft(`
| limiter |           ns |
|---------|-------------:|
| viva    |         61.2 |
| µ       | 1,234 (0.05) |
`, "\n"), table.String())
}

func TestNumbersHaveThreeDigits(t *testing.T) {
	for want, v := range map[string]float64{
		"0.00": 0, "0.12": 0.123, "9.99": 9.99, "10.0": 9.996, "61.2": 61.23, "100": 99.96, "134": 134.4,
		"1,234": 1234.4, "12,345,678": 12345678, "-1,500": -1500, "—": math.NaN(),
	} {
		require.Equal(t, want, Number(v))
	}
	require.Equal(t, "—", Times(math.NaN(), math.NaN()))
	for want, d := range map[string]time.Duration{
		"42.0 ns": 42, "1.50 µs": 1500, "20.1 ms": 20_100 * time.Microsecond, "1.20 s": 1200 * time.Millisecond,
	} {
		require.Equal(t, want, Duration(d))
	}
}

func TestChartIsAPicture(t *testing.T) {
	chart := Chart{Title: "Time <of a call>", X: "keys", Y: "ns", Lines: []Line{
		{"ours", []Point{{1e3, 50}, {1e6, 100}}},
		{"a & b", []Point{{1e3, 200}, {1e6, 105}}},
	}}
	svg := chart.SVG()
	decoder := xml.NewDecoder(strings.NewReader(svg))
	for {
		_, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
	}
	require.Contains(t, svg, "prefers-color-scheme: dark")
	require.Contains(t, svg, "a &amp; b")
}

func TestChartScales(t *testing.T) {
	chart := Chart{Lines: []Line{{"", []Point{{1e3, 0}, {1e5, 730}, {1e7, 100}}}}}
	s := chart.scale()
	require.InDelta(t, left, s.x(1e3), 0.01)
	require.InDelta(t, (left+right)/2, s.x(1e5), 0.01, "halfway, since the axis is logarithmic")
	require.InDelta(t, right, s.x(1e7), 0.01)
	require.InDelta(t, base, s.y(0), 0.01)
	require.GreaterOrEqual(t, s.y(730), float64(ceiling))
	require.InDelta(t, 200, s.step, 1e-9)

	for highest, want := range map[float64]float64{0: 1, 1: 0.2, 6: 1, 9: 2, 37: 10, 1500: 250} {
		require.InDelta(t, want, step(highest), 1e-9, highest)
	}
}

func TestLabelsKeepApart(t *testing.T) {
	chart := Chart{Lines: []Line{
		{"a", []Point{{1, 100}}}, {"b", []Point{{1, 99}}}, {"c", []Point{{1, 50}}}, {"d", []Point{{1, 101}}},
	}}
	places := chart.labels(chart.scale())
	require.InDelta(t, 18, places[1]-places[0], 0.01)
	require.InDelta(t, 18, places[0]-places[3], 0.01)
	require.Greater(t, places[2], places[1])
}
