//go:build journeys

package tests

import (
	"encoding/json"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/internal/testenv"
)

// exempt are the README's commands that are not run here, and why.
var exempt = map[string]string{
	"make test":      "it has just passed where this runs, and takes minutes",
	"make docker-up": "needs a Docker daemon: servers of the test take the place of its own",
}

// lasting are those that run until they are told to stop.
var lasting = []string{"make run-api", "make run-worker"}

// TestREADME does what the README says, in a fresh clone of this working tree, and gets what it says.
func TestREADME(t *testing.T) {
	blocks := codeBlocks(t, "README.md", "sh")
	require.GreaterOrEqual(t, len(blocks), 4)
	first, second, rest := blocks[0], blocks[1], blocks[2:]
	home := newcomer(t)

	// First terminal.
	require.Equal(t, "git clone https://github.com/viva/rate-limiter viva && cd viva && make run", strings.TrimSpace(first))
	serve := launch(t, home, "/bin/bash", "-c", "cd \"$HOME\" && "+first)
	serve.url = serve.awaitOutput(5*time.Minute, greeting)[1] // it is being built

	// Second terminal, in the same folder.
	folder := filepath.Join(home["HOME"], "viva")
	said := paste(t, home, folder, serve.url, second+"\necho $KEY")
	lines := strings.Split(strings.TrimSpace(said), "\n")
	require.Len(t, lines, 5, said)
	var last decision
	for i, line := range lines[:4] {
		last = decision{}
		require.NoError(t, json.Unmarshal([]byte(line), &last), line)
		require.Equal(t, i < 3, last.Allowed, line)
	}
	require.Equal(t, "rate_limited", last.Code)
	require.Positive(t, last.RetryAfterMS)
	node := (&process{t: t, url: serve.url, settings: settings{"VIVA_DATA_DIR": filepath.Join(folder, "data")}}).client()
	waitExactly(t, node, lines[4])

	t.Run("its other commands run", func(t *testing.T) {
		ran, engines := 0, home.with(settings{
			"VIVA_DATABASE_URL": testenv.Postgres(t), "VIVA_REDIS_URL": testenv.Redis(t), "VIVA_REDIS_NAMESPACE": "readme",
			"VIVA_SERVER_ADDR": "127.0.0.1:0", "VIVA_WORKER_ADDR": "127.0.0.1:0",
		})
		for _, command := range commands(rest) {
			switch {
			case exempt[command] != "":
				continue
			case slices.Contains(lasting, command):
				process := launch(t, engines, "/bin/bash", "-c", "cd \"$HOME/viva\" && exec "+command)
				process.awaitOutput(5*time.Minute, greeting)
				process.interrupt()
			case strings.Contains(command, "configs/dev.yaml"):
				paste(t, engines, folder, serve.url, command)
			default:
				paste(t, home, folder, serve.url, command)
			}
			ran++
		}
		require.Greater(t, ran, len(lasting))
		for command := range exempt {
			require.Contains(t, commands(rest), command, "what is exempt is there")
			if target, ok := strings.CutPrefix(command, "make "); ok {
				paste(t, home, folder, serve.url, "make -n "+target)
			}
		}
	})
	t.Run("its links lead somewhere", func(t *testing.T) {
		text, err := os.ReadFile(filepath.Join(root, "README.md"))
		require.NoError(t, err)
		for _, link := range regexp.MustCompile(`\]\(([^)#]+)`).FindAllStringSubmatch(string(text), -1) {
			if !strings.Contains(link[1], "://") {
				require.FileExists(t, filepath.Join(folder, link[1]))
			}
		}
		require.Contains(t, string(text), "<http://127.0.0.1:8080/docs>")
		newClient(t, serve.url, "").call(200, "GET", "/docs", nil)
	})

	serve.interrupt()
	require.Contains(t, serve.output.String(), "stopped")
}

