package tests

import (
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/viva/rate-limiter/internal/config"
)

// publishes are the addresses on this machine that each compose file promises to publish.
var publishes = map[string]map[string]string{
	"docker-compose.dev.yml": {"postgres": "127.0.0.1:5433:5432", "redis": "127.0.0.1:6380:6379"},
	"docker-compose.yml": {
		"postgres": "127.0.0.1:5434:5432", "redis": "127.0.0.1:6381:6379", "api": "127.0.0.1:8080:8080",
		"worker": "127.0.0.1:8081:8081", "prometheus": "127.0.0.1:9090:9090", "grafana": "127.0.0.1:3001:3000",
	},
}

type composeFile struct {
	Services map[string]composeService
	Volumes  map[string]any
}

type composeService struct {
	Image       string
	Command     []string
	Environment map[string]string
	Ports       []string
	Volumes     []string
	Restart     string
	ReadOnly    bool     `yaml:"read_only"`
	CapDrop     []string `yaml:"cap_drop"`
	SecurityOpt []string `yaml:"security_opt"`
	Healthcheck struct {
		Test    []string
		Disable bool
	}
	Logging     struct{ Options map[string]string }
	GracePeriod time.Duration                         `yaml:"stop_grace_period"`
	DependsOn   map[string]struct{ Condition string } `yaml:"depends_on"`
}

func compose(t *testing.T, file string) (c composeFile) {
	t.Helper()
	require.NoError(t, yaml.Unmarshal(contents(t, file), &c))
	return c
}

func contents(t *testing.T, file string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, file))
	require.NoError(t, err)
	return text
}

func TestComposeFilesPublishWhatIsPromised(t *testing.T) {
	for file, ports := range publishes {
		c, published := compose(t, file), map[string]string{}
		for name, service := range c.Services {
			if len(service.Ports) > 0 {
				published[name] = strings.Join(service.Ports, " ")
			}
		}
		require.Equal(t, ports, published, file)
		for _, service := range c.Services {
			for _, volume := range service.Volumes {
				if source, _, _ := strings.Cut(volume, ":"); strings.HasPrefix(source, ".") {
					require.DirExists(t, filepath.Join(root, source), "Docker would make an empty folder of it")
				} else {
					require.Contains(t, c.Volumes, source)
				}
			}
		}
	}
}

// The programs outside containers find the servers in them.
func TestConfigurationsNameThePublishedServers(t *testing.T) {
	for file, composed := range map[string]string{"dev": "docker-compose.dev.yml", "full": "docker-compose.yml"} {
		cfg, err := config.Load(config.Options{
			File: filepath.Join(root, "configs", file+".yaml"), Role: config.RoleAPI, Environ: []string{},
		})
		require.NoError(t, err)
		for server, given := range map[string]string{"postgres": string(cfg.Database.URL), "redis": string(cfg.Redis.URL)} {
			at, err := url.Parse(given)
			require.NoError(t, err)
			require.Equal(t, publishes[composed][server], at.Host+":"+map[string]string{"postgres": "5432", "redis": "6379"}[server])
		}
		require.Equal(t, "127.0.0.1:8080", cfg.Server.Addr)
		require.Equal(t, "127.0.0.1:8081", cfg.Worker.Addr)
		require.Contains(t, string(contents(t, "Makefile")), "bin/api --config configs/"+file+".yaml")
	}
	require.Contains(t, string(contents(t, "Makefile")), "bin/worker --config configs/dev.yaml")
}

func TestTheStackIsHeldTight(t *testing.T) {
	stack := compose(t, "docker-compose.yml")
	pinned := regexp.MustCompile(`:v?\d+\.\d+(\.\d+)?$`)
	for name, service := range stack.Services {
		t.Run(name, func(t *testing.T) {
			require.True(t, service.ReadOnly, "its root file system can be written")
			require.Equal(t, []string{"ALL"}, service.CapDrop)
			require.Equal(t, []string{"no-new-privileges:true"}, service.SecurityOpt)
			require.NotEmpty(t, service.Logging.Options["max-size"], "its log grows without end")
			if service.Image != "viva" {
				require.Regexp(t, pinned, service.Image)
			}
			if name == "migrate" {
				require.Equal(t, "no", service.Restart)
				return
			}
			require.Equal(t, "unless-stopped", service.Restart)
			require.NotEmpty(t, service.Healthcheck.Test)
		})
	}
	redis := strings.Join(stack.Services["redis"].Command, " ")
	require.Contains(t, redis, "--maxmemory-policy noeviction")
	require.Contains(t, redis, "--appendonly yes")
	require.Equal(t, "admin", stack.Services["grafana"].Environment["GF_SECURITY_ADMIN_PASSWORD"])
	require.Equal(t, "false", stack.Services["grafana"].Environment["GF_AUTH_ANONYMOUS_ENABLED"])
}

