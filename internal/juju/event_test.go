// SPDX-License-Identifier: GPL-3.0-only

package juju_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"tls-authority/internal/juju"
)

const modelUUID = "9b4a1c6e-7f2d-4c1a-8d3e-2b5f60718293"

// hookEnvironment is the whole environment of a hook in Juju 3.6, without what
// belongs to one kind of event.
func hookEnvironment(extra ...string) []string {
	return append([]string{
		"APT_LISTCHANGES_FRONTEND=none",
		"CHARM_DIR=/var/lib/juju/agents/unit-goca-0/charm",
		"CLOUD_API_VERSION=",
		"DEBIAN_FRONTEND=noninteractive",
		"JUJU_AGENT_SOCKET_ADDRESS=/var/lib/juju/agents/unit-goca-0/agent.socket",
		"JUJU_AGENT_SOCKET_NETWORK=unix",
		"JUJU_API_ADDRESSES=10.0.0.1:17070 10.0.0.2:17070",
		"JUJU_AVAILABILITY_ZONE=",
		"JUJU_CHARM_DIR=/var/lib/juju/agents/unit-goca-0/charm",
		"JUJU_CHARM_FTP_PROXY=",
		"JUJU_CHARM_HTTPS_PROXY=",
		"JUJU_CHARM_HTTP_PROXY=",
		"JUJU_CHARM_NO_PROXY=127.0.0.1,localhost,::1",
		"JUJU_CONTEXT_ID=" + contextID,
		"JUJU_MACHINE_ID=0",
		"JUJU_MODEL_NAME=testing",
		"JUJU_MODEL_UUID=" + modelUUID,
		"JUJU_PRINCIPAL_UNIT=",
		"JUJU_SLA=unsupported",
		"JUJU_UNIT_NAME=goca/0",
		"JUJU_VERSION=3.6.11",
		"LANG=C.UTF-8",
		"PATH=/var/lib/juju/tools/unit-goca-0:/usr/bin:/bin",
		"TERM=tmux-256color",
	}, extra...)
}

func hook(name string, extra ...string) []string {
	return hookEnvironment(append(extra, "JUJU_DISPATCH_PATH=hooks/"+name, "JUJU_HOOK_NAME="+name)...)
}

func relationHook(name, relation, unit, application string, extra ...string) []string {
	endpoint, _, _ := strings.Cut(relation, ":")
	return hook(name, append(extra,
		"JUJU_RELATION="+endpoint,
		"JUJU_RELATION_ID="+relation,
		"JUJU_REMOTE_UNIT="+unit,
		"JUJU_REMOTE_APP="+application,
	)...)
}

func secretHook(name, id, label string, extra ...string) []string {
	return hook(name, append(extra, "JUJU_SECRET_ID="+id, "JUJU_SECRET_LABEL="+label)...)
}

func action(name string) []string {
	return hookEnvironment(
		"JUJU_ACTION_NAME="+name,
		"JUJU_ACTION_TAG=action-12",
		"JUJU_ACTION_UUID=12",
		"JUJU_DISPATCH_PATH=actions/"+name,
		"JUJU_HOOK_NAME=",
	)
}

// event completes what every event of hookEnvironment has in common.
func event(kind juju.EventKind, name string, rest juju.Event) juju.Event {
	rest.Kind = kind
	rest.Name = name
	rest.Unit = "goca/0"
	rest.Model = "testing"
	rest.ModelUUID = modelUUID
	rest.CharmDirectory = "/var/lib/juju/agents/unit-goca-0/charm"
	rest.Version = "3.6.11"
	return rest
}

