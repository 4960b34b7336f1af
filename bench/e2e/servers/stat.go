package servers

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// ticks is how many a second of CPU time has in /proc: the same on all of Linux.
const ticks = 100

// CPU is the time the program has computed so far, in steps of 10 ms. Children are not counted.
func (p *Process) CPU() (time.Duration, error) {
	line, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.PID))
	if err != nil {
		return 0, fmt.Errorf("ask for the CPU time of %s: %w", p.Name, err)
	}
	return parseStat(line)
}

// parseStat reads the 14th and 15th field. The second, the program's name, may have spaces.
func parseStat(line []byte) (time.Duration, error) {
	fields := strings.Fields(string(line[bytes.LastIndexByte(line, ')')+1:]))
	if len(fields) < 13 {
		return 0, fmt.Errorf("too few fields: %s", line)
	}
	var sum int64
	for _, field := range fields[11:13] {
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("read the CPU time: %w", err)
		}
		sum += n
	}
	return time.Duration(sum) * time.Second / ticks, nil
}

// Resident is the memory of the program, in bytes.
func (p *Process) Resident() (float64, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.PID))
	if err != nil {
		return 0, fmt.Errorf("ask for the memory of %s: %w", p.Name, err)
	}
	for line := range strings.Lines(string(status)) {
		if value, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kilobytes, err := strconv.ParseFloat(strings.Fields(value)[0], 64)
			return kilobytes * 1024, err
		}
	}
	return 0, fmt.Errorf("the memory of %s is not told", p.Name)
}

// Files is how many files and sockets the program has open.
func (p *Process) Files() (float64, error) {
	files, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", p.PID))
	if err != nil {
		return 0, fmt.Errorf("count the files of %s: %w", p.Name, err)
	}
	return float64(len(files)), nil
}

// Busy is the time that all cores have computed so far, whoever had them computed, the machine's host included.
func Busy() (time.Duration, error) {
	content, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, fmt.Errorf("ask for the CPU time of the machine: %w", err)
	}
	return parseBusy(content)
}

// parseBusy reads the first line: user, nice, system, idle, iowait, irq, softirq, steal.
func parseBusy(content []byte) (time.Duration, error) {
	line, _, _ := strings.Cut(string(content), "\n")
	fields := strings.Fields(line)
	if len(fields) < 9 || fields[0] != "cpu" {
		return 0, fmt.Errorf("no CPU time of the machine: %.100s", line)
	}
	var sum int64
	for i, field := range fields[1:9] {
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("read the CPU time of the machine: %w", err)
		}
		if idle := i == 3 || i == 4; !idle {
			sum += n
		}
	}
	return time.Duration(sum) * time.Second / ticks, nil
}
