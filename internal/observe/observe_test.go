// SPDX-License-Identifier: GPL-3.0-only

package observe_test

import (
	"crypto/sha3"
	"encoding/hex"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"tls-authority/internal/observe"
)

var topology = observe.Topology{Model: "my-model", ModelUUID: "12345678-1234-4abc-8def-1234567890ab", Application: "tls-authority"}

// keys checks that a databag has exactly the keys that its interface owns.
func keys(t *testing.T, bag observe.Bag, owns func(string) bool, want ...string) {
	t.Helper()
	require.Len(t, bag, len(want))
	for _, key := range want {
		require.Contains(t, bag, key)
		require.True(t, owns(key), key)
	}
	require.False(t, owns("ingress-address"), "Juju's own keys are not ours to remove")
}

func decode(t *testing.T, text string, value any) {
	t.Helper()
	require.NoError(t, json.Unmarshal([]byte(text), value), text)
}

func TestScrapeApplication(t *testing.T) {
	t.Parallel()
	bag := observe.EncodeScrapeApplication(topology, 9880)
	keys(t, bag, observe.IsScrapeApplicationKey, "scrape_jobs", "scrape_metadata", "alert_rules")
	require.JSONEq(t, `[{"job_name": "status", "metrics_path": "/metrics", "static_configs": [{"targets": ["*:9880"]}]}]`, bag["scrape_jobs"])
	require.JSONEq(t, `{"model": "my-model", "model_uuid": "12345678-1234-4abc-8def-1234567890ab",
		"application": "tls-authority", "charm_name": "tls-authority"}`, bag["scrape_metadata"])
	requireRules(t, bag["alert_rules"])
	require.Equal(t, bag, observe.EncodeScrapeApplication(topology, 9880), "the same every time")
}

// requireRules checks what the libraries do for charms with rules in files.
func requireRules(t *testing.T, text string) {
	t.Helper()
	require.NotContains(t, text, "%%")
	var file ruleFile
	decode(t, text, &file)
	source := readRules(t)
	require.Len(t, file.Groups, len(source.Groups))
	for g, group := range file.Groups {
		require.Equal(t, "my_model_12345678_tls_authority_"+source.Groups[g].Name+"_rules", group.Name)
		require.Regexp(t, `^.*?_[\da-f]{8}_.*?rules$`, group.Name, "other names are changed once more on the way")
		require.Len(t, group.Rules, len(source.Groups[g].Rules))
		for r, rule := range group.Rules {
			require.Equal(t, source.Groups[g].Rules[r].Labels["severity"], rule.Labels["severity"])
			delete(rule.Labels, "severity")
			require.Equal(t, map[string]string{
				"juju_model": "my-model", "juju_model_uuid": topology.ModelUUID, "juju_application": "tls-authority", "juju_charm": "tls-authority",
			}, rule.Labels, rule.Alert)
			selectors := regexp.MustCompile(`\b(tls_authority_[a-z_]+|up)\{`).FindAllString(rule.Expr, -1)
			require.NotEmpty(t, selectors)
			require.Len(t, selectors, strings.Count(rule.Expr, `juju_model="my-model",juju_model_uuid="`+topology.ModelUUID+`",juju_application="tls-authority"}`), rule.Expr)
		}
	}
}

func TestScrapeUnit(t *testing.T) {
	t.Parallel()
	bag := observe.EncodeScrapeUnit("tls-authority/3", "10.0.0.3")
	keys(t, bag, observe.IsScrapeUnitKey, "prometheus_scrape_unit_address", "prometheus_scrape_unit_name")
	require.Equal(t, "10.0.0.3", bag["prometheus_scrape_unit_address"])
	require.Equal(t, "tls-authority/3", bag["prometheus_scrape_unit_name"])
	require.Equal(t, "[fd00::1]", observe.EncodeScrapeUnit("a/0", "fd00::1")["prometheus_scrape_unit_address"], "a port is appended")
	require.Equal(t, "a.example.com", observe.EncodeScrapeUnit("a/0", "a.example.com")["prometheus_scrape_unit_address"])
}