// newcomer gives the environment of somebody who has only git, make, Go and curl, and for whom the repository's
// address leads to a copy of this working tree.
func newcomer(t *testing.T) settings {
	t.Helper()
	home, origin := t.TempDir(), filepath.Join(t.TempDir(), "origin")
	config := filepath.Join(home, ".gitconfig")
	require.NoError(t, os.WriteFile(config, []byte("[safe]\n\tdirectory = *\n[user]\n\tname = n\n\temail = n@example.org\n"+
		"[url \"file://"+origin+"\"]\n\tinsteadOf = https://github.com/viva/rate-limiter\n"), 0o600))
	s := settings{"HOME": home, "GIT_CONFIG_GLOBAL": config, "GIT_CONFIG_NOSYSTEM": "1", "CGO_ENABLED": "0"}
	for _, name := range []string{"GOCACHE", "GOMODCACHE", "GOPATH", "GOPROXY", "GOFLAGS"} {
		value, err := exec.Command("go", "env", name).Output()
		require.NoError(t, err)
		s[name] = strings.TrimSpace(string(value))
	}
	if !portIsFree("127.0.0.1:8080") {
		s["VIVA_SERVER_ADDR"] = "127.0.0.1:0"
	}
	shell(t, s, root, `git ls-files --cached --others --exclude-standard -z | while IFS= read -r -d '' file; do
		[ ! -e "$file" ] || { mkdir -p "$0/$(dirname "$file")" && cp -p "$file" "$0/$file"; }
	done; cd "$0" && git init --quiet --initial-branch main && git add --all && git commit --quiet --message tree`, origin)
	return s
}

func portIsFree(addr string) bool {
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return false
	}
	listener.Close()
	return true
}

// shell runs a script that must succeed, and gives what it wrote to its standard output.
func shell(t *testing.T, s settings, folder, script string, args ...string) string {
	t.Helper()
	command := exec.Command("/bin/bash", append([]string{"-euo", "pipefail", "-c", script}, args...)...)
	command.Dir, command.Env = folder, s.environ()
	return succeed(t, command)
}

// paste writes lines into a shell, as one pastes them into a terminal. Each command must succeed.
func paste(t *testing.T, s settings, folder, url, lines string) string {
	t.Helper()
	if s["VIVA_SERVER_ADDR"] != "" { // the port of the README is somebody else's on this machine
		lines = strings.ReplaceAll(lines, "http://127.0.0.1:8080", url)
		s = s.with(settings{"VIVA_SERVER": url})
	}
	command := exec.Command("/bin/bash", "-e")
	command.Dir, command.Env = folder, s.environ()
	command.Stdin = strings.NewReader(lines + "\n")
	return succeed(t, command)
}

func succeed(t *testing.T, command *exec.Cmd) string {
	t.Helper()
	var complaints strings.Builder
	command.Stderr = &complaints
	said, err := command.Output()
	require.NoError(t, err, "%s\n%s%s", command, said, complaints.String())
	return string(said)
}

// codeBlocks gives the code blocks of a language in a document, in order.
func codeBlocks(t *testing.T, document, language string) (blocks []string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, document))
	require.NoError(t, err)
	for _, match := range regexp.MustCompile("(?ms)^```"+language+"\n(.*?)^```$").FindAllStringSubmatch(string(text), -1) {
		blocks = append(blocks, match[1])
	}
	return blocks
}

// commands are the lines of code blocks without the comments at their ends.
func commands(blocks []string) (lines []string) {
	comment := regexp.MustCompile(`\s+#.*$`)
	for line := range strings.SplitSeq(strings.Join(blocks, "\n"), "\n") {
		if line = strings.TrimSpace(comment.ReplaceAllString(line, "")); line != "" {
			lines = append(lines, line)
		}
	}
	return lines
}

// waitExactly asks for a key that is refused again and again around the instant it is told, and requires that the
// answers turn there, to the millisecond.
func waitExactly(t *testing.T, node *client, secret string) {
	t.Helper()
	type span struct{ from, to time.Time } // in which a process decided
	ask := func() (span, decision) {
		from := time.Now()
		d := node.check(secret, 1)
		return span{from, time.Now()}, d
	}
	at, d := ask()
	require.False(t, d.Allowed)
	wait := time.Duration(d.RetryAfterMS) * time.Millisecond
	promise := span{at.from.Add(wait - time.Millisecond), at.to.Add(wait)} // milliseconds are rounded up

	<-time.After(time.Until(promise.from.Add(-300 * time.Millisecond)))
	var refused []time.Duration
	for {
		at, d := ask()
		if d.Allowed {
			require.False(t, at.to.Before(promise.from), "admitted %s early", promise.from.Sub(at.to))
			t.Logf("told to wait %s; refused %d times in the last 300 ms, admitted within %s of the instant told",
				wait, len(refused), at.to.Sub(promise.from))
			break
		}
		require.False(t, at.from.After(promise.to), "still refused %s after the instant told", at.from.Sub(promise.to))
		refused = append(refused, promise.to.Sub(at.from))
	}
	require.NotEmpty(t, refused)
	require.Less(t, slices.Min(refused), 100*time.Millisecond, "it was asked until just before")
}
