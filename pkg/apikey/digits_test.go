package apikey

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// Over all values of a byte each digit comes out equally often, so that
// uniform bytes give uniform digits.
func TestEveryDigitIsEquallyLikely(t *testing.T) {
	var all [256]byte
	for i := range all {
		all[i] = byte(i)
	}
	count := map[byte]int{}
	for _, digit := range appendDigits(nil, all[:]) {
		count[digit]++
	}
	require.Len(t, count, 62)
	for digit, n := range count {
		require.Equal(t, 4, n, "digit %c", digit)
		require.True(t, isDigit(digit))
	}
}