func TestAgent(t *testing.T) {
	t.Parallel()
	bag := observe.EncodeAgent(topology, "fd00::1", 9880)
	keys(t, bag, observe.IsAgentKey, "config")
	var config map[string]json.RawMessage
	decode(t, bag["config"], &config)
	require.Len(t, config, 7)
	requireRules(t, string(config["metrics_alert_rules"]))
	require.JSONEq(t, `{}`, string(config["log_alert_rules"]))
	require.JSONEq(t, `[]`, string(config["log_slots"]))
	require.Equal(t, "null", string(config["subordinate"]))
	require.Equal(t, "null", string(config["tracing_protocols"]))
	require.JSONEq(t, `[{"job_name": "tls-authority_status", "metrics_path": "/metrics", "static_configs": [{"targets": ["[fd00::1]:9880"]}]}]`,
		string(config["metrics_scrape_jobs"]))
	var dashboards []string
	decode(t, string(config["dashboards"]), &dashboards)
	require.Len(t, dashboards, 1)
	require.Equal(t, string(compact(t)), string(unpack(t, dashboards[0])))
}

func TestDashboards(t *testing.T) {
	t.Parallel()
	bag := observe.EncodeDashboards(topology)
	keys(t, bag, observe.IsDashboardsKey, "dashboards")
	var shown struct {
		Templates map[string]map[string]any `json:"templates"`
		UUID      string                    `json:"uuid"`
	}
	decode(t, bag["dashboards"], &shown)
	require.Regexp(t, `^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`, shown.UUID)
	require.Len(t, shown.Templates, 1)
	template := shown.Templates["file:tls-authority"]
	require.Equal(t, string(compact(t)), string(unpack(t, template["content"].(string))))
	delete(template, "content")
	require.Equal(t, map[string]any{
		"charm": "tls-authority", "inject_dropdowns": true,
		"dashboard_alt_uid": hex.EncodeToString(sha3.SumSHAKE256([]byte("tls-authority-file:tls-authority"), 8)),
		"juju_topology":     map[string]any{"model": "my-model", "model_uuid": topology.ModelUUID, "application": "tls-authority"},
	}, template)
}

func TestParseLokiEndpoint(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`{"url": "http://10.1.2.3:3100/loki/api/v1/push"}`:               "http://10.1.2.3:3100/loki/api/v1/push",
		`{"url": "https://loki.example.com/cos-loki-0/push", "more": 1}`: "https://loki.example.com/cos-loki-0/push",
		`{"url": "http://[fd00::1]:3100/push"}`:                          "http://[fd00::1]:3100/push",
	} {
		got, err := observe.ParseLokiEndpoint(text)
		require.NoError(t, err, text)
		require.Equal(t, want, got)
	}
	for _, text := range []string{
		``, `{}`, `null`, `[]`, `"http://a"`, `{"url": 1}`, `{"url": ""}`, `{"url": "/push"}`, `{"url": "file:///etc/passwd"}`,
		`{"url": "http://"}`, `{"url": "http://a b/"}`, `{"url": "http://a/\u0000"}`, `{"url": "http://` + strings.Repeat("a", 5000) + `"}`,
	} {
		_, err := observe.ParseLokiEndpoint(text)
		require.ErrorContains(t, err, "cannot read the endpoint: ", text)
	}
}

func FuzzParseLokiEndpoint(f *testing.F) {
	f.Add(`{"url": "http://10.1.2.3:3100/loki/api/v1/push"}`)
	f.Add(`{"url": "http://user:password@[::1%25eth0]/\u0000"}`)
	f.Add(`[[[`)
	f.Fuzz(func(t *testing.T, text string) {
		url, err := observe.ParseLokiEndpoint(text)
		if err == nil {
			require.Regexp(t, `(?i)^https?://[^/]`, url)
			require.NotContains(t, url, "\n")
		}
	})
}

// TestPromtoolTakesTheRules asks Prometheus' own checker. The engine itself
// evaluates them in tests/heavy/observe.
func TestPromtoolTakesTheRules(t *testing.T) {
	t.Parallel()
	promtool, err := exec.LookPath("promtool")
	if err != nil {
		t.Skip("NOT CHECKED by promtool: it is not installed")
	}
	path := filepath.Join(t.TempDir(), "rules.yaml") // JSON is YAML
	require.NoError(t, os.WriteFile(path, []byte(observe.EncodeScrapeApplication(topology, 9880)["alert_rules"]), 0o600))
	text, err := exec.Command(promtool, "check", "rules", path).CombinedOutput()
	require.NoError(t, err, "%s", text)
}
