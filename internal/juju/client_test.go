// SPDX-License-Identifier: GPL-3.0-only

package juju_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
	"gopkg.in/yaml.v3"

	"tls-authority/internal/juju"
)

// TestClientCalls runs one table over both transports and compares what the
// agent received, to the byte.
func TestClientCalls(t *testing.T) {
	t.Parallel()
	relation := juju.RelationID{Endpoint: "certificates", Number: 3}
	const id juju.SecretID = "cd88u16ffbaql5kgmlh0"
	tests := map[string]struct {
		call   func(ctx context.Context, c *juju.Client) (any, error)
		answer juju.Response
		tool   string
		args   []string
		stdin  string
		want   any
	}{
		"leader": {
			call:   func(ctx context.Context, c *juju.Client) (any, error) { return c.IsLeader(ctx) },
			answer: says("true\n"),
			tool:   "is-leader", args: []string{"--format", "json"},
			want: true,
		},
		"config": {
			call:   func(ctx context.Context, c *juju.Client) (any, error) { return c.Config(ctx) },
			answer: says(`{"certificate-limit":2500,"allowed-domains":null,"ca-source":"self-signed"}` + "\n"),
			tool:   "config-get", args: []string{"--format", "json", "--all"},
			want: map[string]json.RawMessage{
				"certificate-limit": json.RawMessage("2500"),
				"allowed-domains":   json.RawMessage("null"),
				"ca-source":         json.RawMessage(`"self-signed"`),
			},
		},
		"config of a charm without options": {
			call:   func(ctx context.Context, c *juju.Client) (any, error) { return c.Config(ctx) },
			answer: says("null\n"),
			tool:   "config-get", args: []string{"--format", "json", "--all"},
			want: map[string]json.RawMessage{},
		},
		"log": {
			call: func(ctx context.Context, c *juju.Client) (any, error) {
				return nil, c.Log(ctx, juju.Warning, "--debug is \x00 no flag\nhere; $HOME `id`")
			},
			tool: "juju-log", args: []string{"--log-level", "WARNING", "--", "--debug is \uFFFD no flag\nhere; $HOME `id`"},
		},
		"relations": {
			call:   func(ctx context.Context, c *juju.Client) (any, error) { return c.Relations(ctx, "certificates") },
			answer: says(`["certificates:12","certificates:100","certificates:3"]` + "\n"),
			tool:   "relation-ids", args: []string{"--format", "json", "certificates"},
			want: []juju.RelationID{relation, {Endpoint: "certificates", Number: 12}, {Endpoint: "certificates", Number: 100}},
		},
		"no relations": {
			call:   func(ctx context.Context, c *juju.Client) (any, error) { return c.Relations(ctx, "certificates") },
			answer: says("null\n"),
			tool:   "relation-ids", args: []string{"--format", "json", "certificates"},
			want: []juju.RelationID{},
		},
		"remote units": {
			call:   func(ctx context.Context, c *juju.Client) (any, error) { return c.RemoteUnits(ctx, relation) },
			answer: says(`["etcd/10","etcd/2","etcd-b/0","a/1"]` + "\n"),
			tool:   "relation-list", args: []string{"--format", "json", "-r", "certificates:3"},
			want: []juju.UnitName{"a/1", "etcd/2", "etcd/10", "etcd-b/0"},
		},
		"no remote units": {
			call:   func(ctx context.Context, c *juju.Client) (any, error) { return c.RemoteUnits(ctx, relation) },
			answer: says("[]\n"),
			tool:   "relation-list", args: []string{"--format", "json", "-r", "certificates:3"},
			want: []juju.UnitName{},
		},
		"remote application": {
			call:   func(ctx context.Context, c *juju.Client) (any, error) { return c.RemoteApplication(ctx, relation) },
			answer: says(`"etcd"` + "\n"),
			tool:   "relation-list", args: []string{"--format", "json", "-r", "certificates:3", "--app"},
			want: "etcd",
		},
		"no remote application": {
			call:   func(ctx context.Context, c *juju.Client) (any, error) { return c.RemoteApplication(ctx, relation) },
			answer: says("null\n"),
			tool:   "relation-list", args: []string{"--format", "json", "-r", "certificates:3", "--app"},
			want: "",
		},
		"unit bag": {
			call:   func(ctx context.Context, c *juju.Client) (any, error) { return c.ReadUnitBag(ctx, relation, "etcd/0") },
			answer: says(`{"common_name":"etcd\u003c0","sans":"[\"a\"]","odd":null}` + "\n"),
			tool:   "relation-get", args: []string{"--format", "json", "-r", "certificates:3", "-", "etcd/0"},
			want: map[string]string{"common_name": "etcd<0", "sans": `["a"]`, "odd": ""},
		},
		"application bag": {
			call: func(ctx context.Context, c *juju.Client) (any, error) {
				return c.ReadApplicationBag(ctx, relation, "etcd")
			},
			answer: says("null\n"),
			tool:   "relation-get", args: []string{"--format", "json", "-r", "certificates:3", "--app", "-", "etcd"},
			want: map[string]string{},
		},
		"changes of the unit bag": {
			call: func(ctx context.Context, c *juju.Client) (any, error) {
				return nil, c.WriteUnitBag(ctx, relation, map[string]string{"gone": "", "ca": "PEM\n", "b": "\x7f\u0085\ufeff<"})
			},
			tool: "relation-set", args: []string{"-r", "certificates:3", "--file", "-"},
			stdin: `{"b":"\u007f\u0085\ufeff<","ca":"PEM\n","gone":""}`,
		},
		"changes of the application bag": {
			call: func(ctx context.Context, c *juju.Client) (any, error) {
				return nil, c.WriteApplicationBag(ctx, relation, map[string]string{"certificates": strings.Repeat("x", 200_000)})
			},
			tool: "relation-set", args: []string{"-r", "certificates:3", "--app", "--file", "-"},
			stdin: `{"certificates":"` + strings.Repeat("x", 200_000) + `"}`,
		},
		"addresses": {
			call: func(ctx context.Context, c *juju.Client) (any, error) {
				bind, ingress, err := c.Addresses(ctx, "status")
				return []string{bind, ingress}, err
			},
			answer: says(`{"bind-address":"10.0.0.1","ingress-address":"fd00::1"}` + "\n"),
			tool:   "network-get", args: []string{"--format", "json", "--bind-address", "--ingress-address", "status"},
			want: []string{"10.0.0.1", "fd00::1"},
		},
		"no addresses": {
			call: func(ctx context.Context, c *juju.Client) (any, error) {
				bind, ingress, err := c.Addresses(ctx, "status")
				return []string{bind, ingress}, err
			},
			answer: says(`{"bind-address":"","ingress-address":""}` + "\n"),
			tool:   "network-get", args: []string{"--format", "json", "--bind-address", "--ingress-address", "status"},
			want: []string{"", ""},
		},
		"opened ports": {
			call:   func(ctx context.Context, c *juju.Client) (any, error) { return c.OpenedPorts(ctx) },
			answer: says(`["80/tcp","8000-8099/udp"]` + "\n"),
			tool:   "opened-ports", args: []string{"--format", "json"},
			want: []string{"80/tcp", "8000-8099/udp"},
		},
		"a port to open": {
			call: func(ctx context.Context, c *juju.Client) (any, error) { return nil, c.OpenPort(ctx, "9880/tcp") },
			tool: "open-port", args: []string{"9880/tcp"},
		},
		"a port to close": {
			call: func(ctx context.Context, c *juju.Client) (any, error) { return nil, c.ClosePort(ctx, "9880/tcp") },
			tool: "close-port", args: []string{"9880/tcp"},
		},
		"secret by label": {
			call:   func(ctx context.Context, c *juju.Client) (any, error) { return c.ReadSecret(ctx, "-ca 1") },
			answer: says(`{"private-key":"PEM\n"}` + "\n"),
			tool:   "secret-get", args: []string{"--format", "json", "--label=-ca 1"},
			want: map[string]string{"private-key": "PEM\n"},
		},
		"user secret": {
			call:   func(ctx context.Context, c *juju.Client) (any, error) { return c.ReadUserSecret(ctx, id) },
			answer: says(`{"certificate":"PEM\n"}` + "\n"),
			tool:   "secret-get", args: []string{"--format", "json", "--refresh", "secret:cd88u16ffbaql5kgmlh0"},
			want: map[string]string{"certificate": "PEM\n"},
		},
		"secret metadata": {
			call: func(ctx context.Context, c *juju.Client) (any, error) { return c.SecretMetadata(ctx, "ca-1") },
			answer: says(`{"cd88u16ffbaql5kgmlh0":{"revision":2,"label":"ca-1","owner":"application",` +
				`"description":"","rotation":"never"}}` + "\n"),
			tool: "secret-info-get", args: []string{"--format", "json", "--label=ca-1"},
			want: juju.SecretMetadata{ID: id, Revision: 2, Label: "ca-1", Owner: "application"},
		},
		"status": {
			call:   func(ctx context.Context, c *juju.Client) (any, error) { return c.Status(ctx) },
			answer: says(`{"message":"standby","status":"active","status-data":{}}` + "\n"),
			tool:   "status-get", args: []string{"--format", "json", "--include-data"},
			want: juju.Status{Name: juju.Active, Message: "standby"},
		},
		"status that Juju does not know": {
			call:   func(ctx context.Context, c *juju.Client) (any, error) { return c.Status(ctx) },
			answer: says("null\n"),
			tool:   "status-get", args: []string{"--format", "json", "--include-data"},
			want: juju.Status{},
		},
		"new status": {
			call: func(ctx context.Context, c *juju.Client) (any, error) {
				return nil, c.SetStatus(ctx, juju.Status{Name: juju.Blocked, Message: "-x is no option"})
			},
			tool: "status-set", args: []string{"--", "blocked", "-x is no option"},
		},
		"action parameters": {
			call:   func(ctx context.Context, c *juju.Client) (any, error) { return c.ActionParameters(ctx) },
			answer: says(`{"limit":1e+06,"names":["a"]}` + "\n"),
			tool:   "action-get", args: []string{"--format", "json"},
			want: map[string]json.RawMessage{"limit": json.RawMessage("1e+06"), "names": json.RawMessage(`["a"]`)},
		},
		"action results": {
			call: func(ctx context.Context, c *juju.Client) (any, error) {
				return nil, c.SetActionResults(ctx, map[string]string{
					"message": "=two\nlines ", "ca-certificate": strings.Repeat("x", 100_000),
				})
			},
			tool: "action-set", args: []string{"ca-certificate=" + strings.Repeat("x", 100_000), "message==two\nlines "},
		},
		"failed action": {
			call: func(ctx context.Context, c *juju.Client) (any, error) { return nil, c.FailAction(ctx, "-1 is no page") },
			tool: "action-fail", args: []string{"--", "-1 is no page"},
		},
		"progress of an action": {
			call: func(ctx context.Context, c *juju.Client) (any, error) { return nil, c.LogAction(ctx, "signed") },
			tool: "action-log", args: []string{"--", "signed"},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			eachTransport(t, func(t *testing.T, transport string) {
				a := startAgent(t, func(juju.Request) juju.Response { return test.answer })
				runner, dir := connect(t, transport, a)
				got, err := test.call(context.Background(), juju.NewClient(runner, ""))
				require.NoError(t, err)
				require.Equal(t, test.want, got)

				want := juju.Request{
					ContextId: contextID, Dir: dir, CommandName: test.tool, Args: test.args, Token: "token of the agent",
				}
				if test.stdin != "" {
					want.StdinSet = true
					want.Stdin = []byte(test.stdin)
				}
				require.Equal(t, []juju.Request{want}, a.calls(t, transport))
			})
		})
	}
}

