// SPDX-License-Identifier: GPL-3.0-only

package hooktools_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"

	"tls-authority/internal/jujusim"
)

// scenes are the calls that are compared: every tool and flag that the charm
// uses, in the kinds of hooks that it uses them in, and what Juju refuses.
func scenes() map[string]scene {
	content := filepath.Join(scratch, "content")
	return map[string]scene{
		"the leader in a plain hook": {unit: ours + "/0", hook: "update-status", calls: slices.Concat(
			parsing, configuration, relations, databags, writes, statuses, logs, others)},
		"another unit in a plain hook": {unit: ours + "/1", hook: "update-status", calls: slices.Concat(
			relations, databags, lines("is-leader|--format|json",
				"relation-set|-r|1|--app|a=b", "relation-set|-r|0|--app|a=b", "relation-set|-r|1|a=b",
				"relation-get|-r|1|--format|json|--app|-|ca", "relation-get|-r|0|--format|json|--app|-|ca",
				"secret-add|--label=ca-1|private-key=one", "secret-add|--owner|unit|private-key=one",
				"secret-info-get|--label=ca-1", "secret-get|--label=ca-1",
				"status-set|--application|active", "status-set|--|active|standby"))},
		"secrets of the leader": {unit: ours + "/0", hook: "update-status", calls: ownSecrets},
		"secrets from files": {unit: ours + "/0", hook: "update-status", prepare: func(*jujusim.Model, int) error {
			return os.WriteFile(content, []byte("two\nlines\n"), 0o600)
		}, calls: lines(
			"secret-add|--label=a|--description=the key|private-key#file="+content, "secret-get|--format|json|--label=a",
			"secret-add|--label=b|certificate#file="+content+"|private-key#file="+content, "secret-get|--format|json|--label=b",
			"secret-add|--label=c|private-key#file="+content+"x", "secret-add|--label=d|x#file="+content)},
		"secrets of an earlier hook": {unit: ours + "/0", hook: "update-status", earlier: madeSecrets, calls: laterSecrets},
		"secrets that another unit made": {unit: ours + "/1", hook: "update-status", earlier: madeSecrets, calls: slices.Concat(
			laterSecrets, lines("secret-remove|<1>", "secret-set|<1>|private-key=four", "secret-grant|<1>|-r|1", "secret-revoke|<1>|--app|web"))},
		"secrets that are committed": {unit: ours + "/0", hook: "update-status", earlier: madeSecrets, calls: slices.Concat(lines(
			"secret-set|<1>|private-key=two|certificate=three", "secret-get|<1>", "secret-get|--peek|<1>", "secret-get|--refresh|<1>", "secret-get|<1>",
			"secret-info-get|<1>|--format|json", "secret-grant|<1>|-r|1", "secret-info-get|<1>|--format|json"),
			[]line{{words: "secret-info-get|<1>", differs: layout}}, lines("secret-remove|<2>", "secret-info-get|<2>", "secret-ids",
				"secret-get|<2>", "secret-remove|<1>|--revision|1", "secret-info-get|<1>"))},
		"user secrets": {unit: ours + "/0", hook: "update-status", prepare: userSecrets(false), calls: readUserSecret},
		"user secrets that are granted": {unit: ours + "/0", hook: "update-status", prepare: userSecrets(true), calls: slices.Concat(readUserSecret, lines(
			"secret-get|--label=mine|<1>", "secret-get|--label=mine", "secret-info-get|--label=mine", "secret-set|<1>|private-key=x"))},
		"a hook that fails": {unit: ours + "/0", hook: "update-status", exit: 1, calls: lines(
			"relation-set|-r|1|a=b", "secret-add|--label=x|private-key=one", "status-set|--|blocked|stays", "juju-log|stays")},
		"a leader that is deposed": {unit: ours + "/0", hook: "update-status", calls: []line{
			{words: "is-leader|--format|json"}, {words: "relation-set|-r|1|--app|a=b"}, {words: "secret-add|--label=x|private-key=one"},
			{words: "is-leader|--format|json", before: func(m *jujusim.Model) error { return m.SetLeader(ours + "/1") }},
			{words: "relation-set|-r|1|--app|c=d"}, {words: "relation-get|-r|1|--app|--format|json|-|ca"},
			{words: "secret-add|--label=y|private-key=one"}, {words: "secret-remove|<1>"}, {words: "secret-get|--label=x"},
			{words: "is-leader|--format|json", before: func(m *jujusim.Model) error { return m.SetLeader(ours + "/0") }},
		}},
		"a unit joins": {unit: ours + "/0", hook: "certificates-relation-joined", remote: theirs + "/2", trigger: func(m *jujusim.Model, _ int) error {
			_, err := m.AddUnit(theirs)
			return err
		}, calls: inRelation},
		"a unit changes": {unit: ours + "/0", hook: "certificates-relation-changed", remote: theirs + "/1", trigger: func(m *jujusim.Model, r int) error {
			return m.SetBag(r, theirs+"/1", map[string]string{"new": "value"})
		}, calls: inRelation},
		"an application changes": {unit: ours + "/0", hook: "certificates-relation-changed", trigger: func(m *jujusim.Model, r int) error {
			return m.SetBag(r, theirs, map[string]string{"shared": "changed"})
		}, calls: inRelation},
		"a unit departs": {unit: ours + "/0", hook: "certificates-relation-departed", remote: theirs + "/1", trigger: func(m *jujusim.Model, _ int) error {
			return m.RemoveUnit(theirs + "/1")
		}, calls: inRelation},
		"a relation is made": {unit: ours + "/0", hook: "send-ca-cert-relation-created", trigger: func(m *jujusim.Model, _ int) error {
			_, err := m.Relate(ours+":send-ca-cert", theirs+":receive-ca-cert")
			return err
		}, calls: inRelation},
		"a relation is broken": {unit: ours + "/0", hook: "certificates-relation-broken", trigger: func(m *jujusim.Model, r int) error {
			return m.RemoveRelation(r)
		}, calls: inRelation},
		"the peer relation changes": {unit: ours + "/1", hook: "authority-relation-changed", remote: ours + "/0", trigger: nothing, earlier: lines("relation-set|-r|0|new=value"), calls: inRelation},
		"an action": {unit: ours + "/0", hook: "list-certificates", trigger: func(m *jujusim.Model, _ int) error {
			_, err := m.RunAction(ours+"/0", "list-certificates", map[string]any{"page": 7, "unit": "web/0"})
			return err
		}, calls: slices.Concat(actions, lines("is-leader", "config-get|key-type", "relation-ids|certificates", "juju-log|from an action"))},
	}
}

