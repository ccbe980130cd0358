// SPDX-License-Identifier: GPL-3.0-only

package observe_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/require"
	"gopkg.in/yaml.v3"

	"tls-authority/internal/pki"
	"tls-authority/internal/responder"
	"tls-authority/internal/spool"
)

// recorded is when the metrics were recorded.
var recorded = time.Date(2030, 5, 17, 10, 30, 45, 0, time.UTC)

// status is one of which the daemon makes every metric that it has.
func status(t *testing.T) (spool.Status, pki.PrivateKey) {
	t.Helper()
	newKey := func() pki.PrivateKey {
		key, err := pki.GenerateKey(pki.ECDSAP256)
		require.NoError(t, err)
		return key
	}
	key := newKey()
	root, err := pki.CreateSelfSigned(pki.Template{
		Profile: pki.Root, Subject: pki.Subject{CommonName: "Recorded G1"}, Validity: pki.NewValidity(recorded, 10*365*24*time.Hour),
	}, key)
	require.NoError(t, err)
	issuer, err := pki.NewIssuer(root, key)
	require.NoError(t, err)
	list, err := issuer.SignCRL(pki.RevocationList{
		Number: big.NewInt(1), ThisUpdate: recorded.Add(-pki.Backdate), NextUpdate: recorded.Add(4 * 24 * time.Hour),
		Entries: []pki.Revocation{{Serial: big.NewInt(77), RevokedAt: recorded, Reason: pki.KeyCompromise}},
	})
	require.NoError(t, err)
	own := newKey()
	subject, err := pki.ResponderSubject("tls-authority/0", own.Public())
	require.NoError(t, err)
	validity, err := pki.ValidityOf(root).Clip(recorded, pki.ResponderLifetime)
	require.NoError(t, err)
	certificate, err := issuer.Issue(pki.Template{Profile: pki.Responder, Subject: subject, Validity: validity}, own.Public())
	require.NoError(t, err)
	return spool.Status{
		ThisUpdate: recorded, NextUpdate: recorded.Add(2 * 24 * time.Hour),
		Generations: []spool.Generation{{ID: 1, Active: true, Certificate: root.Raw, CRL: list, Responder: certificate.Raw}},
		Metrics: spool.Metrics{
			Leaves: []spool.Leaves{
				{Application: "etcd", Unit: "etcd/0", Count: 2, NotAfter: recorded.Add(365 * 24 * time.Hour), Renewal: recorded.Add(243 * 24 * time.Hour)},
				{Application: "grafana", Count: 1, NotAfter: recorded.Add(90 * 24 * time.Hour), Renewal: recorded.Add(84 * 24 * time.Hour)},
			},
			Denied: map[int]int{102: 1}, Stage: "issuing",
			StageSince: recorded.Add(-2 * time.Hour), StageDue: recorded.Add(22 * time.Hour),
			Hook: spool.Hook{Duration: 40 * time.Millisecond, Calls: 9}, Backup: recorded.Add(-24 * time.Hour),
		},
	}, own
}

// scrape asks a daemon with that status for its metrics.
func scrape(t *testing.T) []byte {
	t.Helper()
	spool := spool.Folder{Path: t.TempDir()}
	content, key := status(t)
	require.NoError(t, spool.WriteKeys([]pki.PrivateKey{key}))
	require.NoError(t, spool.WriteStatus(content))
	daemon := responder.New(spool, func() time.Time { return recorded }, slog.New(slog.DiscardHandler))
	for _, path := range []string{"/crl/1.crl", "/ca.pem", "/ocsp/x"} {
		daemon.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, path, nil))
	}
	answer := httptest.NewRecorder()
	daemon.ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	require.Equal(t, http.StatusOK, answer.Code)
	return answer.Body.Bytes()
}

