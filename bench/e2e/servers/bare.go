package servers

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"

	"github.com/gin-gonic/gin"
)

// BareCommand is the first argument that makes this program the bare handler.
const BareCommand = "bare"

// bareRequest and bareAnswer have the members of a check and of its answer.
type (
	bareRequest struct {
		APIKey   string `json:"api_key" binding:"required"`
		Cost     int64  `json:"cost"`
		Method   string `json:"method"`
		Endpoint string `json:"endpoint"`
	}
	bareAnswer struct {
		Allowed   bool   `json:"allowed"`
		Code      string `json:"code"`
		RequestID string `json:"request_id"`
		Degraded  bool   `json:"degraded"`
		Key       struct {
			ID          string            `json:"id"`
			Name        string            `json:"name"`
			Keyspace    string            `json:"keyspace"`
			Owner       string            `json:"owner"`
			Plan        string            `json:"plan"`
			Environment string            `json:"environment"`
			Metadata    map[string]string `json:"metadata"`
		} `json:"key"`
		Limits []struct {
			Name         string `json:"name"`
			Limit        int64  `json:"limit"`
			Remaining    int64  `json:"remaining"`
			ResetAfterMS int64  `json:"reset_after_ms"`
		} `json:"limits"`
		Headers map[string]string `json:"headers"`
	}
)

// StartBare starts this program as the yardstick: Gin, which decodes a check and encodes an answer as the service gave
// it, and does nothing else.
func StartBare(ctx context.Context, dir string, answer []byte) (*Process, error) {
	path, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program: %w", err)
	}
	file := filepath.Join(dir, "answer.json")
	if err := os.WriteFile(file, answer, 0o600); err != nil {
		return nil, fmt.Errorf("write the answer of the bare handler: %w", err)
	}
	addr, err := freeAddr()
	if err != nil {
		return nil, err
	}
	return start(ctx, program{name: "bare", path: path, args: []string{BareCommand, addr, file}, dir: dir, addr: addr, ready: connects})
}

// ServeBare is the bare handler, until the process is ended.
func ServeBare(addr, file string) error {
	content, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var answer bareAnswer
	if err := json.Unmarshal(content, &answer); err != nil {
		return fmt.Errorf("read the answer: %w", err)
	}
	gin.SetMode(gin.ReleaseMode)
	engine := gin.New()
	engine.POST("/api/v1/validate", func(c *gin.Context) {
		var check bareRequest
		if err := c.ShouldBindJSON(&check); err != nil {
			c.AbortWithStatus(http.StatusBadRequest)
			return
		}
		c.JSON(http.StatusOK, &answer)
	})
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	return (&http.Server{Handler: engine}).Serve(listener)
}
