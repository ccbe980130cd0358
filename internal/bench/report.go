// SPDX-License-Identifier: GPL-3.0-only

package bench

import (
	"bufio"
	"os"
	"runtime"
	"slices"
	"strings"
)

// report is what --json writes. Times are seconds, of CPU (user and
// system) unless they are called wall; sizes are bytes.
type report struct {
	Machine   machine         `json:"machine"`
	Quick     bool            `json:"quick"`
	Seconds   float64         `json:"seconds"`
	StartUp   []startUpCost   `json:"start-up"`
	Requests  []requestCost   `json:"requests"`
	Fleet     []fleetCost     `json:"fleet"`
	Signing   []signingCost   `json:"signing"`
	Transport []transportCost `json:"transport"`
	Peers     []peerCost      `json:"peers"`
	Formula   []prediction    `json:"formula"`
	Entry     entrySize       `json:"entry"`
	Ratios    []ratio         `json:"ratios"`
}

type machine struct {
	Processor string `json:"processor"`
	Cores     int    `json:"cores"`
	System    string `json:"system"`
	Go        string `json:"go"`
}

func newMachine() machine {
	return machine{Processor: processorName(), Cores: runtime.NumCPU(), System: runtime.GOOS + "/" + runtime.GOARCH, Go: runtime.Version()}
}

// processorName is the kernel's word for the processor; "unknown" where it has
// none.
func processorName() string {
	file, err := os.Open("/proc/cpuinfo")
	if err != nil {
		return "unknown"
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), ":")
		if strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return "unknown"
}

// spread is a figure of several runs.
type spread struct {
	Median float64 `json:"median"`
	Least  float64 `json:"least"`
	Most   float64 `json:"most"`
	Runs   int     `json:"runs"`
}

// newSpread is zero without runs.
func newSpread(runs []float64) spread {
	if len(runs) == 0 {
		return spread{}
	}
	return spread{Median: median(runs), Least: slices.Min(runs), Most: slices.Max(runs), Runs: len(runs)}
}

// median of an even number of values lies between the middle two; of none it
// is 0.
func median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	middle := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[middle]
	}
	return (sorted[middle-1] + sorted[middle]) / 2
}