func TestParseEvent(t *testing.T) {
	t.Parallel()
	const id = "cd88u16ffbaql5kgmlh0"
	certificates := juju.RelationID{Endpoint: "certificates", Number: 3}
	sendCACert := juju.RelationID{Endpoint: "send-ca-cert", Number: 12}
	odd := juju.RelationID{Endpoint: "a-relation-changed", Number: 0}
	const foreign = "remote-0a1b2c3d4e5f60718293a4b5c6d7e8f9"
	tests := map[string]struct {
		environ []string
		want    juju.Event
	}{
		"install":                 {hook("install"), event(juju.Install, "install", juju.Event{})},
		"start":                   {hook("start"), event(juju.Start, "start", juju.Event{})},
		"config-changed":          {hook("config-changed"), event(juju.ConfigChanged, "config-changed", juju.Event{})},
		"upgrade-charm":           {hook("upgrade-charm"), event(juju.UpgradeCharm, "upgrade-charm", juju.Event{})},
		"stop":                    {hook("stop"), event(juju.Stop, "stop", juju.Event{})},
		"remove":                  {hook("remove"), event(juju.Remove, "remove", juju.Event{})},
		"leader-elected":          {hook("leader-elected"), event(juju.LeaderElected, "leader-elected", juju.Event{})},
		"leader-settings-changed": {hook("leader-settings-changed"), event(juju.LeaderSettingsChanged, "leader-settings-changed", juju.Event{})},
		"update-status":           {hook("update-status"), event(juju.UpdateStatus, "update-status", juju.Event{})},

		"relation created": {
			relationHook("certificates-relation-created", "certificates:3", "", "etcd"),
			event(juju.RelationCreated, "certificates-relation-created", juju.Event{
				Relation: certificates, RemoteApplication: "etcd",
			}),
		},
		"relation joined": {
			relationHook("certificates-relation-joined", "certificates:3", "etcd/0", "etcd"),
			event(juju.RelationJoined, "certificates-relation-joined", juju.Event{
				Relation: certificates, RemoteUnit: "etcd/0", RemoteApplication: "etcd",
			}),
		},
		"relation changed by a unit": {
			relationHook("certificates-relation-changed", "certificates:3", "etcd/11", "etcd"),
			event(juju.RelationChanged, "certificates-relation-changed", juju.Event{
				Relation: certificates, RemoteUnit: "etcd/11", RemoteApplication: "etcd",
			}),
		},
		"relation changed by a unit of another model": {
			relationHook("certificates-relation-changed", "certificates:3", foreign+"/0", foreign),
			event(juju.RelationChanged, "certificates-relation-changed", juju.Event{
				Relation: certificates, RemoteUnit: foreign + "/0", RemoteApplication: foreign,
			}),
		},
		"relation changed by the application": {
			relationHook("certificates-relation-changed", "certificates:3", "", "etcd"),
			event(juju.RelationChanged, "certificates-relation-changed", juju.Event{
				Relation: certificates, RemoteApplication: "etcd",
			}),
		},
		"relation departed by a remote unit": {
			relationHook("send-ca-cert-relation-departed", "send-ca-cert:12", "web/1", "web", "JUJU_DEPARTING_UNIT=web/1"),
			event(juju.RelationDeparted, "send-ca-cert-relation-departed", juju.Event{
				Relation: sendCACert, RemoteUnit: "web/1", RemoteApplication: "web", DepartingUnit: "web/1",
			}),
		},
		"relation departed by ourselves": {
			relationHook("send-ca-cert-relation-departed", "send-ca-cert:12", "web/1", "web", "JUJU_DEPARTING_UNIT=goca/0"),
			event(juju.RelationDeparted, "send-ca-cert-relation-departed", juju.Event{
				Relation: sendCACert, RemoteUnit: "web/1", RemoteApplication: "web", DepartingUnit: "goca/0",
			}),
		},
		"relation broken": {
			relationHook("certificates-relation-broken", "certificates:3", "", "etcd"),
			event(juju.RelationBroken, "certificates-relation-broken", juju.Event{
				Relation: certificates, RemoteApplication: "etcd",
			}),
		},
		"relation broken without the application": {
			relationHook("certificates-relation-broken", "certificates:3", "", ""),
			event(juju.RelationBroken, "certificates-relation-broken", juju.Event{Relation: certificates}),
		},
		"relation of an endpoint that is named like a hook": {
			relationHook("a-relation-changed-relation-created", "a-relation-changed:0", "", "etcd"),
			event(juju.RelationCreated, "a-relation-changed-relation-created", juju.Event{
				Relation: odd, RemoteApplication: "etcd",
			}),
		},

		"secret changed, of this model": {
			secretHook("secret-changed", "secret:"+id, "ca-1"),
			event(juju.SecretChanged, "secret-changed", juju.Event{Secret: id, SecretLabel: "ca-1"}),
		},
		"secret changed, of another model": {
			secretHook("secret-changed", "secret://"+modelUUID+"/"+id, ""),
			event(juju.SecretChanged, "secret-changed", juju.Event{Secret: id}),
		},
		"secret rotate": {
			secretHook("secret-rotate", "secret:"+modelUUID+"/"+id, "ca-1"),
			event(juju.SecretRotate, "secret-rotate", juju.Event{Secret: id, SecretLabel: "ca-1"}),
		},
		"secret expired, with a bare id": {
			secretHook("secret-expired", id, "ca-1", "JUJU_SECRET_REVISION=2"),
			event(juju.SecretExpired, "secret-expired", juju.Event{Secret: id, SecretLabel: "ca-1", SecretRevision: 2}),
		},
		"secret remove": {
			secretHook("secret-remove", "secret:"+id, "ca-1", "JUJU_SECRET_REVISION=1"),
			event(juju.SecretRemove, "secret-remove", juju.Event{Secret: id, SecretLabel: "ca-1", SecretRevision: 1}),
		},

		"action": {
			action("get-ca-certificate"),
			event(juju.Action, "get-ca-certificate", juju.Event{ActionID: "12"}),
		},
		"action that is named like a hook": {
			action("certificates-relation-changed"),
			event(juju.Action, "certificates-relation-changed", juju.Event{ActionID: "12"}),
		},

		"storage hook": {
			hook("data-storage-attached", "JUJU_STORAGE_ID=data/0"),
			event(juju.Other, "data-storage-attached", juju.Event{}),
		},
		"workload hook": {
			hook("web-pebble-ready", "JUJU_WORKLOAD_NAME=web"),
			event(juju.Other, "web-pebble-ready", juju.Event{}),
		},
		"hook of a Juju to come": {
			relationHook("certificates-relation-suspended", "certificates:3", "", "etcd"),
			event(juju.Other, "certificates-relation-suspended", juju.Event{}),
		},
		"hook whose name is in the path only": {
			hookEnvironment("JUJU_DISPATCH_PATH=hooks/install", "JUJU_HOOK_NAME="),
			event(juju.Install, "install", juju.Event{}),
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := juju.ParseEvent(test.environ)
			require.NoError(t, err)
			require.Equal(t, test.want, got)
		})
	}
}