func TestNothingToWriteMakesNoCall(t *testing.T) {
	t.Parallel()
	client := juju.NewClient(runnerFunc(func(c juju.Command) ([]byte, error) {
		return nil, errors.New("called " + c.Name)
	}), "")
	ctx := context.Background()
	require.NoError(t, client.WriteUnitBag(ctx, juju.RelationID{Endpoint: "x", Number: 1}, nil))
	require.NoError(t, client.WriteApplicationBag(ctx, juju.RelationID{Endpoint: "x", Number: 1}, map[string]string{}))
	require.NoError(t, client.SetActionResults(ctx, nil))
}

func TestAnswersThatAreNotUnderstood(t *testing.T) {
	t.Parallel()
	relation := juju.RelationID{Endpoint: "certificates", Number: 3}
	ctx := context.Background()
	tests := map[string]struct {
		stdout string
		call   func(c *juju.Client) error
		want   string
	}{
		"no JSON": {
			"goca",
			func(c *juju.Client) error { _, err := c.Config(ctx); return err },
			"cannot read the answer of config-get: not the JSON expected",
		},
		"nothing": {
			"",
			func(c *juju.Client) error { _, err := c.IsLeader(ctx); return err },
			"cannot read the answer of is-leader: not the JSON expected",
		},
		"a secret that is no map is not quoted": {
			`{"private-key":12345}`,
			func(c *juju.Client) error { _, err := c.ReadSecret(ctx, "ca-1"); return err },
			`cannot read secret "ca-1": cannot read the answer of secret-get: not the JSON expected`,
		},
		"a relation without a number": {
			`["certificates"]`,
			func(c *juju.Client) error { _, err := c.Relations(ctx, "certificates"); return err },
			`cannot list relations of certificates: cannot read the answer of relation-ids: "certificates" is not a relation id`,
		},
		"a unit without a number": {
			`["etcd"]`,
			func(c *juju.Client) error { _, err := c.RemoteUnits(ctx, relation); return err },
			`cannot list units of certificates:3: cannot read the answer of relation-list: "etcd" is not a unit name`,
		},
		"one address alone": {
			`"10.0.0.1"`,
			func(c *juju.Client) error { _, _, err := c.Addresses(ctx, "status"); return err },
			`cannot read the addresses of status: cannot read the answer of network-get: not the JSON expected`,
		},
		"metadata of no secret": {
			`null`,
			func(c *juju.Client) error { _, err := c.SecretMetadata(ctx, "ca-1"); return err },
			`cannot read metadata of secret "ca-1": 0 secrets in the answer`,
		},
		"metadata of two secrets": {
			`{"cd88u16ffbaql5kgmlh0":{},"cd88u16ffbaql5kgmlh1":{}}`,
			func(c *juju.Client) error { _, err := c.SecretMetadata(ctx, "ca-1"); return err },
			`cannot read metadata of secret "ca-1": 2 secrets in the answer`,
		},
		"metadata under a name": {
			`{"ca-1":{}}`,
			func(c *juju.Client) error { _, err := c.SecretMetadata(ctx, "ca-1"); return err },
			`cannot read metadata of secret "ca-1": "ca-1" is not a secret id`,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := test.call(juju.NewClient(runnerFunc(func(juju.Command) ([]byte, error) {
				return []byte(test.stdout), nil
			}), ""))
			require.EqualError(t, err, test.want)
			require.NotErrorIs(t, err, juju.ErrNotFound)
		})
	}
}

