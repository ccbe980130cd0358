// SPDX-License-Identifier: GPL-3.0-only

// Package observe tries the alert rules and the dashboard of the charm with
// the engine of Prometheus itself, on metrics that the daemon was recorded to
// emit. It is a module of its own, so that nothing else depends on Prometheus.
package observe

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"maps"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/promql/promqltest"
	"github.com/prometheus/prometheus/rules"
	"github.com/prometheus/prometheus/util/teststorage"
	"github.com/stretchr/testify/require"

	"tls-authority/internal/observe"
)

const (
	day  = 24 * time.Hour
	root = "../../../"
)

// recorded is when the metrics were recorded.
var recorded = time.Date(2030, 5, 17, 10, 30, 45, 0, time.UTC)

var topology = observe.Topology{Model: "pki", ModelUUID: "12345678-1234-4abc-8def-1234567890ab", Application: "tls-authority"}

// samples are the values of a moment by what they are of; the key of a map is
// the text of the labels.
type samples map[string]sample

type sample struct {
	labels labels.Labels
	value  float64
}

// record are the metrics of two units that are well, with the labels that the
// stack adds to them, and those of another application.
func record(t *testing.T) samples {
	t.Helper()
	text, err := os.ReadFile(root + "internal/observe/testdata/metrics.txt")
	require.NoError(t, err)
	decoder := expfmt.NewTextParser(model.LegacyValidation)
	families, err := decoder.TextToMetricFamilies(bytes.NewReader(text))
	require.NoError(t, err)
	all := samples{}
	for _, unit := range []string{"tls-authority/0", "tls-authority/1", "another/0"} {
		application, _, _ := strings.Cut(unit, "/")
		juju := []string{"juju_model", "pki", "juju_model_uuid", topology.ModelUUID, "juju_application", application, "juju_unit", unit}
		all.set(1, append(juju, "__name__", "up")...)
		for name, family := range families {
			for _, metric := range family.GetMetric() {
				own := append(slices.Clone(juju), "__name__", name)
				for _, label := range metric.GetLabel() {
					own = append(own, label.GetName(), label.GetValue())
				}
				all.set(metric.GetCounter().GetValue()+metric.GetGauge().GetValue(), own...)
			}
		}
	}
	// Only so that the record has every metric, a request was denied in it.
	return all.without("", "tls_authority_requests_denied")
}

func (s samples) set(value float64, pairs ...string) {
	own := labels.FromStrings(pairs...)
	s[own.String()] = sample{own, value}
}

// without drops a metric: of one unit, or of all.
func (s samples) without(unit, metric string) samples {
	maps.DeleteFunc(s, func(_ string, one sample) bool {
		return one.labels.Get("__name__") == metric && (unit == "" || one.labels.Get("juju_unit") == unit)
	})
	return s
}

// with gives a metric of our units another value.
func (s samples) with(metric string, value float64) samples {
	for key, one := range s {
		if one.labels.Get("__name__") == metric && one.labels.Get("juju_application") == topology.Application {
			s[key] = sample{one.labels, value}
		}
	}
	return s
}

// only gives a metric of one unit another value.
func (s samples) only(unit, metric string, value float64) samples {
	for key, one := range s {
		if one.labels.Get("__name__") == metric && one.labels.Get("juju_unit") == unit {
			s[key] = sample{one.labels, value}
		}
	}
	return s
}

// and adds a metric of our first unit.
func (s samples) and(metric string, value float64, pairs ...string) samples {
	s.set(value, append([]string{"__name__", metric, "juju_model", "pki", "juju_model_uuid", topology.ModelUUID,
		"juju_application", topology.Application, "juju_unit", "tls-authority/0"}, pairs...)...)
	return s
}

func unix(t time.Time) float64 { return float64(t.Unix()) }

// groups reads the rules as the charm sends them.
func groups(t *testing.T) []rulefmt.RuleGroup {
	t.Helper()
	text := observe.EncodeScrapeApplication(topology, 9880)["alert_rules"]
	file, errs := rulefmt.Parse([]byte(text), false, model.LegacyValidation, parser.NewParser(parser.Options{}), slog.New(slog.DiscardHandler))
	require.Empty(t, errs)
	require.NotEmpty(t, file.Groups)
	return file.Groups
}

