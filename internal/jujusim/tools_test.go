// SPDX-License-Identifier: GPL-3.0-only

package jujusim_test

import (
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"tls-authority/internal/juju"
	"tls-authority/internal/jujusim"
)

// call is a line of the table of calls with what Juju 3.6 answers, outside of
// relation hooks and actions.
type call struct {
	line string // tool and arguments, separated by "|"
	want answer
}

func prints(text string) answer          { return answer{0, text, "", nil} }
func fails(code int, text string) answer { return answer{code, "", "ERROR " + text + "\n", nil} }

var calls = []call{
	// Rules common to all tools.
	{"is-leader", prints("True\n")},
	{"is-leader|--format|json", prints("true\n")},
	{"is-leader|--format=yaml", prints("true\n")},
	{"is-leader|--cheese", fails(2, "option provided but not defined: --cheese")},
	{"is-leader|-c", fails(2, "option provided but not defined: -c")},
	{"is-leader|x|y", fails(2, `unrecognized args: ["x" "y"]`)},
	{"is-leader|--format|bad", fails(2, `invalid value "bad" for option --format: unknown format "bad"`)},
	{"is-leader|--format", fails(2, "option needs an argument: --format")},
	{"is-leader|--=x", fails(2, `empty option in argument "--=x"`)},
	{"config-get|--all=perhaps", fails(2, `invalid value "perhaps" for option --all: strconv.ParseBool: parsing "perhaps": invalid syntax`)},
	{"state-set|a=1|a=2", fails(2, `key "a" specified more than once`)},
	{"state-set|five", fails(2, `expected "key=value", got "five"`)},
	{"state-set|=five", fails(2, `expected "key=value", got "=five"`)},

	{"config-get", prints("debug: false\nlimit: 1e+06\nname: ca\n")},
	{"config-get|--format|json", prints(`{"debug":false,"limit":1000000,"name":"ca"}` + "\n")},
	{"config-get|-a|--format|json", prints(`{"debug":false,"key":null,"limit":1000000,"name":"ca","ratio":null,"unset":null}` + "\n")},
	{"config-get|name", prints("ca\n")},
	{"config-get|unset", prints("")},
	{"config-get|nope|--format|json", prints("null\n")},
	{"config-get|name|--all", fails(2, `cannot use argument --all together with key "name"`)},

	{"relation-ids", fails(2, "no endpoint name specified")},
	{"relation-ids|authority", prints("authority:0\n")},
	{"relation-ids|nope|--format|json", prints("[]\n")},
	{"relation-ids|nope", prints("")},
	{"relation-list", fails(2, "no relation id specified")},
	{"relation-list|-r|one", fails(2, `invalid value "one" for option -r: invalid relation id`)},
	{"relation-list|--relation|9", fails(2, `invalid value "9" for option --relation: relation not found`)},
	{"relation-list|-r|whatever:0|--format|json", prints("[]\n")},
	{"relation-list|-r0|--app", prints("goca\n")},
	{"relation-get|-|goca/0", fails(2, "no relation id specified")},
	{"relation-get|-r|0|-|goca", fails(2, `expected unit name, got application name "goca"`)},
	{"relation-get|-r|0|-|go_ca", fails(2, `invalid unit name "go_ca"`)},
	{"relation-get|-r|0", fails(2, "no unit or application specified")},
	{"relation-get|-r|0|nope|goca/0|--format|json", prints("null\n")},
	{"relation-get|-r|0|--app|-|goca|--format|json", prints("{}\n")},
	{"relation-get|-r|0|ingress-address|goca/0", prints("127.20.0.10\n")},
	{"relation-get|-r|0|-|goca/0|x", fails(2, `unrecognized args: ["x"]`)},
	{"relation-set|a=b", fails(2, "no relation id specified")},
	{"relation-set|-r|0|--file|/nonexistent", fails(1, "open /nonexistent: no such file or directory")},
	{"relation-set|-r|0|--format|json", answer{0, "", `--format flag deprecated for command "relation-set"`, nil}},

	{"status-get|--format|json", prints(`{"status":"unknown"}` + "\n")},
	{"status-set", fails(2, "invalid args, require <status> [message]")},
	{"status-set|x", fails(2, `invalid status "x", expected one of [maintenance blocked waiting active]`)},
	{"status-set|active|a|b", fails(2, `unrecognized args: ["b"]`)},
	{"status-set|active|-ready", fails(2, "option provided but not defined: -r")},
	{"status-set|active|--|-ready", prints("")},
	{"status-get", prints("unknown\n")},
	{"status-get|--include-data|--format|json", prints(`{"message":"","status":"unknown","status-data":{}}` + "\n")},
	{"status-get|--application|--format|json", prints(`{"application-status":{"status":"active","units":{"goca/0":{"status":"active"}}}}` + "\n")},
	{"application-version-set", fails(2, "no version specified")},
	{"juju-log", fails(2, "no message specified")},
	{"juju-log|-l|LOUD|a|b", prints("")},

	{"leader-get|a=b", fails(2, `invalid key "a=b"`)},
	{"leader-set|a=b", prints("")},
	{"leader-get|a", prints("b\n")},
	{"leader-get|--format|json", prints(`{"a":"b"}` + "\n")},

	{"network-get", fails(2, "no arguments specified")},
	{"network-get|nope", fails(1, `no network config found for binding "nope"`)},
	{"network-get|certificates|--ingress-address", prints("127.20.0.10\n")},
	{"network-get|admin|--bind-address|--egress-subnets|--format|json", prints(`{"bind-address":"127.20.0.10","egress-subnets":["127.20.0.10/32"]}` + "\n")},
	{"network-get|authority|--format|json", prints(`{"bind-addresses":[{"mac-address":"00:16:3e:00:00:00","interface-name":"eth0","addresses":[{"hostname":"","value":"127.20.0.10","cidr":"127.20.0.0/16"}]}],"egress-subnets":["127.20.0.10/32"],"ingress-addresses":["127.20.0.10"]}` + "\n")},
	{"unit-get|nope", fails(2, `unknown setting "nope"`)},
	{"unit-get|private-address", prints("127.20.0.10\n")},
	{"open-port|x", fails(2, `invalid port "x": strconv.Atoi: parsing "x": invalid syntax`)},
	{"open-port|80/sctp", fails(2, `invalid protocol "sctp", expected "tcp", "udp", or "icmp"`)},
	{"open-port|0-70000", fails(2, "port range bounds must be between 0 and 65535, got 0-70000")},
	{"open-port|85", prints("")},
	{"open-port|80-90", fails(1, `cannot open 80-90/tcp (unit "goca/0"): port range conflicts with 85/tcp (unit "goca/0")`)},
	{"open-port|80-90/udp|--endpoints|certificates,admin", prints("")},
	{"open-port|icmp", prints("")},
	{"opened-ports|--format|json", prints(`["icmp","85/tcp","80-90/udp"]` + "\n")},
	{"opened-ports|--endpoints", prints("icmp (*)\n85/tcp (*)\n80-90/udp (admin, certificates)\n")},
	{"close-port|85", prints("")},

	{"state-get|five", prints("")},
	{"state-get|five|--strict", fails(1, `"five" not found`)},
	{"state-set|five=", prints("")},
	{"state-get|five|--strict|--format|json", prints(`""` + "\n")},
	{"state-delete|five", prints("")},
	{"state-get|--format|json", prints("{}\n")},

	{"secret-get", fails(2, "require either a secret URI or label")},
	{"secret-get|x", fails(2, `secret URI "x" not valid`)},
	{"secret-get|--label|a|--peek|--refresh", fails(2, "specify one of --peek or --refresh but not both")},
	{"secret-get|--label|a|--format|smart", fails(2, `invalid value "smart" for option --format: unknown format "smart"`)},
	{"secret-get|--label|a", fails(1, `consumer label "a" not found`)},
	{"secret-get|9m4e2mr0ui3e8a215n4g", fails(1, `secret "9m4e2mr0ui3e8a215n4g" not found`)},
	{"secret-info-get", fails(2, "require either a secret URI or label")},
	{"secret-info-get|9m4e2mr0ui3e8a215n4g|--label|a", fails(2, "specify either a secret URI or label but not both")},
	{"secret-info-get|--label|a", fails(1, `secret "a" not found`)},
	{"secret-set", fails(2, "missing secret URI")},
	{"secret-remove", fails(2, "missing secret URI")},
	{"secret-grant", fails(2, "missing secret URI")},
	{"secret-grant|9m4e2mr0ui3e8a215n4g", fails(2, "no relation id specified")},
	{"secret-grant|9m4e2mr0ui3e8a215n4g|-r|0|--unit|foo", fails(2, `unit "foo" not valid`)},
	{"secret-revoke|9m4e2mr0ui3e8a215n4g", fails(2, "missing relation or application or unit")},
	{"secret-revoke|9m4e2mr0ui3e8a215n4g|--app|a|--unit|a/0", fails(2, "specify only one of application or unit")},
	{"secret-revoke|9m4e2mr0ui3e8a215n4g|--app|a|-r|0", fails(2, "do not specify both relation and app")},

	{"action-get", fails(1, "not running an action")},
	{"action-set|a=b", fails(1, "not running an action")},
	{"action-fail", fails(1, "not running an action")},
	{"action-log|a", fails(1, "not running an action")},
	{"action-log", fails(2, "no message specified")},
	{"action-set|x", fails(2, `argument "x" must be of the form key...=value`)},
	{"action-set|Bad=1", fails(2, `key "Bad" must start and end with lowercase alphanumeric, and contain only lowercase alphanumeric and hyphens`)},
	{"action-set|a.stdout=1", fails(2, `cannot set reserved action key "stdout"`)},

	{"juju-reboot", fails(1, `jujusim: the simulator lacks the hook tool "juju-reboot"`)},
	{"resource-get|x", fails(1, `jujusim: the simulator lacks the hook tool "resource-get"`)},
}