// TestGeneratedMetrics compares the record, from which rules and dashboard are
// tried, with what the daemon says. With -update it writes it.
func TestGeneratedMetrics(t *testing.T) {
	t.Parallel()
	name := filepath.Join("testdata", "metrics.txt")
	text := scrape(t)
	if *update {
		require.NoError(t, os.WriteFile(name, text, 0o644))
	}
	require.Equal(t, string(text), string(readFile(t, name)), "%s is out of date: run make docs", name)

	source := string(readFile(t, filepath.Join("..", "responder", "metrics.go")))
	written := map[string]bool{}
	for _, match := range regexp.MustCompile(`(?:gauge\(|Name: )"([a-z_]+)"`).FindAllStringSubmatch(source, -1) {
		written["tls_authority_"+match[1]] = true
	}
	require.Equal(t, slices.Sorted(maps.Keys(written)), slices.Sorted(maps.Keys(emitted(t))), "the record has every metric")
}

// emitted are the labels of the metrics of the daemon.
func emitted(t *testing.T) map[string][]string {
	t.Helper()
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(bytes.NewReader(scrape(t)))
	require.NoError(t, err)
	all := map[string][]string{}
	for name, family := range families {
		all[name] = []string{}
		for _, label := range family.GetMetric()[0].GetLabel() {
			all[name] = append(all[name], label.GetName())
		}
	}
	return all
}

// joined are the labels that every sample gets in the stack.
var joined = []string{"juju_model", "juju_model_uuid", "juju_application", "juju_unit"}

var (
	selector = regexp.MustCompile(`\b([a-z_]+)\{([^}]*)\}`)
	matcher  = regexp.MustCompile(`([a-z_]+)(?:=~|!~|!=|=)"[^"]*"`)
	grouping = regexp.MustCompile(`\b(?:by|on|without|ignoring) \(([^)]*)\)`)
	shown    = regexp.MustCompile(`\$labels\.([a-z_]+)`)
	legend   = regexp.MustCompile(`\{\{ *([a-z_]+) *\}\}`)
)

// check finds what an expression, with the texts that show its result, names
// and the daemon does not have.
func check(metrics map[string][]string, expr string, used []string) []string {
	var wrong []string
	known := slices.Clone(joined)
	selectors := selector.FindAllStringSubmatch(expr, -1)
	if len(selectors) == 0 {
		wrong = append(wrong, "no metric in "+expr)
	}
	for _, match := range selectors {
		labels, found := metrics[match[1]]
		if !found && match[1] != "up" {
			wrong = append(wrong, "no metric "+match[1])
		}
		known = append(known, labels...)
		for _, pair := range matcher.FindAllStringSubmatch(match[2], -1) {
			if !slices.Contains(joined, pair[1]) && !slices.Contains(labels, pair[1]) {
				wrong = append(wrong, fmt.Sprintf("%s has no label %s", match[1], pair[1]))
			}
		}
	}
	for _, match := range grouping.FindAllStringSubmatch(expr, -1) {
		used = append(used, strings.Split(strings.ReplaceAll(match[1], " ", ""), ",")...)
	}
	for _, label := range used {
		if !slices.Contains(known, label) {
			wrong = append(wrong, "no label "+label+" in "+expr)
		}
	}
	return wrong
}

func labelsIn(pattern *regexp.Regexp, texts ...string) []string {
	var labels []string
	for _, text := range texts {
		for _, match := range pattern.FindAllStringSubmatch(text, -1) {
			labels = append(labels, match[1])
		}
	}
	return labels
}

func TestRulesNameWhatIsEmitted(t *testing.T) {
	t.Parallel()
	metrics := emitted(t)
	for _, group := range readRules(t).Groups {
		for _, rule := range group.Rules {
			expr := strings.ReplaceAll(rule.Expr, "%%juju_topology%%", `juju_model="m"`)
			used := labelsIn(shown, rule.Annotations["summary"], rule.Annotations["description"])
			require.Empty(t, check(metrics, expr, used), rule.Alert)
			require.Equal(t, len(selector.FindAllString(expr, -1)), strings.Count(rule.Expr, "%%juju_topology%%}"),
				"%s: each selector looks at our application alone", rule.Alert)
			require.Contains(t, []string{"info", "warning", "critical"}, rule.Labels["severity"])
			require.NotEmpty(t, rule.For, rule.Alert)
			require.NotEmpty(t, rule.Annotations["summary"], rule.Alert)
			require.Contains(t, rule.Annotations["description"], "`juju ", "%s: what is to be done", rule.Alert)
		}
	}
}

