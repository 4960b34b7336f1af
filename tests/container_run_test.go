//go:build journeys && linux

package tests

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// contain runs a command in a root file system as a container does: it can be written in the data folder and in /tmp
// alone, and the process is nobody in particular. Only root can become somebody else; others stay who they are, in a
// namespace that lets them mount.
const contain = `
set -eu
image=$1 data=$2 user=$3
shift 3
mount --bind "$image" "$image"
mount --bind "$data" "$image/var/lib/viva"
mount -t tmpfs -o mode=1777 tmpfs "$image/tmp"
mount --rbind /proc "$image/proc"
mount -o remount,bind,ro "$image"
exec setpriv --no-new-privs chroot ${user:+"--userspec=$user" --groups=} "$image" "$@"
`

// contained launches a command of the image with the volume that holds its data.
func contained(t *testing.T, image, data string, s settings, command ...string) *process {
	t.Helper()
	args, user := []string{"--mount"}, imageStage(t).one(t, "USER")
	if os.Getuid() != 0 {
		args, user = []string{"--mount", "--user", "--map-root-user"}, ""
	}
	args = append(args, "/bin/sh", "-c", contain, "contain", image, data, user)
	return launch(t, s, "unshare", append(args, command...)...)
}

// buildImage makes what the image is made of, by the very commands of docker/Dockerfile, and gives its root folder.
func buildImage(t *testing.T) string {
	t.Helper()
	scratch := t.TempDir()
	script := []string{}
	for _, line := range stages(t)[0].all("RUN") {
		for strings.HasPrefix(line, "--mount=") {
			_, line, _ = strings.Cut(line, " ")
		}
		if !strings.HasPrefix(line, "go mod download") {
			script = append(script, line)
		}
	}
	made := strings.NewReplacer("/out", scratch+"/out", "-p /data", "-p "+scratch+"/data").Replace(strings.Join(script, "\n"))
	build := exec.Command("/bin/sh", "-eu", "-c", made)
	build.Dir = root
	build.Env = append(os.Environ(), "TARGETOS="+runtime.GOOS, "TARGETARCH="+runtime.GOARCH, "VERSION=v1.2.3-test")
	succeed(t, build)
	image := filepath.Join(scratch, "out")
	for _, folder := range []string{"proc", "var/lib/viva"} { // Docker's, and where the volume goes
		require.NoError(t, os.MkdirAll(filepath.Join(image, folder), 0o755))
	}
	return image
}

// TestTheImageRuns does without Docker what Docker does with the image: its program alone in an otherwise empty root
// that is read-only, as the user it names.
func TestTheImageRuns(t *testing.T) {
	image, data := buildImage(t), t.TempDir()
	for _, open := range []string{filepath.Dir(filepath.Dir(image)), filepath.Dir(image), filepath.Dir(data)} {
		require.NoError(t, os.Chmod(open, 0o755))
	}
	require.NoError(t, os.Chmod(data, 0o700))
	if os.Getuid() == 0 {
		require.NoError(t, os.Chown(data, 65532, 65532))
	}
	s := settings{}
	for _, variables := range imageStage(t).all("ENV") {
		for variable := range strings.FieldsSeq(variables) {
			name, value, _ := strings.Cut(variable, "=")
			s[name] = value
		}
	}
	require.Equal(t, "/usr/local/bin", s["PATH"])
	delete(s, "PATH") // of the programs that contain it; chroot finds the image's in there, too
	s["VIVA_SERVER_ADDR"], s["VIVA_WORKER_ADDR"] = "127.0.0.1:0", "127.0.0.1:0"

	version := contained(t, image, data, s, "viva", "version")
	require.Equal(t, 0, version.exit(), version.output)
	require.Equal(t, "v1.2.3-test\n", version.output.String())

	elsewhere := contained(t, image, data, s.with(settings{"VIVA_DATA_DIR": "/elsewhere"}), "viva", "serve")
	require.Equal(t, 1, elsewhere.exit())
	require.Contains(t, elsewhere.output.String(), "read-only file system")

	serve := contained(t, image, data, s, command(t, imageStage(t).one(t, "CMD"))...)
	serve.awaitReady()
	_, check, _ := strings.Cut(imageStage(t).one(t, "HEALTHCHECK"), "CMD ")
	there := s.with(settings{"VIVA_SERVER": serve.url}) // its port is not the image's
	healthy := contained(t, image, data, there, command(t, check)...)
	require.Equal(t, 0, healthy.exit(), healthy.output)

	header, err := os.ReadFile(filepath.Join(data, "admin.header"))
	require.NoError(t, err)
	token := strings.TrimSpace(strings.TrimPrefix(string(header), "Authorization: Bearer "))
	node := newClient(t, serve.url, token)
	secret := node.create(object{"name": "contained"}).Secret
	require.True(t, node.check(secret, 1).Allowed)

	serve.stop()
	require.Contains(t, serve.output.String(), "stopped")
	unhealthy := contained(t, image, data, there, command(t, check)...)
	require.Equal(t, 1, unhealthy.exit(), unhealthy.output)

	again := contained(t, image, data, s, "viva", "serve")
	again.awaitReady()
	require.True(t, newClient(t, again.url, token).check(secret, 1).Allowed, "the volume keeps what was there")
	again.signal(syscall.SIGINT)
	require.Equal(t, 0, again.exit(), again.output)
}

// command reads the JSON form of a command.
func command(t *testing.T, form string) (words []string) {
	t.Helper()
	require.NoError(t, json.Unmarshal([]byte(form), &words), form)
	return words
}
