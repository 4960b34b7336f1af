package cache

import (
	"testing"

	"github.com/redis/go-redis/v9/logging"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	logging.Disable() // the client reports each failed dial on its own
	goleak.VerifyTestMain(m)
}
