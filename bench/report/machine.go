package report

import (
	"bufio"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strings"
)

// Machine tells what a program runs on.
type Machine struct {
	CPU   string
	Cores int
	OS    string
	Go    string
}

// ThisMachine asks the system.
func ThisMachine() Machine {
	m := Machine{
		CPU: field("/proc/cpuinfo", "model name", ":"), Cores: runtime.NumCPU(),
		OS: field("/etc/os-release", "PRETTY_NAME", "="), Go: runtime.Version(),
	}
	if m.CPU == "" {
		said, _ := exec.Command("sysctl", "-n", "machdep.cpu.brand_string").Output()
		m.CPU = strings.TrimSpace(string(said))
	}
	if m.CPU == "" {
		m.CPU = "unknown"
	}
	m.CPU += ", " + runtime.GOARCH
	if m.OS == "" {
		m.OS = runtime.GOOS
	}
	return m
}

// field finds the first line of the file that begins with the name, and returns what stands behind the separator.
func field(file, name, separator string) string {
	f, err := os.Open(file)
	if err != nil {
		return ""
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if found, value, ok := strings.Cut(lines.Text(), separator); ok && strings.TrimSpace(found) == name {
			return strings.Trim(strings.TrimSpace(value), `"`)
		}
	}
	return ""
}

// Version returns the version of a module that this program was built from.
func Version(module string) string {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, dependency := range info.Deps {
			if dependency.Path == module {
				return dependency.Version
			}
		}
	}
	return "unknown"
}