// TestCheckFinds keeps the two tests from passing everything.
func TestCheckFinds(t *testing.T) {
	t.Parallel()
	metrics := map[string][]string{"tls_authority_a": {"unit"}}
	require.Empty(t, check(metrics, `max by (unit, juju_unit) (tls_authority_a{unit="x",juju_model=~"y"}) and up{juju_unit="z"}`, []string{"unit"}))
	for _, expr := range []string{
		`tls_authority_b{juju_unit="z"}`, `tls_authority_a{stage="z"}`, `max by (stage) (tls_authority_a{unit="x"})`, `up{unit="z"}`, `vector(1)`,
	} {
		require.NotEmpty(t, check(metrics, expr, nil), expr)
	}
	require.NotEmpty(t, check(metrics, `tls_authority_a{unit="x"}`, labelsIn(shown, "{{ $labels.stage }}")))
	require.NotEmpty(t, check(metrics, `tls_authority_a{unit="x"}`, labelsIn(legend, "{{stage}}")))
}

// panel is a panel of a dashboard, as far as it matters here.
type panel struct {
	ID         int    `json:"id"`
	Type       string `json:"type"`
	Title      string `json:"title"`
	Datasource struct {
		UID string `json:"uid"`
	} `json:"datasource"`
	GridPos struct{ X, Y, W, H int } `json:"gridPos"`
	Targets []struct {
		Expr   string `json:"expr"`
		Legend string `json:"legendFormat"`
	} `json:"targets"`
}

func TestDashboardNamesWhatIsEmitted(t *testing.T) {
	t.Parallel()
	metrics := emitted(t)
	var dashboard struct {
		Panels     []panel `json:"panels"`
		Templating struct {
			List []struct{ Name, Definition string } `json:"list"`
		} `json:"templating"`
	}
	require.NoError(t, json.Unmarshal(readFile(t, "dashboard.json"), &dashboard))
	ids, cells, queried := map[int]bool{}, map[[2]int]string{}, map[string]bool{}
	for _, p := range dashboard.Panels {
		require.False(t, ids[p.ID], "panel %d is there twice", p.ID)
		ids[p.ID] = true
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				require.Empty(t, cells[[2]int{x, y}], "%s is on top of another", p.Title)
				require.Less(t, x, 24, p.Title)
				cells[[2]int{x, y}] = p.Title
			}
		}
		if p.Type == "row" {
			continue
		}
		require.Equal(t, "${prometheusds}", p.Datasource.UID, p.Title)
		require.NotEmpty(t, p.Targets, p.Title)
		for _, target := range p.Targets {
			require.Empty(t, check(metrics, target.Expr, labelsIn(legend, target.Legend)), p.Title)
			for _, match := range selector.FindAllStringSubmatch(target.Expr, -1) {
				queried[match[1]] = true
			}
		}
	}
	unseen := slices.DeleteFunc(slices.Sorted(maps.Keys(metrics)), func(name string) bool { return queried[name] })
	require.Equal(t, []string{"tls_authority_ca_not_before_timestamp_seconds"}, unseen, "metrics in no panel")

	var variables []string
	for _, variable := range dashboard.Templating.List {
		variables = append(variables, variable.Name)
	}
	require.Equal(t, append([]string{"prometheusds"}, joined...), variables)
}

// TestAlertsNameActionsThatExist: an operator types what the description says.
func TestAlertsNameActionsThatExist(t *testing.T) {
	t.Parallel()
	var actions map[string]any
	require.NoError(t, yaml.Unmarshal(readFile(t, filepath.Join("..", "..", "actions.yaml")), &actions))
	action := regexp.MustCompile("`juju run \\{\\{ \\$labels\\.juju_(?:application \\}\\}/leader|unit \\}\\}) ([a-z-]+)[^`]*`")
	for _, group := range readRules(t).Groups {
		for _, rule := range group.Rules {
			text := rule.Annotations["description"]
			named := action.FindAllStringSubmatch(text, -1)
			require.Len(t, named, strings.Count(text, "`juju run"), "%s: %s", rule.Alert, text)
			for _, match := range named {
				require.Contains(t, actions, match[1], rule.Alert)
			}
		}
	}
}