func TestErrorsOfToolsReachTheCaller(t *testing.T) {
	t.Parallel()
	relation := juju.RelationID{Endpoint: "certificates", Number: 3}
	ctx := context.Background()
	tests := map[string]struct {
		message string
		call    func(c *juju.Client) error
		is      error
		want    string
	}{
		"unknown label": {
			`consumer label "ca-1" not found`,
			func(c *juju.Client) error { _, err := c.ReadSecret(ctx, "ca-1"); return err },
			juju.ErrNotFound,
			`cannot read secret "ca-1": cannot run secret-get: consumer label "ca-1" not found (exit status 1)`,
		},
		"unknown label of metadata": {
			`secret "ca-1" not found`,
			func(c *juju.Client) error { _, err := c.SecretMetadata(ctx, "ca-1"); return err },
			juju.ErrNotFound,
			`cannot read metadata of secret "ca-1": cannot run secret-info-get: secret "ca-1" not found (exit status 1)`,
		},
		"secret without a grant": {
			`permission denied`,
			func(c *juju.Client) error { _, err := c.ReadUserSecret(ctx, "cd88u16ffbaql5kgmlh0"); return err },
			juju.ErrDenied,
			`cannot read secret cd88u16ffbaql5kgmlh0: cannot run secret-get: permission denied (exit status 1)`,
		},
		"own bag read by a follower": {
			`permission denied`,
			func(c *juju.Client) error { _, err := c.ReadApplicationBag(ctx, relation, "goca"); return err },
			juju.ErrDenied,
			`cannot read data of goca in certificates:3: cannot run relation-get: permission denied (exit status 1)`,
		},
		"own bag written by a follower": {
			`cannot write relation settings`,
			func(c *juju.Client) error {
				return c.WriteApplicationBag(ctx, relation, map[string]string{"a": "b"})
			},
			juju.ErrNotLeader,
			`cannot write data of certificates:3: cannot run relation-set: cannot write relation settings (exit status 1)`,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := test.call(juju.NewClient(runnerFunc(func(c juju.Command) ([]byte, error) {
				return nil, &juju.Error{Command: c.Name, Code: 1, Message: test.message}
			}), ""))
			require.ErrorIs(t, err, test.is)
			require.EqualError(t, err, test.want)
		})
	}
}

