// SPDX-License-Identifier: GPL-3.0-only

package bench

import (
	"bytes"
	"crypto"
	"crypto/tls"
	"encoding/json"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestMedian(t *testing.T) {
	t.Parallel()
	require.Zero(t, median(nil))
	require.Equal(t, 3.0, median([]float64{3}))
	require.Equal(t, 2.5, median([]float64{4, 1, 3, 2}))
	unsorted := []float64{9, 1, 5}
	require.Equal(t, 5.0, median(unsorted))
	require.Equal(t, []float64{9, 1, 5}, unsorted)
	require.Equal(t, spread{Median: 2, Least: 1, Most: 7, Runs: 3}, newSpread([]float64{7, 1, 2}))
	require.Equal(t, spread{}, newSpread(nil))
}

func TestFigureFormats(t *testing.T) {
	t.Parallel()
	for want, got := range map[string]string{
		"-":        formatSeconds(0),
		"30.5 µs":  formatSeconds(30.5e-6),
		"999 µs":   formatSeconds(999e-6),
		"1.25 ms":  formatSeconds(1.25e-3),
		"1.00 ms":  formatSeconds(0.9996e-3),
		"143 ms":   formatSeconds(0.1431),
		"1.20 s":   formatSeconds(1.2),
		"1,024 s":  formatSeconds(1024),
		"999 B":    formatBytes(999),
		"4.31 kB":  formatBytes(4308),
		"11.8 MB":  formatBytes(11_800_000),
		"2.00 GB":  formatBytes(2e9),
		"128 MiB":  formatMemory(128 << 20),
		"9.50 MiB": formatMemory(19 << 19),
		"0.70×":    formatRatio(0.7),
		"9.99×":    formatRatio(9.99),
		"10.0×":    formatRatio(9.999),
		"64.4×":    formatRatio(64.4),
		"5,890×":   formatRatio(5890),
	} {
		require.Equal(t, want, got)
	}
	require.Equal(t, "-", formatRatio(divide(1, 0)))
	require.Equal(t, "-", formatBytes(0))
	require.Equal(t, "1,234,567", grouped(1234567))
	require.Equal(t, "999", grouped(999))
}

func TestTables(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	require.NoError(t, writeTables(&out, []table{
		{title: "Empty", head: []string{"a"}},
		{title: "Times", notes: []string{"A note."}, head: []string{"run", "CPU"}, rows: [][]string{{"long name", "1 µs"}, {"b", "100 ms"}}},
	}))
	require.Equal(t, strings.Join([]string{
		"",
		"Times",
		"  run           CPU",
		"  long name    1 µs",
		"  b          100 ms",
		"  A note.",
		"",
	}, "\n"), out.String())
}

// sampleReport is a run in which every figure is easy to check.
func sampleReport() report {
	at := func(seconds float64) spread { return newSpread([]float64{seconds}) }
	r := report{
		StartUp: []startUpCost{{Name: emptyRun, CPU: at(0.005)}, {Name: noEventRun, CPU: at(0.01)}, {Name: idleRun, CPU: at(0.02), Calls: 6}},
		Fleet: []fleetCost{
			{Units: 10, CPU: 1, LastCPU: at(0.9), LastCalls: 12, LastMoved: 100, Wire: 50, Decode: at(0.001), Encode: at(0.001)},
			{Units: 1000, CPU: 200, LastCPU: at(0.25), Beside: at(0.1), LastCalls: 12, LastMoved: 8000, Read: 3_000_000, Wire: 4000, Decode: at(0.06), Encode: at(0.04)},
		},
		Signing:   []signingCost{{CAKey: "ecdsa-p256", Bare: at(1e-4), Issue: at(2e-4), OneHook: at(0.02), Batch: 100, BatchHook: at(0.1), Plain: at(0.08), PlainWhole: at(0.09)}},
		Transport: []transportCost{{Name: byRPC, Wall: at(1e-4)}, {Name: byExec, Wall: at(1e-2)}, {Name: noTool, Wall: at(1e-3)}},
		Peers: []peerCost{
			{Name: easyrsaName, Key: "rsa-2048", CPU: at(0.4), Ours: at(0.1)},
			{Name: "step", Key: "rsa-2048", Missing: "it cannot be built"},
		},
	}
	for _, issued := range []int{10, 100, 1000} {
		size := int64(1000 + 20*issued)
		r.Requests = append(r.Requests, requestCost{
			Dialect: "csr", Relations: 1, Issued: issued, CPU: at(0.03), Peak: 64 << 20, ApplicationBag: size, PeerBag: size, Read: size, Written: size,
		})
	}
	r.Requests = append(r.Requests,
		requestCost{Dialect: "csr", Relations: 10, Issued: 1000, CPU: at(0.03), Peak: 1 << 30, ApplicationBag: 21_000, PeerBag: 201_000, Read: 1, Written: 1},
		requestCost{Dialect: "legacy", Key: "rsa-2048", Relations: 1, Issued: 10, CPU: at(0.1)},
	)
	r.Formula = predictAll(r)
	r.Ratios = newRatios(r)
	return r
}

func TestRatios(t *testing.T) {
	t.Parallel()
	targets := map[string]string{}
	values := map[string]float64{}
	for _, one := range sampleReport().Ratios {
		require.NotContains(t, targets, one.Name)
		targets[one.Name], values[one.Name] = one.target(), one.Value
	}
	one := func(name string, value float64, target string) {
		t.Helper()
		require.Contains(t, values, name)
		require.InDelta(t, value, values[name], 1e-9, name)
		require.Equal(t, target, targets[name], name)
	}
	one("idle update-status ÷ an empty Go program", 4, "-")
	one("CPU a unit at 1000 ÷ (at 10 + 1.5 × decode and encode of the list)", 1, "at most 1.00×, met")
	one("bytes a hook moves at 1000 ÷ one read and one write of the list", 1, "at most 1.00×, met")
	one("ecdsa-p256: throughput, hook with 100 CSRs ÷ sign, re-parse, verify", 0.8, "at least 0.70×, met")
	one("ecdsa-p256: one hook with one CSR ÷ one bare signature", 200, "-")
	one("ecdsa-p256: signatures/s, internal/pki ÷ bare crypto/x509", 0.5, "-")
	one("peak memory at 10 × 1000 issued ÷ 512 MiB", 2, "at most 1.00×, missed")
	one("peak memory at 1000 issued ÷ 128 MiB", 0.5, "at most 1.00×, met")
	one("one CSR at 1000 issued ÷ one plain decode of the list", 0.5, "-")
	one(byExec+" ÷ by RPC", 100, "at least 20.0×, met")
	one(noTool+" ÷ by RPC", 10, "at least 20.0×, missed")
	one("easy-rsa ÷ our legacy hook, rsa-2048", 4, "at least 4.00×, met")
	require.NotContains(t, values, "step ÷ our legacy hook, rsa-2048")
	require.Empty(t, newRatios(report{}))
}

func TestFormula(t *testing.T) {
	t.Parallel()
	r := sampleReport()
	var names []string
	for _, p := range r.Formula {
		names = append(names, p.What+" "+requestCost{Relations: p.Relations, Issued: p.Issued}.issued())
		if strings.Contains(p.What, "fleet") {
			continue
		}
		require.InDelta(t, 1000, p.Base, 1e-6)
		require.InDelta(t, 20, p.Each, 1e-6)
		require.InDelta(t, p.Measured, p.Predicted, 1e-6, p.What)
	}
	require.Equal(t, []string{
		"application bag 1,000", "application bag 10 × 1,000", "peer bag 1,000", "peer bag 10 × 1,000", "read by the hook 1,000", "written by the hook 1,000",
		"read by the hook, whole fleet 10", "written by the hook, whole fleet 10", "read by the hook, whole fleet 1,000", "written by the hook, whole fleet 1,000",
	}, names)
	// Sum of 1000 + 20 n for n from 0 to 999.
	require.InDelta(t, 10_990_000, r.Formula[8].Predicted, 1e-6)
	require.Empty(t, predict(sizeFigures[1], r.Requests[:3]), "a bag that does not grow")
}

func TestEntrySize(t *testing.T) {
	t.Parallel()
	list := `[{"certificate_signing_request":"abc","certificate":"de","ca":"f","chain":["de","f"]},{}]`
	e, err := newEntrySize(list)
	require.NoError(t, err)
	require.Equal(t, 5, e.CSR)
	require.Equal(t, len(list)-len(`[{}]`), e.total())
	_, err = newEntrySize(`[]`)
	require.Error(t, err)
	_, err = newEntrySize(`{`)
	require.Error(t, err)
}

func TestReport(t *testing.T) {
	t.Parallel()
	r := sampleReport()
	t.Run("JSON loses nothing", func(t *testing.T) {
		t.Parallel()
		file := filepath.Join(t.TempDir(), "new", "bench.json")
		b := &bench{options: options{json: file}, report: r}
		require.NoError(t, b.writeJSON())
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		var read report
		require.NoError(t, json.Unmarshal(text, &read))
		require.Equal(t, r, read)
	})
	t.Run("every table has as many cells as columns", func(t *testing.T) {
		t.Parallel()
		for _, table := range r.tables() {
			require.NotEmpty(t, table.rows, table.title)
			for _, row := range table.rows {
				require.Len(t, row, len(table.head), table.title)
			}
		}
	})
	t.Run("a peer that could not be had is shown and named", func(t *testing.T) {
		t.Parallel()
		var out bytes.Buffer
		require.NoError(t, writeTables(&out, r.tables()))
		require.Contains(t, out.String(), "NOT MEASURED: step, rsa-2048: it cannot be built")
		require.Contains(t, out.String(), "Ratios\n")
	})
}

func TestBenchOptions(t *testing.T) {
	t.Parallel()
	require.NoError(t, options{peers: "auto"}.check())
	require.NoError(t, options{peers: "none", only: []string{"fleet", "csr"}}.check())
	require.ErrorContains(t, options{peers: "some"}.check(), `--peers is "some"`)
	require.ErrorContains(t, options{peers: "none", only: []string{"dance"}}.check(), `--only has "dance"`)
	for _, sizes := range []sizes{newSizes(true), newSizes(false)} {
		require.GreaterOrEqual(t, sizes.fleet[0], lastUnits)
		require.IsIncreasing(t, sizes.fleet)
		require.IsIncreasing(t, sizes.csr)
		require.GreaterOrEqual(t, len(sizes.csr), 3, "two sizes make the line, the third is held against it")
		require.GreaterOrEqual(t, len(sizes.legacy), 3)
	}
}

func TestHighWaterMark(t *testing.T) {
	t.Parallel()
	require.Equal(t, int64(12345<<10), highWaterMark([]byte("Name:\tdispatch\nVmPeak:\t  99 kB\nVmHWM:\t   12345 kB\nVmRSS:\t 1 kB\n")))
	require.Zero(t, highWaterMark([]byte("Name:\tdispatch\n")))
	status, err := os.ReadFile("/proc/self/status")
	require.NoError(t, err)
	require.Positive(t, highWaterMark(status))
}

func TestBaselines(t *testing.T) {
	t.Parallel()
	key, err := newPlainKey("ecdsa-p256")
	require.NoError(t, err)
	request, err := newRequest("db-1", key)
	require.NoError(t, err)
	for work, figures := range map[string][]string{"batch": {"plain", "whole"}, "bare": {"signature"}, "issue": {"signature"}} {
		t.Run(work, func(t *testing.T) {
			t.Parallel()
			got := orderBaseline(t, baselineOrder{Work: work, KeyType: "ecdsa-p256", Runs: 2, Count: 3, Requests: []string{request, request}})
			require.Len(t, got, len(figures))
			for _, figure := range figures {
				require.Equal(t, 2, got[figure].Runs, figure)
			}
		})
	}
	t.Run("list", func(t *testing.T) {
		t.Parallel()
		got := orderBaseline(t, baselineOrder{Work: "list", Runs: 3, Requests: []string{`[{"certificate":"a","chain":["b"]}]`}})
		require.Equal(t, 3, got["decode"].Runs)
		require.Equal(t, 3, got["encode"].Runs)
	})
	t.Run("an unknown one is refused", func(t *testing.T) {
		t.Parallel()
		var out bytes.Buffer
		require.ErrorContains(t, runBaseline(strings.NewReader(`{"work":"dance"}`), &out), `no baseline "dance"`)
		require.Empty(t, out.String())
	})
}

func orderBaseline(t *testing.T, order baselineOrder) baselineFigures {
	t.Helper()
	text, err := json.Marshal(order)
	require.NoError(t, err)
	var out bytes.Buffer
	require.NoError(t, runBaseline(bytes.NewReader(text), &out))
	var figures baselineFigures
	require.NoError(t, json.Unmarshal(out.Bytes(), &figures))
	return figures
}

func TestPeerResultsAreChecked(t *testing.T) {
	t.Parallel()
	w := peerWork{folder: t.TempDir(), keyType: "ecdsa-p256"}
	require.NoError(t, w.makeAuthority())
	authority := readAuthority(t, w)
	key, err := newPlainKey("ecdsa-p256")
	require.NoError(t, err)
	request, err := newRequest("server-1", key)
	require.NoError(t, err)
	parsed, err := parsePlainRequest(request)
	require.NoError(t, err)
	der, err := authority.sign(parsed)
	require.NoError(t, err)
	made := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})

	require.NoError(t, w.check(made, "server-1.example.com"))
	require.Error(t, w.check(made, "server-2.example.com"), "another name")
	require.ErrorContains(t, w.check([]byte("none"), "server-1.example.com"), "no PEM")
	w.keyType = "rsa-2048"
	require.ErrorContains(t, w.check(made, "server-1.example.com"), `key of type "ecdsa-p256"`)
	require.NoError(t, w.makeAuthority())
	require.Error(t, w.check(made, "server-1.example.com"), "another CA")
}

// readAuthority takes what peers are given.
func readAuthority(t *testing.T, w peerWork) *plainAuthority {
	t.Helper()
	pair, err := tls.LoadX509KeyPair(w.file("ca.pem"), w.file("ca.key"))
	require.NoError(t, err)
	return &plainAuthority{certificate: pair.Leaf, key: pair.PrivateKey.(crypto.Signer)}
}

func TestVersionIn(t *testing.T) {
	t.Parallel()
	require.Equal(t, "3.0.19", versionIn("OpenSSL 3.0.19 27 Jan 2026"))
	require.Equal(t, "3.1.0", versionIn("EasyRSA Version Information\nVersion:     3.1.0\n"))
	require.Equal(t, "unknown", versionIn("none"))
}