// The programs of the image start with what the image and the stack give them, in the right order, and have the time
// to stop.
func TestTheStackRunsTheImage(t *testing.T) {
	stack, image := compose(t, "docker-compose.yml"), imageStage(t)
	var environ []string
	for _, variables := range image.all("ENV") {
		environ = append(environ, strings.Fields(variables)...)
	}
	for name, role := range map[string]config.Role{"api": config.RoleAPI, "worker": config.RoleWorker, "migrate": ""} {
		service := stack.Services[name]
		given := slices.Clone(environ)
		for variable, value := range service.Environment {
			given = append(given, variable+"="+value)
		}
		cfg, err := config.Load(config.Options{Role: role, Environ: given})
		require.NoError(t, err, name)
		require.False(t, cfg.Database.Migrate, "two would migrate at once")
		require.GreaterOrEqual(t, service.GracePeriod, cfg.Server.ShutdownTimeout+cfg.Queue.ShutdownTimeout+5*time.Second)
		require.Contains(t, environ, "VIVA_SERVER_ADDR=0.0.0.0:8080")
		require.Contains(t, environ, "VIVA_WORKER_ADDR=0.0.0.0:8081")
		if role != "" {
			require.Equal(t, []string{"viva", name}, service.Command)
			require.Equal(t, "service_completed_successfully", service.DependsOn["migrate"].Condition)
			require.Equal(t, []string{name + ":" + cfg.Data.Dir}, service.Volumes, "what it wrote would end with the container")
		}
	}
	require.Equal(t, []string{"8080 8081"}, image.all("EXPOSE"))
	require.Equal(t, []string{"/var/lib/viva"}, image.all("VOLUME"))
	require.Regexp(t, `^[1-9]\d*:[1-9]\d*$`, image.one(t, "USER"), "Kubernetes knows by a number that it is not root")
	require.NotEmpty(t, image.one(t, "HEALTHCHECK"))
}

// Everything the program is made of gets into the image's build, and nothing else at the top.
func TestDockerignoreLetsTheSourceIn(t *testing.T) {
	imports := map[string][]string{}
	for _, p := range packages(t) {
		imports[p.path] = p.imports
	}
	needed, left := map[string]bool{"go.mod": true, "go.sum": true, "scripts/deps.sh": true}, []string{"cmd/viva"}
	for seen := map[string]bool{}; len(left) > 0; {
		folder := left[0]
		left = left[1:]
		if seen[folder] {
			continue
		}
		seen[folder] = true
		top, _, _ := strings.Cut(folder, "/")
		needed[top] = true
		for _, imported := range imports[folder] {
			if inside, ok := strings.CutPrefix(imported, "github.com/viva/rate-limiter/"); ok {
				left = append(left, inside)
			}
		}
	}
	allowed := map[string]bool{}
	for line := range strings.Lines(string(contents(t, ".dockerignore"))) {
		if name, ok := strings.CutPrefix(strings.TrimSpace(line), "!"); ok {
			allowed[name] = true
		}
	}
	require.Equal(t, needed, allowed)
}

// A container of docker/test.Dockerfile has what `make deps` installs.
func TestTheImageOfTheTestsHasWhatTheyStart(t *testing.T) {
	installs := regexp.MustCompile(`(?m)^\t\$\(DEPS\) ([a-z ]+)$`).FindStringSubmatch(string(contents(t, "Makefile")))
	require.NotNil(t, installs)
	require.Contains(t, string(contents(t, "docker/test.Dockerfile")), "RUN deps.sh "+installs[1]+" &&")
}

// A stage is the instructions of a Dockerfile from one FROM to the next, their continuations joined.
type stage []struct{ name, rest string }

func (s stage) all(name string) (found []string) {
	for _, i := range s {
		if i.name == name {
			found = append(found, i.rest)
		}
	}
	return found
}

func (s stage) one(t *testing.T, name string) string {
	t.Helper()
	found := s.all(name)
	require.Len(t, found, 1, name)
	return found[0]
}

// stages reads docker/Dockerfile, which has no here-documents.
func stages(t *testing.T) (all []stage) {
	t.Helper()
	text := regexp.MustCompile(`(?m)^\s*#.*\n`).ReplaceAllString(string(contents(t, "docker/Dockerfile")), "")
	text = regexp.MustCompile(`\\\n\s*`).ReplaceAllString(text, "")
	for line := range strings.Lines(text) {
		name, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch name {
		case "":
			continue
		case "FROM":
			all = append(all, nil)
		}
		last := len(all) - 1
		require.GreaterOrEqual(t, last, 0, line)
		all[last] = append(all[last], struct{ name, rest string }{name, rest})
	}
	return all
}

// imageStage is what the image is made by: the last stage, which begins with nothing.
func imageStage(t *testing.T) stage {
	t.Helper()
	all := stages(t)
	image := all[len(all)-1]
	require.Equal(t, "scratch", image.one(t, "FROM"))
	return image
}
