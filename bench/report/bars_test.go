package report

import (
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestBarsAreAPicture(t *testing.T) {
	chart := Bars{Title: "Throughput <b>", X: "checks"}
	chart.Add("ours", 50_000, true)
	chart.Add("a & b", 12_500, false)
	svg := chart.SVG()
	decoder := xml.NewDecoder(strings.NewReader(svg))
	for {
		_, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
	}
	require.Contains(t, svg, `width="464.0"`, "the longest has all the room")
	require.Contains(t, svg, `width="116.0"`, "a quarter of it")
	require.Contains(t, svg, "50,000")
}