// parsing is what all tools have in common.
var parsing = lines(
	"is-leader", "is-leader|--format|json", "is-leader|--format=yaml", "is-leader|--format|smart", "is-leader|--cheese", "is-leader|-c",
	"is-leader|x|y", "is-leader|--format|bad", "is-leader|--format", "is-leader|--=x", "is-leader|-", "is-leader|--", "is-leader|--|x",
	"is-leader|-o|", "is-leader|--format|json|--format|yaml", "is-leader|---", "is-leader|--format|", "is-leader|x|--format|bad",
	"nosuchtool", "Is-leader",
)

var configuration = append([]line{
	{words: "config-get", differs: folding}, {words: "config-get|--all", differs: folding}, {words: "config-get|-a|--format|yaml", differs: folding},
}, lines(
	"config-get|--format|json", "config-get|--format|json|--all",
	"config-get|key-type", "config-get|key-type|--format|json", "config-get|ca-secret|--format|json", "config-get|certificate-limit",
	"config-get|certificate-limit|--format|json", "config-get|allow-wildcards", "config-get|nope", "config-get|nope|--format|json",
	"config-get|key-type|--all", "config-get|--all=perhaps", "config-get|a|b", "config-get||",
)...)

// Deliberate differences: charms that read what tools print ask for JSON.
const (
	folding = "Juju's YAML folds lines of more than 80 characters"
	layout  = "Juju's YAML does not indent lists"
)