func TestCalls(t *testing.T) {
	t.Parallel()
	w := newWorld(t, jujusim.Options{})
	w.deploy(1)
	w.during("goca/0", func(h *hook) {
		for _, c := range calls {
			words := strings.Split(c.line, "|")
			require.Equal(t, c.want, h.run(words[0], words[1:]...), c.line)
		}
	})
}

func TestRequestsThatTheAgentRefuses(t *testing.T) {
	t.Parallel()
	for version, tool := range map[string]string{"3.5.4": "relation-model-get", "3.6.11": "add-metric", "4.1": "leader-get"} {
		w := newWorld(t, jujusim.Options{Version: version})
		w.deploy(1)
		w.during("goca/0", func(h *hook) {
			tests := map[string]juju.Request{
				"bad request: unknown command: " + tool:      {CommandName: tool},
				"bad request: unknown command: nope":         {CommandName: "nope"},
				"bad request: command not specified":         {},
				"bad request: Dir is not absolute":           {CommandName: "is-leader", Dir: "here"},
				"bad request: token does not match":          {CommandName: "is-leader", Token: "x"},
				`bad request: wrong context ID; got "other"`: {CommandName: "is-leader", ContextId: "other"},
				juju.NeedsStdin:                              {CommandName: "relation-set", Args: []string{"-r", "0", "--file", "-"}},
			}
			for want, request := range tests {
				require.EqualError(t, h.call(request).broken, want)
			}
		})
		runs := w.Hooks()
		require.Empty(t, runs[len(runs)-1].Calls, "what is refused is no call")
	}
}

