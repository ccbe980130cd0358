// SPDX-License-Identifier: GPL-3.0-only

package tests

import (
	"encoding/json"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"tls-authority/internal/jujusim"
)

// observed is a model whose authority is watched by the observability stack.
type observed struct {
	*site
	prometheus, agent, grafana int
}

func newObserved(t *testing.T, units int) *observed {
	t.Helper()
	o := &observed{site: newServing(t, units, nil)}
	o.prometheus = o.observe("prometheus", "metrics-endpoint")
	o.agent = o.observe("agent", "cos-agent")
	o.grafana = o.observe("grafana", "grafana-dashboard")
	o.settle()
	return o
}

// observe relates a stand-in of one unit.
func (s *site) observe(application, endpoint string) int {
	s.t.Helper()
	require.NoError(s.t, s.AddStandIn(application, 1))
	relation, err := s.Relate(charm+":"+endpoint, application+":"+endpoint)
	require.NoError(s.t, err)
	return relation
}

// agentConfig is what an agent reads of a unit, as the class
// CosAgentProviderUnitData of its library declares it: a key that is not
// optional must be there, and be of its type.
type agentConfig struct {
	Rules      *ruleFile      `json:"metrics_alert_rules"`
	LogRules   map[string]any `json:"log_alert_rules"`
	Dashboards []string       `json:"dashboards"`
	Jobs       []scrapeJob    `json:"metrics_scrape_jobs"`
	LogSlots   []string       `json:"log_slots"`
}

type scrapeJob struct {
	Name    string `json:"job_name"`
	Path    string `json:"metrics_path"`
	Statics []struct {
		Targets []string `json:"targets"`
	} `json:"static_configs"`
}

type ruleFile struct {
	Groups []struct {
		Name  string `json:"name"`
		Rules []struct {
			Alert       string            `json:"alert"`
			Expr        string            `json:"expr"`
			For         string            `json:"for"`
			Labels      map[string]string `json:"labels"`
			Annotations map[string]string `json:"annotations"`
		} `json:"rules"`
	} `json:"groups"`
}

func decodeBag[T any](t *testing.T, bag map[string]string, key string) T {
	t.Helper()
	var value T
	require.NoError(t, json.Unmarshal([]byte(bag[key]), &value), "%s: %.80q", key, bag[key])
	return value
}

// targets are what a Prometheus scrapes of us: for each unit the job of the
// application with the unit's address in the place of the asterisk.
func (o *observed) targets() map[string]string {
	o.t.Helper()
	targets := map[string]string{}
	application := o.Bag(o.prometheus, charm)
	if application["scrape_jobs"] == "" {
		return targets
	}
	jobs := decodeBag[[]scrapeJob](o.t, application, "scrape_jobs")
	require.Len(o.t, jobs, 1)
	require.Equal(o.t, "/metrics", jobs[0].Path)
	require.Len(o.t, jobs[0].Statics, 1)
	for _, unit := range o.Units(charm) {
		bag := o.Bag(o.prometheus, unit)
		if name, address := bag["prometheus_scrape_unit_name"], bag["prometheus_scrape_unit_address"]; name != "" && address != "" {
			targets[name] = strings.ReplaceAll(jobs[0].Statics[0].Targets[0], "*", address)
		}
	}
	return targets
}

// requireTold checks what every part of the stack is told about a port; 0 that
// it is told nothing.
func (o *observed) requireTold(port int) {
	o.t.Helper()
	if port == 0 {
		require.Empty(o.t, o.targets())
		for _, key := range []string{"scrape_jobs", "scrape_metadata", "alert_rules"} {
			require.NotContains(o.t, o.Bag(o.prometheus, charm), key)
		}
		require.NotContains(o.t, o.Bag(o.grafana, charm), "dashboards")
		for _, unit := range o.Units(charm) {
			require.NotContains(o.t, o.Bag(o.agent, unit), "config")
			require.NotContains(o.t, o.Bag(o.prometheus, unit), "prometheus_scrape_unit_name")
		}
		return
	}
	want := map[string]string{}
	for _, unit := range o.Units(charm) {
		address := o.Bag(o.prometheus, unit)["ingress-address"] // Juju's own
		require.NotEmpty(o.t, address)
		want[unit] = fmt.Sprintf("%s:%d", address, port)
		config := decodeBag[agentConfig](o.t, o.Bag(o.agent, unit), "config")
		require.NotNil(o.t, config.Rules)
		require.NotNil(o.t, config.LogRules)
		require.NotNil(o.t, config.LogSlots)
		require.Len(o.t, config.Dashboards, 1)
		require.Len(o.t, config.Jobs, 1)
		require.Equal(o.t, []string{want[unit]}, config.Jobs[0].Statics[0].Targets)
		require.Equal(o.t, "/metrics", config.Jobs[0].Path)
		o.requireRules(config.Rules)
	}
	require.Equal(o.t, want, o.targets())
	rules := decodeBag[*ruleFile](o.t, o.Bag(o.prometheus, charm), "alert_rules")
	o.requireRules(rules)
	require.Contains(o.t, o.Bag(o.grafana, charm), "dashboards")
}