var relations = lines(
	"relation-ids", "relation-ids|certificates", "relation-ids|--format|json|certificates", "relation-ids|authority|--format|json",
	"relation-ids|upstream|--format|json", "relation-ids|upstream", "relation-ids|nope|--format|yaml", "relation-ids|a|b",
	"relation-list", "relation-list|-r|one", "relation-list|--relation|9", "relation-list|-r|certificates:1|--format|json",
	"relation-list|-r|1", "relation-list|-r|whatever:0|--format|json", "relation-list|-r0|--app", "relation-list|-r|1|--app|--format|json",
	"relation-list|-r|1|x", "relation-list|-r|", "relation-list|-r|certificates:", "relation-list|-r|-1",
)

var databags = lines(
	"relation-get|-|web/0", "relation-get|-r|1", "relation-get|-r|1|-|web/0", "relation-get|--format|json|-r|certificates:1|-|web/0",
	"relation-get|-r|1|-|web/0|--format|yaml", "relation-get|-r|1|text|web/0", "relation-get|-r|1|text|web/0|--format|json",
	"relation-get|-r|1|odd|web/0", "relation-get|-r|1|odd|web/0|--format|yaml", "relation-get|-r|1|odd|web/0|--format|json",
	"relation-get|-r|1|nope|web/0", "relation-get|-r|1|nope|web/0|--format|json", "relation-get|--format|json|-r|1|--app|-|web",
	"relation-get|--format|json|-r|1|--app|-|web/0", "relation-get|--format|json|-r|1|-|web", "relation-get|-r|1|-|we_b",
	"relation-get|--format|json|-r|1|-|ca/0", "relation-get|--format|json|-r|1|-|ca/1", "relation-get|--format|json|-r|0|-|ca/0",
	"relation-get|--format|json|-r|0|-|ca/1", "relation-get|--format|json|-r|0|--app|-|ca", "relation-get|--format|json|-r|1|--app|-|ca",
	"relation-get|--format|json|-r|1|-|other/0", "relation-get|--format|json|-r|1|--app|-|other", "relation-get|--format|json|-r|1|-|web/9",
	"relation-get|-r|0|-|web/0", "relation-get|-r|1|-|web/0|x", "relation-get|-r|1|--app", "relation-get|-r|1|-|",
)

var writes = []line{
	{words: "relation-set|a=b"}, {words: "relation-set|-r|1|a=b"}, {words: "relation-get|-r|1|a|ca/0"},
	{words: "relation-set|-r|1|a=1|a=2"}, {words: "relation-set|-r|1|five"}, {words: "relation-set|-r|1|=five"}, {words: "relation-set|-r|1|a= x "},
	{words: "relation-get|--format|json|-r|1|a|ca/0"}, {words: "relation-set|-r|1|a="}, {words: "relation-get|--format|json|-r|1|a|ca/0"},
	{words: "relation-set|-r|1|--file|-"},
	{words: "relation-set|-r|1|--file|-", stdin: `{"ca":"-----BEGIN\nx\n-----END\n","gone":"","odd":"\u00e9\u2028\u0085\ufeff\"<"}`},
	{words: "relation-get|--format|json|-r|1|-|ca/0"},
	{words: "relation-set|-r|1|--file|-", stdin: `{"ca":' [{"ca":"-----BEGIN\nx\\"},{"it''s":"''''"}] ? - #:  ',"gone":'"---"',"odd":'''\''',"plain":"x"}`},
	{words: "relation-get|--format|json|-r|1|-|ca/0"},
	{words: "relation-set|-r|1|--file|-", stdin: `{"long":'` + strings.Repeat(`[{"ca":"x\n"}], `, 10_000) + `'}`}, {words: "relation-get|-r|1|long|ca/0"}, {words: "relation-set|-r|1|long="},
	{words: "relation-set|-r|1|--app|--file|-|b=2", stdin: "a: 1\nb: three\nc: |\n  x\n  y\nd: 1.50\ne: yes\nf: ~\n"},
	{words: "relation-get|--format|json|-r|1|--app|-|ca"}, {words: "relation-get|-r|1|--app|-|ca"},
	{words: "relation-set|-r|0|--app|--file|-", stdin: `{"ca":"{\"schema\": 1}"}`}, {words: "relation-get|-r|0|--app|ca|ca"},
	{words: "relation-set|-r|1|--file|/nonexistent"}, {words: "relation-set|-r|1|--format|json"}, {words: "relation-set|-r|1|--format|json|a=b"},
	{words: "relation-set|-r|1|--file|-", stdin: "- list\n"}, {words: "relation-set|-r|1|--file|-", stdin: "a: [1, 2]\n"},
	{words: "relation-set|-r|1|--file|-", stdin: "{"}, {words: "relation-set|-r|1|--file|-", stdin: "a: b: c\n"}, {words: "relation-set|-r|1|--file|-", stdin: "text"},
	{words: "relation-set|-r|1|--file|-", stdin: " "}, {words: "relation-set|-r|1|--file|-", stdin: "a: 1\na: 2\n"},
	{words: "relation-set|-r|1"}, {words: "relation-set|-r|1|--file|-", stdin: "{\"a\":\"\x01\"}"}, {words: "relation-set|-r|1|--file|-", stdin: "{\"a\":\"\xff\"}"},
	{words: "relation-set|-r|1|--file|-", stdin: `{"a":"` + strings.Repeat("x", 100_000) + `"}`}, {words: "relation-get|-r|1|a|ca/0"}, {words: "relation-set|-r|1|a="},
}