func TestLogLines(t *testing.T) {
	t.Parallel()
	w := newWorld(t, jujusim.Options{})
	w.deploy(1)
	w.relate(1)
	w.on("certificates-relation-created", func(h *hook) int {
		h.ok(t, "juju-log", "-l", "warn", "two", "words")
		h.ok(t, "juju-log", "--debug", "quiet")
		h.ok(t, "juju-log", "-l", "loud", "unknown")
		return 0
	})
	require.NoError(t, w.Settle())
	var lines []string
	for _, line := range w.Log() {
		if line.Module == "unit.goca/0.juju-log" {
			lines = append(lines, line.Level+" "+line.Message)
		}
	}
	require.Equal(t, []string{
		"WARNING certificates:1: two words", "DEBUG certificates:1: quiet",
		`WARNING Specified log level of "loud" is not valid`, "INFO certificates:1: unknown",
	}, lines)
}

func TestLeaderSettings(t *testing.T) {
	t.Parallel()
	w := newWorld(t, jujusim.Options{})
	w.deploy(2)
	since := len(w.Hooks())
	require.Error(t, w.attempt("goca/0", func(h *hook) int { h.ok(t, "leader-set", "a=1"); return 1 }))
	w.charmed(func(*hook) int { return 0 })
	require.NoError(t, w.Settle())
	require.Contains(t, w.ran("goca/1", since), "leader-settings-changed", "it is written at once, whatever becomes of the hook")
	require.NotContains(t, w.ran("goca/0", since), "leader-settings-changed")
	w.during("goca/1", func(h *hook) {
		require.Equal(t, "1", h.ok(t, "leader-get", "a"))
		require.Equal(t, "ERROR cannot write leadership settings: cannot write settings: not the leader\n", h.run("leader-set", "a=2").stderr)
	})
}

