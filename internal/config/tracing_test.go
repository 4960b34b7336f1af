package config

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestWhereTracesGoIsAURLWithoutSecrets(t *testing.T) {
	for _, row := range []struct {
		setting, value string
		ok             bool
	}{
		{"ENDPOINT", "http://127.0.0.1:4318", true},
		{"ENDPOINT", "https://otel.example/api/otlp/v1/traces", true},
		{"ENDPOINT", "", true},
		{"ENDPOINT", "127.0.0.1:4318", false},
		{"ENDPOINT", "grpc://127.0.0.1:4317", false},
		{"ENDPOINT", "http://", false},
		{"ENDPOINT", "http://host:99999", false},
		{"ENDPOINT", "http://user:canary@host", false},
		{"ENDPOINT", "http://host?token=canary", false},
		{"ENDPOINT", "http://host#canary", false},
		{"SAMPLE_RATIO", "0", true},
		{"SAMPLE_RATIO", "0.25", true},
		{"SAMPLE_RATIO", "1", true},
		{"SAMPLE_RATIO", "1.01", false},
		{"SAMPLE_RATIO", "-0.1", false},
		{"SAMPLE_RATIO", "NaN", false},
		{"SAMPLE_RATIO", "10%", false},
		{"HEADERS", "authorization=Bearer canary==", true},
		{"HEADERS", "authorization", false},
		{"HEADERS", "=canary", false},
		{"HEADERS", "authorization=", false},
		{"HEADERS", "a=b,canary", false},
		{"HEADERS", "a=b\r\nx: canary", false},
	} {
		_, err := load(t, "", "VIVA_TRACING_"+row.setting+"="+row.value)
		require.Equal(t, row.ok, err == nil, row.value)
		if err != nil {
			require.NotContains(t, err.Error(), "canary")
		}
	}
	c, err := load(t, "tracing:\n  sample_ratio: 0.5\n")
	require.NoError(t, err)
	require.InDelta(t, 0.5, c.Tracing.SampleRatio, 0)
	headers, err := ParseHeaders("authorization=Bearer a=b, tenant = one")
	require.NoError(t, err)
	require.Equal(t, http.Header{"Authorization": {"Bearer a=b"}, "Tenant": {"one"}}, headers)
}
