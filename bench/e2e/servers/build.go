package servers

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// BuildViva builds the service into a folder.
func BuildViva(ctx context.Context, root, into string) error {
	return run(ctx, root, []string{"CGO_ENABLED=0"}, "go", "build", "-o", into+string(filepath.Separator), "./cmd/viva", "./cmd/api")
}

// A Peer is a program built from a module that others publish.
type Peer struct {
	Module string
	// Versions are those to be had, the wanted first. The next is taken where Go here is too old for it.
	Versions []string
	Package  string // of its main function, below the module
}

// The peers, at the newest versions there are.
var (
	Gubernator = Peer{"github.com/gubernator-io/gubernator/v2", []string{"v2.21.0", "v2.13.0"}, "./cmd/gubernator"}
	Envoy      = Peer{"github.com/envoyproxy/ratelimit", []string{"v1.4.1-0.20260122083618-3fb702589d36"}, "./src/service_cmd"}
)

// Built is a peer's program.
type Built struct {
	Path, Version string
	Remark        string // on the version, where it is not the wanted one
}

// String tells the version, and why it is not another.
func (b *Built) String() string {
	if b.Remark == "" {
		return b.Version
	}
	return b.Version + " (" + strings.TrimSuffix(b.Remark, "; ") + ")"
}

// Build builds the peer as its own main module, so that all it says of its dependencies holds. What was built is kept
// in a folder, and found there the next time.
func (p *Peer) Build(ctx context.Context, cache string) (*Built, error) {
	b := new(Built)
	for _, version := range p.Versions {
		source, err := p.download(ctx, version)
		if err != nil && tooNew(err) {
			b.Remark += fmt.Sprintf("%s needs a newer Go than is here; ", version)
			continue
		}
		if err != nil {
			return nil, err
		}
		b.Version = version
		b.Path = filepath.Join(cache, strings.ReplaceAll(p.Module, "/", "-")+"@"+version)
		if _, err := os.Stat(b.Path); err == nil {
			return b, nil
		}
		return b, run(ctx, source, []string{"CGO_ENABLED=0", "GOWORK=off"}, "go", "build", "-o", b.Path, p.Package)
	}
	return nil, fmt.Errorf("no version of %s can be built: %s", p.Module, b.Remark)
}

// download returns the folder of the module's source.
func (p *Peer) download(ctx context.Context, version string) (string, error) {
	command := exec.CommandContext(ctx, "go", "mod", "download", "-json", p.Module+"@"+version)
	command.Dir = os.TempDir() // outside of any module
	said, err := command.Output()
	var answer struct{ Dir, Error string }
	if json.Unmarshal(said, &answer) != nil || answer.Error == "" && err != nil {
		return "", fmt.Errorf("download %s@%s: %w", p.Module, version, err)
	}
	if answer.Error != "" {
		return "", fmt.Errorf("download %s@%s: %s", p.Module, version, answer.Error)
	}
	return answer.Dir, nil
}

// tooNew tells of a module that asks for a newer Go.
func tooNew(err error) bool { return strings.Contains(err.Error(), "requires go >=") }
