// Package containers reads the Dockerfiles and the compose files with the code Docker itself reads them with.
package containers

import (
	"context"
	"maps"
	"os"
	"path/filepath"
	"testing"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/moby/buildkit/client/llb"
	"github.com/moby/buildkit/client/llb/sourceresolver"
	"github.com/moby/buildkit/frontend/dockerfile/dockerfile2llb"
	"github.com/moby/buildkit/frontend/dockerfile/linter"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
	"github.com/moby/buildkit/frontend/dockerui"
	"github.com/opencontainers/go-digest"
)

const root = "../.."

// registry stands in for one: it has every image, with nothing in it.
type registry struct{}

func (registry) ResolveImageConfig(_ context.Context, ref string, _ sourceresolver.Opt) (string, digest.Digest, []byte, error) {
	return ref, "", []byte(`{"architecture": "amd64", "os": "linux", "config": {"Env": ["PATH=/bin"]}}`), nil
}

// TestDockerfilesAreClean is `docker build --check`, with the experimental rules.
func TestDockerfilesAreClean(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(root, "docker", "*Dockerfile"))
	if err != nil || len(files) == 0 {
		t.Fatalf("found %q: %v", files, err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			_, err = dockerfile2llb.Dockerfile2LLB(t.Context(), text, dockerfile2llb.ConvertOpt{
				Config:       dockerui.Config{LinterConfig: &linter.Config{ExperimentalAll: true}},
				MetaResolver: registry{}, AllStages: true, SourceMap: llb.NewSourceMap(nil, file, "Dockerfile", text),
				Warn: func(rule, _, _, said string, at []parser.Range) { t.Errorf("%v: %s: %s", at, rule, said) },
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
}

// TestComposeFilesLoad loads them as `docker compose config` does: against the schema, with what they refer to.
func TestComposeFilesLoad(t *testing.T) {
	for file, ports := range map[string]map[string]string{
		"docker-compose.dev.yml": {"postgres": "5433", "redis": "6380"},
		"docker-compose.yml": {
			"postgres": "5434", "redis": "6381", "api": "8080", "worker": "8081", "prometheus": "9090", "grafana": "3001",
		},
	} {
		t.Run(file, func(t *testing.T) {
			options, err := cli.NewProjectOptions([]string{filepath.Join(root, file)}, cli.WithDiscardEnvFile)
			if err != nil {
				t.Fatal(err)
			}
			project, err := options.LoadProject(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			published := map[string]string{}
			for name, service := range project.Services {
				for _, port := range service.Ports {
					published[name] += port.Published
					if port.HostIP != "127.0.0.1" {
						t.Errorf("%s is published on %q", name, port.HostIP)
					}
				}
			}
			if !maps.Equal(published, ports) {
				t.Errorf("published: %v, not %v", published, ports)
			}
		})
	}
}