// relation-set reads YAML, and a requirer chooses some of the text.
func TestEveryCharacterSurvivesRelationSet(t *testing.T) {
	t.Parallel()
	bag := map[string]string{}
	for r := rune(0); r <= 0x1_00ff; r++ {
		if utf8.ValidRune(r) {
			bag[fmt.Sprintf("block-%x", r>>8)] += string(r)
		}
	}
	var stdin bytes.Buffer
	client := juju.NewClient(runnerFunc(func(c juju.Command) ([]byte, error) {
		_, err := c.Stdin.WriteTo(&stdin)
		return nil, err
	}), "")
	err := client.WriteUnitBag(context.Background(), juju.RelationID{Endpoint: "x", Number: 1}, bag)
	require.NoError(t, err)

	var read map[string]string
	require.NoError(t, yaml.Unmarshal(stdin.Bytes(), &read))
	require.Equal(t, bag, read)
}

func TestLongMessagesAreCut(t *testing.T) {
	t.Parallel()
	var args []string
	client := juju.NewClient(runnerFunc(func(c juju.Command) ([]byte, error) {
		args = c.Args
		return nil, nil
	}), "")
	long := strings.Repeat("é", 5_000)
	calls := map[string]func(text string) error{
		"log":           func(text string) error { return client.Log(context.Background(), juju.Info, text) },
		"action log":    func(text string) error { return client.LogAction(context.Background(), text) },
		"failed action": func(text string) error { return client.FailAction(context.Background(), text) },
		"status": func(text string) error {
			return client.SetStatus(context.Background(), juju.Status{Name: juju.Active, Message: text})
		},
	}
	for name, call := range calls {
		require.NoError(t, call(long), name)
		got := args[len(args)-1]
		require.LessOrEqual(t, len(got), 4_000, name)
		require.Greater(t, len(got), 3_990, name)
		require.True(t, utf8.ValidString(got), name)
		require.True(t, strings.HasSuffix(got, "é…"), name)

		require.NoError(t, call(long[:4_000]), name)
		require.Equal(t, long[:4_000], args[len(args)-1], name)
	}
}