func TestParseEventNamesWhatIsMissing(t *testing.T) {
	t.Parallel()
	common := []string{"JUJU_UNIT_NAME", "JUJU_MODEL_NAME", "JUJU_MODEL_UUID", "JUJU_CHARM_DIR", "JUJU_VERSION"}
	relation := slices.Concat(common, []string{"JUJU_RELATION", "JUJU_RELATION_ID"})
	tests := map[string]struct {
		environ  []string
		required []string
	}{
		"hook":                    {hook("start"), common},
		"relation created":        {relationHook("x-relation-created", "x:1", "", "etcd"), relation},
		"relation joined":         {relationHook("x-relation-joined", "x:1", "etcd/0", "etcd"), slices.Concat(relation, []string{"JUJU_REMOTE_UNIT"})},
		"application data change": {relationHook("x-relation-changed", "x:1", "", "etcd"), slices.Concat(relation, []string{"JUJU_REMOTE_APP"})},
		"relation departed": {
			relationHook("x-relation-departed", "x:1", "etcd/0", "etcd", "JUJU_DEPARTING_UNIT=etcd/0"),
			slices.Concat(relation, []string{"JUJU_REMOTE_UNIT", "JUJU_DEPARTING_UNIT"}),
		},
		"secret": {secretHook("secret-changed", "cd88u16ffbaql5kgmlh0", ""), slices.Concat(common, []string{"JUJU_SECRET_ID"})},
		"action": {action("backup"), slices.Concat(common, []string{"JUJU_ACTION_NAME", "JUJU_ACTION_UUID"})},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := juju.ParseEvent(test.environ)
			require.NoError(t, err)
			for _, variable := range test.required {
				rest := slices.DeleteFunc(slices.Clone(test.environ), func(pair string) bool {
					return strings.HasPrefix(pair, variable+"=")
				})
				_, err := juju.ParseEvent(rest)
				require.EqualError(t, err, "cannot read event: "+variable+" is not set")
				_, err = juju.ParseEvent(append(rest, variable+"="))
				require.EqualError(t, err, "cannot read event: "+variable+" is not set")
			}
		})
	}

	t.Run("what juju exec runs", func(t *testing.T) {
		t.Parallel()
		_, err := juju.ParseEvent(hookEnvironment("JUJU_HOOK_NAME="))
		require.EqualError(t, err, "cannot read event: JUJU_HOOK_NAME is not set")
	})
	t.Run("no hook at all", func(t *testing.T) {
		t.Parallel()
		got, err := juju.ParseEvent(nil)
		require.EqualError(t, err, "cannot read event: JUJU_UNIT_NAME is not set")
		require.Zero(t, got)
	})
}