// requireRules reads rules as a Prometheus charm does: the labels of the first
// rule of a group name the file, those of each rule are put into its
// expression.
func (o *observed) requireRules(rules *ruleFile) {
	o.t.Helper()
	require.NotEmpty(o.t, rules.Groups)
	for _, group := range rules.Groups {
		require.NotEmpty(o.t, group.Rules)
		for _, rule := range group.Rules {
			require.Equal(o.t, o.UUID(), rule.Labels["juju_model_uuid"])
			require.Equal(o.t, charm, rule.Labels["juju_application"])
			require.Equal(o.t, charm, rule.Labels["juju_charm"])
			require.Contains(o.t, rule.Expr, `juju_model_uuid="`+o.UUID()+`"`)
			require.Contains(o.t, rule.Expr, `juju_model="`+rule.Labels["juju_model"]+`"`)
			require.NotContains(o.t, rule.Expr, "%%")
		}
	}
}

func TestTheStackIsToldOfEveryUnit(t *testing.T) {
	t.Parallel()
	o := newObserved(t, 2)
	o.requireTold(9880)

	unit, err := o.AddUnit(charm)
	require.NoError(t, err)
	o.settle()
	require.Contains(t, o.targets(), unit)
	o.requireTold(9880)

	require.NoError(t, o.Configure(charm, map[string]any{"status-port": 9999}))
	o.settle()
	o.requireTold(9999)

	require.NoError(t, o.Configure(charm, map[string]any{"status-port": 0}))
	o.settle()
	o.requireTold(0)
	late := o.observe("late", "metrics-endpoint")
	o.settle()
	require.NotContains(t, o.Bag(late, charm), "scrape_jobs")

	require.NoError(t, o.Configure(charm, map[string]any{"status-port": 9880}))
	o.settle()
	o.requireTold(9880)
	require.Contains(t, o.Bag(late, charm), "scrape_jobs")
}

func TestTheStackIsToldTheSameByEveryLeader(t *testing.T) {
	t.Parallel()
	o := newObserved(t, 2)
	before := []map[string]string{o.Bag(o.prometheus, charm), o.Bag(o.grafana, charm)}
	other := o.Units(charm)[1]
	require.NotEqual(t, other, o.Leader(charm))
	since := len(o.Hooks())
	require.NoError(t, o.SetLeader(other))
	o.settle()
	require.Equal(t, before, []map[string]string{o.Bag(o.prometheus, charm), o.Bag(o.grafana, charm)})
	for _, run := range o.Hooks()[since:] {
		require.Empty(t, observerCalls(run, "relation-set"), "%s on %s", run.Hook, run.Unit)
	}
	require.NoError(t, o.Configure(charm, map[string]any{"status-port": 9999}))
	o.settle()
	o.requireTold(9999)
	require.NoError(t, o.RemoveUnit(o.Units(charm)[0]))
	o.settle()
	o.requireTold(9999)
}

// observerCalls are the calls of a tool in a hook that are about the stack.
func observerCalls(run jujusim.HookRun, tool string) []string {
	var found []string
	for _, call := range run.Calls {
		args := strings.Join(call.Args, " ")
		about := slices.ContainsFunc([]string{"metrics-endpoint", "cos-agent", "grafana-dashboard", "logging"}, func(endpoint string) bool {
			return strings.Contains(args, endpoint)
		})
		if call.Tool == tool && (about || tool == "network-get") {
			found = append(found, call.Tool+" "+args)
		}
	}
	return found
}

// TestTheStackCostsNothingElsewhere: events of requirers and of the clock look
// at none of it, and a second look writes nothing.
func TestTheStackCostsNothingElsewhere(t *testing.T) {
	t.Parallel()
	o := newObserved(t, 2)
	o.observe("loki", "logging")
	o.settle()
	since := len(o.Hooks())
	csr, _ := newCSR(t, nil)
	o.relate("web", map[string]map[string]string{"web": csrBag(t, csr), "web/0": {}})
	for _, unit := range o.Units(charm) {
		require.NoError(t, o.UpdateStatus(unit))
	}
	for _, run := range o.Hooks()[since:] {
		for _, tool := range []string{"relation-ids", "relation-get", "relation-list", "relation-set", "network-get"} {
			require.Empty(t, observerCalls(run, tool), "%s on %s", run.Hook, run.Unit)
		}
	}

	since = len(o.Hooks())
	for _, unit := range o.Units(charm) {
		require.NoError(t, o.Queue(unit, "config-changed"))
	}
	o.settle()
	require.Zero(t, o.writes(since))
	for _, run := range o.Hooks()[since:] {
		require.Len(t, observerCalls(run, "network-get"), 1, "both addresses in one call")
		require.Len(t, observerCalls(run, "relation-get"), map[bool]int{true: 5, false: 3}[run.Unit == o.Leader(charm)], "%v", calls(run))
	}

	since = len(o.Hooks())
	require.NoError(t, o.SetBag(o.prometheus, "prometheus", map[string]string{"event": `{"valid": true}`}))
	o.settle()
	require.Zero(t, o.writes(since))
	for _, run := range o.Hooks()[since:] {
		require.LessOrEqual(t, len(calls(run)), 7, "%v", calls(run))
	}
}