func TestActionResultsHaveALimit(t *testing.T) {
	t.Parallel()
	client := juju.NewClient(runnerFunc(func(c juju.Command) ([]byte, error) {
		return nil, errors.New("called " + c.Name)
	}), "")
	err := client.SetActionResults(context.Background(), map[string]string{
		"ca-certificate": "short",
		"certificates":   strings.Repeat("x", 100_001),
	})
	require.EqualError(t, err, `cannot set action result "certificates": 100001 bytes, the limit is 100000`)
}

func TestCommandsPrintRedacted(t *testing.T) {
	t.Parallel()
	var command juju.Command
	client := juju.NewClient(runnerFunc(func(c juju.Command) ([]byte, error) {
		command = c
		return nil, nil
	}), "")
	require.NoError(t, client.WriteUnitBag(context.Background(), juju.RelationID{}, map[string]string{"key": "hidden"}))
	secret := juju.Secret{Label: "ca-1", Content: map[string][]byte{"private-key": []byte("hidden")}}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		require.Equal(t, "relation-set [redacted]", fmt.Sprintf(verb, command))
		require.Equal(t, "settings [redacted]", fmt.Sprintf(verb, command.Stdin))
		require.Equal(t, "secret ca-1 [redacted]", fmt.Sprintf(verb, secret))
	}
	for _, value := range []any{command, command.Stdin, secret} {
		text, err := json.Marshal(value)
		require.NoError(t, err)
		require.NotContains(t, string(text), "hidden")
		require.NotContains(t, string(text), "aGlkZGVu") // base64 of "hidden"
	}
}
