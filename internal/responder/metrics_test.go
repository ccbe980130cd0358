// SPDX-License-Identifier: GPL-3.0-only

package responder_test

import (
	"bytes"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/require"

	"tls-authority/internal/responder"
	"tls-authority/internal/spool"
)

// scrape reads the metrics as Prometheus does, one line for each.
func scrape(t *testing.T, server http.Handler) []string {
	t.Helper()
	response := get(t, server, "/metrics")
	require.Equal(t, http.StatusOK, response.StatusCode)
	require.Equal(t, expfmt.TypeTextPlain, expfmt.ResponseFormat(response.Header).FormatType())
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(bytes.NewReader(read(t, response)))
	require.NoError(t, err)
	var lines []string
	for name, family := range families {
		require.NotEmpty(t, family.GetHelp(), name)
		for _, metric := range family.GetMetric() {
			line := strings.TrimPrefix(name, "tls_authority_")
			require.NotEqual(t, name, line)
			for _, label := range metric.GetLabel() {
				line += fmt.Sprintf(" %s=%q", label.GetName(), label.GetValue())
			}
			require.Equal(t, strings.HasSuffix(name, "_total"), metric.GetCounter() != nil, name)
			lines = append(lines, fmt.Sprintf("%s %.1f", line, metric.GetCounter().GetValue()+metric.GetGauge().GetValue()))
		}
	}
	slices.Sort(lines)
	return lines
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	at, a := now, newAuthority(t, now)
	status := fullStatus(t, a)
	status.Generations[0].Chain = nil
	status.Generations[1].Certificate = newIssuer(t, "Old", now).Certificate().Raw
	server := a.start(t, status, &at)
	a.requireState(t, server, a.good, 0)
	a.requireState(t, server, a.good, 0)
	a.requireState(t, server, a.revoked, 1)
	a.requireState(t, server, a.unknown, 2)
	get(t, server, "/ca.pem")
	get(t, server, "/ca.pem", "If-None-Match", "*")
	get(t, server, "/crl/1.crl")
	get(t, server, "/crl/7.crl")
	get(t, server, "/ocsp/x")
	get(t, server, "/x")
	call(server, http.MethodPost, "/health", nil)
	require.Equal(t, []string{
		`backup_timestamp_seconds 1905247845.0`,
		`ca_not_after_timestamp_seconds active="false" generation="2" 2220611444.0`,
		`ca_not_after_timestamp_seconds active="true" generation="1" 2220611444.0`,
		`ca_not_before_timestamp_seconds active="false" generation="2" 1905251145.0`,
		`ca_not_before_timestamp_seconds active="true" generation="1" 1905251145.0`,
		`certificate_not_after_timestamp_seconds application="etcd" unit="etcd/0" 1905255045.0`,
		`certificate_renewal_timestamp_seconds application="etcd" unit="etcd/0" 1905251385.0`,
		`certificates application="etcd" unit="etcd/0" 2.0`,
		`certificates application="grafana" unit="" 0.0`,
		`certificates_expired 1.0`,
		`crl_entries generation="1" 1.0`,
		`crl_next_update_timestamp_seconds generation="1" 1905337845.0`,
		`crl_update_timestamp_seconds generation="1" 1905251145.0`,
		`healthy 1.0`,
		`hook_duration_seconds 1.5`,
		`hook_tool_calls 31.0`,
		`http_requests_total code="200" endpoint="ca" 1.0`,
		`http_requests_total code="200" endpoint="crl" 1.0`,
		`http_requests_total code="200" endpoint="ocsp" 5.0`,
		`http_requests_total code="304" endpoint="ca" 1.0`,
		`http_requests_total code="404" endpoint="crl" 1.0`,
		`http_requests_total code="404" endpoint="other" 1.0`,
		`http_requests_total code="405" endpoint="other" 1.0`,
		`ocsp_answers_total result="good" 2.0`,
		`ocsp_answers_total result="malformed-request" 1.0`,
		`ocsp_answers_total result="revoked" 1.0`,
		`ocsp_answers_total result="unknown" 1.0`,
		`relations_waiting 2.0`,
		`requests_denied code="101" 3.0`,
		`requests_denied code="102" 1.0`,
		`responder_not_after_timestamp_seconds generation="1" 1905855944.0`,
		`rotation_stage stage="issuing" 1.0`,
		`rotation_stage_due_timestamp_seconds stage="issuing" 1905330645.0`,
		`rotation_stage_timestamp_seconds stage="issuing" 1905244245.0`,
		`status_next_update_timestamp_seconds 1905424245.0`,
		`status_update_timestamp_seconds 1905251445.0`,
	}, scrape(t, server))
}

func TestMetricsEscape(t *testing.T) {
	t.Parallel()
	at, a := now, newAuthority(t, now)
	status := a.status(t)
	status.Metrics.Stage = "a\"b\\c\nd} 1\n\xff"
	server := a.start(t, status, &at)
	require.Contains(t, scrape(t, server), `rotation_stage stage="a\"b\\c\nd} 1\n�" 1.0`)
}

// TestMetricsOfAnOddStatus has two values for the same labels: the first counts,
// and all else is told.
func TestMetricsOfAnOddStatus(t *testing.T) {
	t.Parallel()
	at, a := now, newAuthority(t, now)
	status := a.status(t)
	status.Metrics.Leaves = []spool.Leaves{{Application: "etcd", Count: 1}, {Application: "etcd", Count: 2}}
	lines := scrape(t, a.start(t, status, &at))
	require.Contains(t, lines, "healthy 1.0")
	require.Contains(t, lines, "certificates_expired 0.0")
	require.Contains(t, lines, `certificates application="etcd" unit="" 1.0`)
	require.NotContains(t, lines, `certificates application="etcd" unit="" 2.0`)
}

func TestMetricsWithoutSpool(t *testing.T) {
	t.Parallel()
	at, a := now, newAuthority(t, now)
	server := a.start(t, spool.Status{ThisUpdate: now, NextUpdate: now.Add(1)}, &at)
	at = now.Add(2)
	require.Contains(t, scrape(t, server), "healthy 0.0")
	a.requireFailure(t, server, 3)
	require.Contains(t, scrape(t, server), `ocsp_answers_total result="try-later" 1.0`)

	a.spool.Path = t.TempDir()
	fresh := responder.New(a.spool, func() time.Time { return at }, discard())
	require.Equal(t, []string{"healthy 0.0"}, scrape(t, fresh))
}