func TestWhatTheStackCannotBeToldStays(t *testing.T) {
	t.Parallel()
	o := newObserved(t, 2)
	before := o.targets()
	t.Log("bad options")
	require.NoError(t, o.Configure(charm, map[string]any{"status-port": 9999, "certificate-validity": "soon"}))
	o.settle()
	require.Equal(t, before, o.targets())
	require.NoError(t, o.Configure(charm, map[string]any{"certificate-validity": "90d"}))
	o.settle()
	o.requireTold(9999)

	t.Log("no address")
	o.Intervene(func(call jujusim.Call) jujusim.Intervention {
		if call.Tool == "network-get" {
			return jujusim.Intervention{Verdict: jujusim.Fail, Stderr: "no network config found for binding"}
		}
		return jujusim.Intervention{}
	})
	require.NoError(t, o.Configure(charm, map[string]any{"status-port": 9998}))
	o.settle()
	require.Contains(t, o.logText(), "no network config found for binding")
	require.Equal(t, "*:9998", decodeBag[[]scrapeJob](t, o.Bag(o.prometheus, charm), "scrape_jobs")[0].Statics[0].Targets[0])
	require.Len(t, o.targets(), 2, "the last address that was known")
	o.Intervene(nil)
	require.NoError(t, o.Configure(charm, map[string]any{"status-port": 9997}))
	o.settle()
	o.requireTold(9997)
}

// TestABadLokiStopsNobody: where the log goes is no reason to serve none.
func TestABadLokiStopsNobody(t *testing.T) {
	t.Parallel()
	s := newSite(t, jujusim.Options{}, 1)
	relation := s.observe("loki", "logging")
	require.NoError(t, s.SetBag(relation, "loki/0", map[string]string{"endpoint": `{"url": "file:///dev/null"}`}))
	s.settle()
	require.Contains(t, s.logText(), "loki/0 of relation logging:")
	require.NotContains(t, s.logText(), "/dev/null", "it may hold a password")
	csr, _ := newCSR(t, nil)
	web := s.relate("web", map[string]map[string]string{"web": csrBag(t, csr)})
	require.Len(t, s.answers(web), 1)
	require.NoError(t, s.RemoveRelation(relation))
	s.settle()
}

// TestPythonReadsTheDashboards does with both bags what the libraries do with
// them in the charms of Grafana and of the agent.
func TestPythonReadsTheDashboards(t *testing.T) {
	t.Parallel()
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("NOT READ by Python: python3 is not installed")
	}
	o := newObserved(t, 1)
	program := `
import base64, json, lzma, sys, uuid
def unpack(text): return json.loads(lzma.decompress(base64.b64decode(text.encode("utf-8"))).decode())
bags = json.load(sys.stdin)
shown = json.loads(bags["grafana"]["dashboards"])
(name, template), = shown.pop("templates").items()
uuid.UUID(shown["uuid"])
one = unpack(template["content"])
config = json.loads(bags["agent"]["config"])
other, = [unpack(text) for text in config["dashboards"]]
assert one == other
assert template["juju_topology"]["model_uuid"] == str(uuid.UUID(template["juju_topology"]["model_uuid"], version=4))
metadata = json.loads(bags["prometheus"]["scrape_metadata"])
assert {"model", "model_uuid", "application"} <= set(metadata)
assert len(one["uid"]) == 40 and all(c in "0123456789abcdef" for c in one["uid"])
json.dumps({"name": name, "title": one["title"], "version": int(one["version"])})
print(len(one["panels"]))
`
	input, err := json.Marshal(map[string]any{
		"grafana": o.Bag(o.grafana, charm), "agent": o.Bag(o.agent, charm+"/0"), "prometheus": o.Bag(o.prometheus, charm),
	})
	require.NoError(t, err)
	cmd := exec.Command(python, "-c", program)
	cmd.Stdin = strings.NewReader(string(input))
	text, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", text)
	require.NotEqual(t, "0\n", string(text))
}