var statuses = lines(
	"status-get", "status-get|--include-data", "status-get|--include-data|--format|json", "status-get|--format|json", "status-get|x",
	"status-set", "status-set|x", "status-set|active|a|b", "status-set|active|-ready", "status-set|--|active|-ready", "status-set|--|error|x",
	"status-set|--|blocked|two\nlines \u00e9", "status-get|--format|json|--include-data", "status-set|--|waiting|", "status-set|maintenance",
	"status-set|--application|active|all", "status-set|",
)

var logs = lines(
	"juju-log", "juju-log|--log-level|INFO|--|one", "juju-log|--log-level|DEBUG|--|-two", "juju-log|--log-level|WARNING|--|three words",
	"juju-log|--log-level|ERROR|--|two\nlines", "juju-log|-l|warn|a|b", "juju-log|--debug|quiet", "juju-log|-l|loud|unknown", "juju-log|-l||empty",
	"juju-log|--log-level|critical|c", "juju-log|--format|json|x", "juju-log|100% %s %d", "juju-log|",
)

// others are outside of their place, or of no relation.
var others = lines(
	"goal-state|--format|json", "goal-state", "goal-state|--format|smart", "goal-state|x",
	"action-get|--format|json", "action-set|a=b", "action-set", "action-fail|--|why", "action-fail", "action-log|--|a", "action-log",
	"action-set|x", "action-get|a|b",
)

var ownSecrets = lines(
	"secret-ids", "secret-ids|--format|json", "secret-info-get|--label=ca-1", "secret-get|--label=ca-1", "secret-get|--format|json|--label=ca-1",
	"secret-add", "secret-add|--label=x", "secret-add|key", "secret-add|=x", "secret-add|ab=x", "secret-add|Key=x", "secret-add|key_x=x", "secret-add|key=",
	"secret-add|--owner|nobody|key=x", "secret-add|--rotate|sometimes|key=x", "secret-add|--expire|soon|key=x", "secret-add|--expire|-1h|key=x",
	"secret-add|key#file=/nonexistent", "secret-add|key="+strings.Repeat("x", 8<<10+1), "secret-add|--cheese|key=x",
	"secret-add|--label=ca-1|--description=-the key|private-key=one|certificate#base64=dHdv", "secret-add|--label=ca-1|private-key=one",
	"secret-get|--format|json|--label=ca-1", "secret-get|<1>", "secret-get|<1>|private-key", "secret-get|<1>|private-key#base64", "secret-get|<1>|nope",
	"secret-get|secret:<1>|certificate|--format|json", "secret-get|--refresh|<1>", "secret-get|--peek|--label=ca-1", "secret-get|<1>|a|b",
	"secret-info-get|--format|json|--label=ca-1", "secret-info-get|<1>", "secret-info-get|secret:<1>|--format|json", "secret-info-get|<1>|x",
	"secret-ids|--format|json", "secret-ids|x", "secret-get", "secret-get|x", "secret-get|http:x", "secret-get|--label|a|--peek|--refresh",
	"secret-get|--label|a|--format|smart", "secret-get|9m4e2mr0ui3e8a215n4g", "secret-get|--refresh|secret:9m4e2mr0ui3e8a215n4g",
	"secret-info-get", "secret-info-get|x", "secret-info-get|9m4e2mr0ui3e8a215n4g|--label|a", "secret-info-get|9m4e2mr0ui3e8a215n4g",
	"secret-set", "secret-set|x|key=one", "secret-set|<1>|private-key=two|--label=ca-2", "secret-get|--label=ca-2", "secret-set|<1>|--description|new",
	"secret-info-get|--label=ca-2|--format|json",
	"secret-grant", "secret-grant|x", "secret-grant|<1>", "secret-grant|<1>|-r|1|--unit|foo", "secret-grant|<1>|-r|1|--unit|other/0",
	"secret-grant|9m4e2mr0ui3e8a215n4g|-r|1", "secret-grant|<1>|-r|1|--unit|web/0", "secret-grant|<1>|-r|1", "secret-grant|<1>|-r|1|x",
	"secret-info-get|<1>|--format|json", "secret-revoke|<1>", "secret-revoke|<1>|--app|a|--unit|a/0", "secret-revoke|<1>|--app|a|-r|1",
	"secret-revoke|<1>|--unit|web/0", "secret-info-get|<1>|--format|json",
	"secret-remove", "secret-remove|x", "secret-remove|<1>|x", "secret-remove|<1>|--revision|one", "secret-add|--label=kept|private-key=three",
	"secret-remove|secret:<1>", "secret-info-get|--label=ca-2", "secret-get|<1>", "secret-remove|<1>", "secret-ids|--format|json",
)