func find(t *testing.T, alert string) rulefmt.Rule {
	t.Helper()
	for _, group := range groups(t) {
		for _, rule := range group.Rules {
			if rule.Alert == alert {
				return rule
			}
		}
	}
	t.Fatalf("no alert %s", alert)
	return rulefmt.Rule{}
}

// fire evaluates a rule on samples that stay as they are from a moment on, for
// as long as the rule wants, and returns what fires then.
func fire(t *testing.T, rule rulefmt.Rule, s samples, from time.Time) []*rules.Alert {
	t.Helper()
	storage := teststorage.New(t)
	engine := promqltest.NewTestEngine(t, false, 0, 100_000)
	expr, err := parser.NewParser(parser.Options{}).ParseExpr(rule.Expr)
	require.NoError(t, err)
	alerting := rules.NewAlertingRule(rule.Alert, expr, time.Duration(rule.For), 0, labels.FromMap(rule.Labels),
		labels.FromMap(rule.Annotations), labels.EmptyLabels(), "", true, slog.New(slog.DiscardHandler))
	ctx := context.Background()
	query := rules.EngineQueryFunc(engine, storage)
	for _, at := range []time.Time{from, from.Add(time.Duration(rule.For) / 2), from.Add(time.Duration(rule.For))} {
		appender := storage.Appender(ctx)
		for _, one := range s {
			_, err := appender.Append(0, one.labels, at.UnixMilli(), one.value)
			require.NoError(t, err)
		}
		require.NoError(t, appender.Commit())
		_, err = alerting.Eval(ctx, 0, at, query, &url.URL{}, 0)
		require.NoError(t, err)
	}
	return slices.DeleteFunc(alerting.ActiveAlerts(), func(a *rules.Alert) bool { return a.State != rules.StateFiring })
}

// TestNothingFiresWhenAllIsWell is what an operator wants most of alerts.
func TestNothingFiresWhenAllIsWell(t *testing.T) {
	t.Parallel()
	for _, group := range groups(t) {
		for _, rule := range group.Rules {
			t.Run(rule.Alert, func(t *testing.T) {
				t.Parallel()
				require.Empty(t, fire(t, rule, record(t), recorded))
			})
		}
	}
}

// panel is a panel of the dashboard, as far as it matters here.
type panel struct {
	Title   string `json:"title"`
	Targets []struct {
		Expr string `json:"expr"`
	} `json:"targets"`
}

// TestDashboardShowsSomething evaluates every query with all of the variables
// chosen. The daemon counts on for a while, or there would be no rate.
func TestDashboardShowsSomething(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(root + "internal/observe/dashboard.json")
	require.NoError(t, err)
	var dashboard struct {
		Panels []panel `json:"panels"`
	}
	require.NoError(t, json.Unmarshal(text, &dashboard))
	storage := teststorage.New(t)
	ctx := context.Background()
	s := record(t).and("tls_authority_requests_denied", 1, "code", "102")
	for minute := range 10 {
		appender := storage.Appender(ctx)
		for _, one := range s {
			value := one.value
			if strings.HasSuffix(one.labels.Get("__name__"), "_total") {
				value += float64(minute * 60)
			}
			_, err := appender.Append(0, one.labels, recorded.Add(time.Duration(minute)*time.Minute).UnixMilli(), value)
			require.NoError(t, err)
		}
		require.NoError(t, appender.Commit())
	}
	variables := strings.NewReplacer("$juju_model_uuid", ".*", "$juju_model", ".*", "$juju_application", "tls-authority", "$juju_unit", "tls-authority/.*", "$__rate_interval", "5m")
	query := rules.EngineQueryFunc(promqltest.NewTestEngine(t, false, 0, 100_000), storage)
	tried := 0
	for _, p := range dashboard.Panels {
		for _, target := range p.Targets {
			expr := variables.Replace(target.Expr)
			require.NotContains(t, expr, "$", p.Title)
			vector, err := query(ctx, expr, recorded.Add(9*time.Minute))
			require.NoError(t, err, "%s: %s", p.Title, expr)
			require.NotEmpty(t, vector, "%s: %s", p.Title, expr)
			for _, one := range vector {
				require.NotEqual(t, "another", one.Metric.Get("juju_application"), p.Title)
				if strings.Contains(expr, "rate(") {
					require.InDelta(t, 2.0, one.F, 0.01, "a second, of both units: %s", expr)
				}
			}
			tried++
		}
	}
	require.Greater(t, tried, 20)
}