func TestParseEventRefusesMalformedVariables(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		environ []string
		want    string
	}{
		"unit without a number": {
			append([]string{"JUJU_UNIT_NAME=goca"}, hook("start")...),
			`JUJU_UNIT_NAME: "goca" is not a unit name`,
		},
		"relation id without a number": {
			relationHook("x-relation-changed", "x", "etcd/0", "etcd"),
			`JUJU_RELATION_ID: "x" is not a relation id`,
		},
		"relation id of another endpoint": {
			append([]string{"JUJU_RELATION=x"}, relationHook("x-relation-changed", "y:1", "etcd/0", "etcd")...),
			`JUJU_RELATION "x" does not fit hook "x-relation-changed" and JUJU_RELATION_ID "y:1"`,
		},
		"hook of another endpoint": {
			relationHook("x-relation-y-relation-changed", "x:1", "etcd/0", "etcd"),
			`JUJU_RELATION "x" does not fit hook "x-relation-y-relation-changed" and JUJU_RELATION_ID "x:1"`,
		},
		"remote unit that is an application": {
			relationHook("x-relation-changed", "x:1", "etcd", "etcd"),
			`JUJU_REMOTE_UNIT: "etcd" is not a unit name`,
		},
		"secret id of another scheme": {
			secretHook("secret-changed", "vault:cd88u16ffbaql5kgmlh0", ""),
			`JUJU_SECRET_ID: "vault:cd88u16ffbaql5kgmlh0" is not a secret id`,
		},
		"secret revision that is no number": {
			secretHook("secret-expired", "cd88u16ffbaql5kgmlh0", "", "JUJU_SECRET_REVISION=-1"),
			`JUJU_SECRET_REVISION: "-1" is not a number`,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := juju.ParseEvent(test.environ)
			require.EqualError(t, err, "cannot read event: "+test.want)
		})
	}
}

// Juju may say anything in any variable: the answer is an event whose parts
// hold together, or an error.
func FuzzParseEvent(f *testing.F) {
	f.Add("certificates-relation-changed", "certificates", "certificates:3", "etcd/0", "secret:cd88u16ffbaql5kgmlh0", "2", "")
	f.Add("secret-expired", "", "", "", "cd88u16ffbaql5kgmlh0", "1", "")
	f.Add("", "", "", "", "", "", "get-ca-certificate")
	f.Add("-relation-changed", "", ":0", "/0", "secret://", "", "")
	f.Add("a-relation-b-relation-departed", "a-relation-b", "a-relation-b:0", "a/00", "", "", "")
	f.Fuzz(func(t *testing.T, hook, endpoint, relation, unit, secret, revision, action string) {
		got, err := juju.ParseEvent(hookEnvironment(
			"JUJU_HOOK_NAME="+hook,
			"JUJU_RELATION="+endpoint,
			"JUJU_RELATION_ID="+relation,
			"JUJU_REMOTE_UNIT="+unit,
			"JUJU_DEPARTING_UNIT="+unit,
			"JUJU_SECRET_ID="+secret,
			"JUJU_SECRET_REVISION="+revision,
			"JUJU_ACTION_NAME="+action,
			"JUJU_ACTION_UUID=1",
		))
		if err != nil {
			require.Zero(t, got)
			return
		}
		require.Equal(t, action != "", got.Kind == juju.Action)
		switch got.Kind {
		case juju.RelationCreated, juju.RelationJoined, juju.RelationChanged, juju.RelationDeparted, juju.RelationBroken:
			require.Equal(t, relation, got.Relation.String())
			require.True(t, strings.HasPrefix(hook, endpoint+"-relation-"))
			require.Equal(t, unit, string(got.RemoteUnit))
		case juju.SecretChanged, juju.SecretExpired, juju.SecretRemove, juju.SecretRotate:
			require.True(t, strings.HasSuffix(secret, string(got.Secret)))
			require.Len(t, string(got.Secret), 20)
		default:
			require.Zero(t, got.Relation)
			require.Zero(t, got.Secret)
		}
	})
}