var (
	madeSecrets  = lines("secret-add|--label=ca-1|private-key=one", "secret-add|--label=ca-2|--owner|unit|private-key=two")
	laterSecrets = lines(
		"secret-get|--format|json|--label=ca-1", "secret-get|--label=ca-1", "secret-get|--format|json|<1>", "secret-info-get|--format|json|--label=ca-1",
		"secret-info-get|<1>", "secret-get|--format|json|--label=ca-2", "secret-info-get|--format|json|--label=ca-2", "secret-get|--label=ca-3",
		"secret-info-get|--label=ca-3",
	)
	readUserSecret = lines(
		"secret-get|--format|json|--refresh|secret:<1>", "secret-get|--format|json|<1>", "secret-get|--label=given", "secret-info-get|<1>", "secret-ids|--format|json",
	)
)

func userSecrets(granted bool) func(*jujusim.Model, int) error {
	return func(m *jujusim.Model, _ int) error {
		uri, err := m.AddUserSecret("given", map[string]string{"private-key": "one"})
		if err == nil && granted {
			err = m.GrantUserSecret(uri, ours)
		}
		return err
	}
}

// nothing is the trigger of a hook that follows by itself.
func nothing(*jujusim.Model, int) error { return nil }

// inRelation are calls that have a relation, and maybe a unit, by themselves.
var inRelation = lines(
	"relation-ids", "relation-ids|certificates|--format|json", "relation-list", "relation-list|--format|json", "relation-list|--app",
	"relation-list|-r|0|--format|json", "relation-get|--format|json", "relation-get", "relation-get|-", "relation-get|new", "relation-get|--app|--format|json",
	"relation-get|--format|json|-r|0", "relation-get|--format|json|-r|1", "relation-get|--format|json|-|ca/0", "relation-get|--format|json|-|web/1",
	"relation-get|--format|json|-r|certificates:1|-|web/0", "relation-get|--format|json|-r|certificates:1|--app|-|web",
	"relation-set|a=b", "relation-get|a|ca/0", "relation-set|--app|a=b", "juju-log|in a relation", "is-leader",
)

var actions = lines(
	"action-get|--format|json", "action-get", "action-get|page", "action-get|page|--format|json", "action-get|unit", "action-get|nope|--format|json", "action-get|page.x",
	"action-get|a|b", "action-get|", "action-set|a=b", "action-set|a.b=c", "action-set|a.c=d|e=f=g", "action-set", "action-set|x", "action-set|Bad=1",
	"action-set|a.stdout=1", "action-set|a=two\nlines", "action-set|a_b=1", "action-set|=1", "action-set|-a=1", "action-log|--|-one two", "action-log|a|b",
	"action-log", "action-log|", "action-fail|--|-why", "action-fail|a|b",
)
