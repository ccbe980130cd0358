// SPDX-License-Identifier: GPL-3.0-only

package tests

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"tls-authority/internal/jujusim"
)

const (
	// flood is what a hostile requirer puts into one databag, in bytes.
	flood = 10 << 20
	// memoryLimit bounds what a hook takes of memory. It is a count of bytes and
	// far above what is needed, so that only what grows out of proportion
	// reaches it.
	memoryLimit = 256 << 20
	// toldLimit bounds what a flood makes the charm write: into the databag of
	// the relation besides answers, and into its own record.
	toldLimit = 2 << 20
)

// watchMemory notes the most memory that a hook had at any call of a hook tool.
// The kernel's count for an ended process (ru_maxrss) begins with that of the
// test, of which the hook was forked; VmHWM is the hook's own.
func (s *site) watchMemory() (peak func() int) {
	most, found := 0, 0
	s.Intervene(func(call jujusim.Call) jujusim.Intervention {
		program := filepath.Join(s.Directory(), "agents", "unit-"+strings.ReplaceAll(call.Unit, "/", "-"), "charm", "dispatch")
		if line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", found)); err != nil || !bytes.Contains(line, []byte(program)) {
			found = findProcess(program)
		}
		if size := peakMemory(found); size > most {
			most = size
		}
		return jujusim.Intervention{}
	})
	return func() int {
		s.t.Helper()
		require.NotZero(s.t, most, "no hook was seen")
		return most
	}
}

// findProcess finds the process of a program, 0 for none.
func findProcess(program string) int {
	entries, _ := os.ReadDir("/proc")
	for _, entry := range entries {
		id, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		line, _ := os.ReadFile(filepath.Join("/proc", entry.Name(), "cmdline"))
		if first, _, _ := bytes.Cut(line, []byte{0}); string(first) == program {
			return id
		}
	}
	return 0
}

var highWater = regexp.MustCompile(`VmHWM:\s+(\d+) kB`)

// peakMemory is the most physical memory that a process has had, in bytes.
func peakMemory(id int) int {
	status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", id))
	match := highWater.FindSubmatch(status)
	if match == nil {
		return 0
	}
	size, _ := strconv.Atoi(string(match[1]))
	return size << 10
}

// filled repeats a text until it is as long as a flood.
func filled(open, text, end string) string {
	return open + strings.Repeat(text, (flood-len(open)-len(end))/len(text)) + end
}

// floods are databags of ten megabytes, one for each way in which they were, or
// might be, too much. What a parser makes of all others is tested beside it.
func floods(csr string) map[string]map[string]string {
	const keys = 100_000
	tiny := map[string]string{}
	for i := range keys {
		tiny[fmt.Sprintf("key_%d.server.cert", i)] = strings.Repeat("v", flood/keys-len("key_12345.server.cert"))
	}
	asking := func(key, value string) map[string]string {
		return map[string]string{"common_name": "hostile.example.com", key: value}
	}
	return map[string]map[string]string{
		"a hundred thousand keys":           tiny,
		"one CSR in a list again and again": {"certificate_signing_requests": filled("[", fmt.Sprintf(`{"certificate_signing_request": %q},`, csr), `{"ca": true}]`)},
		"a list of numbers":                 {"certificate_signing_requests": filled("[", "1,", "1]")},
		"a unit's name that does not end":   asking("unit_name", filled("", "a", "")),
		"names of an application":           asking("application_cert_requests", manyNames()),
	}
}

// manyNames asks for a certificate that is shared with ten megabytes of names.
func manyNames() string {
	var text strings.Builder
	for i := 0; text.Len() < flood-200_000; i++ {
		fmt.Fprintf(&text, `%s"name-%d.example.com": {"sans": [`, map[bool]string{true: "{", false: ","}[i == 0], i)
		for n := range 900 {
			fmt.Fprintf(&text, `"%s-%d-%d.example.com",`, strings.Repeat("n", 40), i, n)
		}
		text.WriteString(`"last.example.com"]}`)
	}
	return text.String() + "}"
}

// TestDatabagsOfTenMegabytesStopNobody floods the databags of the units of one
// application, each in another way, and of the application: their neighbours, in
// the same relation and in others, keep what they have and get what they ask for
// anew; hooks stay small, and so does what is written because of it.
func TestDatabagsOfTenMegabytesStopNobody(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	csr, _ := newCSR(t, named("hostile.example.com"))
	neighbour, _ := newCSR(t, named("neighbour.example.com"))
	other, _ := newCSR(t, named("other.example.com"))
	all := floods(csr)
	rows := slices.Sorted(maps.Keys(all))
	last := fmt.Sprintf("flood/%d", len(rows))
	require.NoError(t, s.AddStandIn("flood", len(rows)+1))
	relation, err := s.Relate(charm+":certificates", "flood:certificates")
	require.NoError(t, err)
	for i, row := range rows {
		bag := all[row]
		require.Greater(t, sizeOf(bag), flood*9/10, row)
		require.NoError(t, s.SetBag(relation, fmt.Sprintf("flood/%d", i), bag), row)
	}
	require.NoError(t, s.SetBag(relation, "flood", map[string]string{
		"certificate_signing_requests": filled("[", `{"certificate_signing_request": "x", "ca": true},`, `{}]`),
	}))
	require.NoError(t, s.SetBag(relation, last, csrBag(t, neighbour)))
	require.NoError(t, s.SetBag(relation, last, map[string]string{"unit_name": strings.ReplaceAll(last, "/", "_"), "common_name": "10.6.0.9"}))
	require.NoError(t, s.SetBag(s.good, "good/0", csrBag(t, s.goodCSR, other)))

	peak := s.watchMemory()
	joined := func(run jujusim.HookRun) bool { return run.Hook == "certificates-relation-joined" }
	s.Pass(joined) // each reads what the next hook reads again; the last reads all
	s.settle()
	require.NoError(t, s.UpdateStatus(charm+"/0"))
	t.Logf("a hook took %d MiB at most", peak()>>20)
	require.Less(t, peak(), memoryLimit)

	require.Contains(t, s.answers(relation), neighbour, "another unit of the sender")
	require.Contains(t, s.answers(relation), csr, "what can be read of a flood")
	requireServer(t, s.root, serverPair(s.legacy(relation), strings.ReplaceAll(last, "/", "_")).leaf(t))
	require.Contains(t, s.answers(s.good), other, "another application")
	require.NotEmpty(t, s.errors(relation))
	require.Less(t, sizeOf(s.Bag(relation, charm)), toldLimit)
	require.Less(t, sizeOf(s.legacy(relation)), toldLimit)
	require.Less(t, sizeOf(s.peerBag()), toldLimit)
	status, message := s.Status(charm + "/0")
	require.Equal(t, "active", status)
	require.Contains(t, message, "denied: flood")
	require.LessOrEqual(t, len([]rune(message)), 241)
	requireNoKeyLeaks(t, s.site)

	require.NoError(t, s.RemoveRelation(relation))
	require.NoError(t, s.SetBag(s.good, "good/0", csrBag(t, s.goodCSR)))
	s.settle()
	s.requireNeighbours(t)
	_, message = s.Status(charm + "/0")
	require.NotContains(t, message, "denied", "nothing of it is left")
	for _, run := range s.Hooks() {
		require.Zero(t, run.ExitCode, run.Hook)
	}
}

// sizeOf is what Juju counts of a databag.
func sizeOf(bag map[string]string) int {
	size := 0
	for key, value := range bag {
		size += len(key) + len(value)
	}
	return size
}