func TestGoalState(t *testing.T) {
	t.Parallel()
	time := newClock()
	w := newWorld(t, jujusim.Options{Now: time.read})
	w.deploy(1)
	w.relate(1)
	w.during("goca/0", func(h *hook) {
		require.Equal(t, `{"units":{"goca/0":{"status":"unknown","since":"2026-01-02 03:04:05Z"}},`+
			`"relations":{"certificates":{"web":{"status":"joined","since":"2026-01-02 03:04:05Z"},"web/0":{"status":"waiting","since":"2026-01-02 03:04:05Z"}}}}`,
			h.ok(t, "goal-state", "--format", "json"))
	})
}

func TestConfigurationIsReadOnceAHook(t *testing.T) {
	t.Parallel()
	w := newWorld(t, jujusim.Options{})
	w.deploy(1)
	w.during("goca/0", func(h *hook) {
		require.Equal(t, "ca", h.ok(t, "config-get", "name"))
		require.NoError(t, w.Configure("goca", map[string]any{"name": "new"}))
		require.Equal(t, "ca", h.ok(t, "config-get", "name"))
	})
	w.during("goca/0", func(h *hook) { require.Equal(t, "new", h.ok(t, "config-get", "name")) })
	require.NoError(t, w.Configure("goca", map[string]any{"name": nil}))
	w.during("goca/0", func(h *hook) { require.Equal(t, "ca", h.ok(t, "config-get", "name"), "reset to the default") })
}

func TestPlainJSONReadsAsYAML(t *testing.T) {
	t.Parallel()
	w := newWorld(t, jujusim.Options{})
	w.deploy(1)
	texts := []string{
		`{"a":"1","b":"x\ny\t\"\\\u003c"}`, `{"a":1,"b":true,"c":null,"d":1.50}`, `{a: b}`, "a: b\nc: |\n  d\n", `{"a":"é","b":"😀"}`, ` {"a" : "b" } `, ``, `{}`,
		"a: 1\nb: x\na: 2\n", `{"a":"1","a":"2"}`, `{"é":"1","é":"2"}`,
	}
	wants := []map[string]string{
		{"a": "1", "b": "x\ny\t\"\\<"}, {"a": "1", "b": "true", "d": "1.50"}, {"a": "b"}, {"a": "b", "c": "d\n"}, {"a": "é", "b": "😀"}, {"a": "b"}, {}, {},
		{"a": "2", "b": "x"}, {"a": "2"}, {"é": "2"},
	}
	for i, text := range texts {
		w.during("goca/0", func(h *hook) {
			require.Equal(t, answer{}, h.runWith(text, "relation-set", "-r", "0", "--app", "--file", "-"), text)
		})
		require.Equal(t, wants[i], w.Bag(0, "goca"), text)
		w.during("goca/0", func(h *hook) {
			for key := range w.Bag(0, "goca") {
				h.ok(t, "relation-set", "-r", "0", "--app", key+"=")
			}
		})
	}
}

func TestApplicationStatusIsTheWorstOfTheUnits(t *testing.T) {
	t.Parallel()
	w := newWorld(t, jujusim.Options{})
	w.deploy(2)
	w.during("goca/0", func(h *hook) { h.ok(t, "status-set", "active") })
	w.during("goca/1", func(h *hook) { h.ok(t, "status-set", "blocked") })
	w.during("goca/0", func(h *hook) {
		require.Equal(t, "blocked", h.ok(t, "status-get", "--application"))
		h.ok(t, "status-set", "--application", "waiting")
		require.Equal(t, "waiting", h.ok(t, "status-get", "--application"), "its own, once it is set")
	})
}

func TestModelIsSafeForConcurrentUse(t *testing.T) {
	t.Parallel()
	w := newWorld(t, jujusim.Options{})
	w.deploy(1)
	id := w.relate(1)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := range 50 {
			_ = w.SetBag(id, "web/0", map[string]string{"n": strconv.Itoa(i)})
			w.Bag(id, "goca/0")
			w.Hooks()
			w.Log()
			w.Secrets()
			w.Status("goca/0")
		}
	}()
	w.charmed(func(h *hook) int {
		h.run("relation-get", "-r", strconv.Itoa(id), "-", "web/0")
		h.run("status-set", "active")
		return 0
	})
	require.NoError(t, w.Settle())
	<-done
	require.NoError(t, w.Settle())
	w.during("goca/0", func(h *hook) {
		require.Equal(t, "49", h.ok(t, "relation-get", "-r", strconv.Itoa(id), "n", "web/0"))
	})
}
