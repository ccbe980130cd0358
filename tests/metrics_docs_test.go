// SPDX-License-Identifier: GPL-3.0-only

package tests

import (
	"fmt"
	"strings"
	"testing"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/require"
)

// TestSourceMetricsAreGenerated compares the list of metrics with what the
// daemon emits, of which internal/observe keeps a record that its own test
// compares with the daemon.
func TestSourceMetricsAreGenerated(t *testing.T) {
	t.Parallel()
	const document = "docs/reference/metrics.md"
	parser := expfmt.NewTextParser(model.LegacyValidation)
	record := readDocument(t, "internal/observe/testdata/metrics.txt")
	families, err := parser.TextToMetricFamilies(strings.NewReader(record))
	require.NoError(t, err)
	var table strings.Builder
	table.WriteString("| Metric | Labels | Unit | Meaning |\n|---|---|---|---|\n")
	for line := range strings.Lines(record) {
		name, found := strings.CutPrefix(line, "# TYPE ")
		if !found {
			continue
		}
		name, kind, _ := strings.Cut(strings.TrimSpace(name), " ")
		var labels []string
		for _, label := range families[name].GetMetric()[0].GetLabel() {
			labels = append(labels, "`"+label.GetName()+"`")
		}
		fmt.Fprintf(&table, "| `%s` | %s | %s | %s |\n", name, strings.Join(labels, ", "), unitOf(name, kind), families[name].GetHelp())
	}
	compare(t, document, replaceBetween(t, readDocument(t, document), "metrics", table.String()))
}

// unitOf is what a metric counts in, which Prometheus keeps in its name.
func unitOf(name, kind string) string {
	switch {
	case strings.HasSuffix(name, "_timestamp_seconds"):
		return "seconds since 1970, UTC"
	case strings.HasSuffix(name, "_seconds"):
		return "seconds"
	case kind == "counter":
		return "number since the daemon started"
	case strings.HasSuffix(name, "_healthy"), strings.HasSuffix(name, "_stage"):
		return "1 or 0"
	}
	return "number"
}

// TestSourceAlertsAreExplained: each alert has a paragraph of its own in the
// guide, and there is none of an alert that is not.
func TestSourceAlertsAreExplained(t *testing.T) {
	t.Parallel()
	var alerts, explained []string
	for line := range strings.Lines(readDocument(t, "internal/observe/alerts.yaml")) {
		if name, found := strings.CutPrefix(strings.TrimSpace(line), "- alert: "); found {
			alerts = append(alerts, name)
		}
	}
	for line := range strings.Lines(readDocument(t, "docs/how-to/observe.md")) {
		if name, found := strings.CutPrefix(strings.TrimSpace(line), "| `TLSAuthority"); found {
			name, _, _ = strings.Cut(name, "`")
			explained = append(explained, "TLSAuthority"+name)
		}
	}
	require.NotEmpty(t, alerts)
	require.Equal(t, alerts, explained, "in the order of the rules")
}
