package apikey_test

import (
	"database/sql/driver"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/pkg/apikey"
)

func TestHashIsStoredAsItsBytes(t *testing.T) {
	hash := apikey.Sum(liveKey)
	value, err := hash.Value()
	require.NoError(t, err)
	require.True(t, driver.IsValue(value))
	require.Equal(t, hash[:], value)

	var read apikey.Hash
	require.NoError(t, read.Scan(value))
	require.Equal(t, hash, read)
}

func TestHashReadsNothingButThirtyTwoBytes(t *testing.T) {
	hash := apikey.Sum(liveKey)
	for _, src := range []any{nil, []byte{}, hash[:31], append(hash[:], 0), hash.String(), int64(1)} {
		read := hash
		require.Error(t, read.Scan(src), "%T", src)
		require.Equal(t, hash, read, "a failed Scan changes nothing")
	}
}
