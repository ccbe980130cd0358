// SPDX-License-Identifier: GPL-3.0-only

package juju_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/rpc"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"tls-authority/internal/juju"
)

func isLeader(juju.Request) juju.Response { return says("true\n") }

func TestConnectChoosesTransport(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		network string
		address func(t *testing.T, a *agent) string
		socket  bool
	}{
		"the agent's socket when it answers": {
			network: "unix",
			address: func(_ *testing.T, a *agent) string { return a.address },
			socket:  true,
		},
		"the socket when the probe's tool itself fails": {
			network: "unix",
			address: func(t *testing.T, _ *agent) string {
				return startAgent(t, func(juju.Request) juju.Response {
					return fails(1, "leadership status unknown: lease manager stopped")
				}).address
			},
			socket: true,
		},
		"the socket of an agent that knows no token": {
			network: "unix",
			address: func(t *testing.T, _ *agent) string { return serveRPC(t, "Jujuc", &tokenless{}) },
			socket:  true,
		},
		"programs when there is no socket": {
			network: "unix",
			address: func(t *testing.T, _ *agent) string { return filepath.Join(t.TempDir(), "none") },
		},
		"programs when the address is missing": {
			network: "unix",
			address: func(*testing.T, *agent) string { return "" },
		},
		"programs when the service has another name": {
			network: "unix",
			address: func(t *testing.T, _ *agent) string { return serveRPC(t, "Hooks", &tokenless{}) },
		},
		"programs when the server hangs up": {
			network: "unix",
			address: func(t *testing.T, _ *agent) string {
				return listen(t, func(connection net.Conn) { connection.Close() })
			},
		},
		"programs when the server speaks something else": {
			network: "unix",
			address: func(t *testing.T, _ *agent) string {
				return listen(t, func(connection net.Conn) {
					// Long enough for what its first byte is as a length in gob.
					io.WriteString(connection, strings.Repeat("HTTP/1.1 400 Bad Request\r\n", 20))
					io.Copy(io.Discard, connection)
				})
			},
		},
		"programs when the agent refuses the request itself": {
			network: "unix",
			address: func(t *testing.T, _ *agent) string { return serveRPC(t, "Jujuc", &refusing{}) },
		},
		"programs when the network is tcp, though it would answer": {
			network: "tcp",
			address: func(_ *testing.T, a *agent) string { return a.address },
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := startAgent(t, isLeader)
			env := environ(test.network, test.address(t, a), toolFolder(t), a)
			runner, err := juju.Connect(context.Background(), env, t.TempDir())
			require.NoError(t, err)
			closer, socket := runner.(io.Closer)
			require.Equal(t, test.socket, socket)
			if socket {
				require.NoError(t, closer.Close())
				return
			}
			leader, err := juju.NewClient(runner, "").IsLeader(context.Background())
			require.NoError(t, err)
			require.True(t, leader)
			require.Len(t, a.calls(t, "exec"), 1)
		})
	}
}

func TestTheProbeAnswersWhoLeads(t *testing.T) {
	t.Parallel()
	calls := 0
	a := startAgent(t, func(juju.Request) juju.Response {
		calls++
		return says("true\n")
	})
	runner, err := juju.Connect(context.Background(), environ("unix", a.address, toolFolder(t), a), t.TempDir())
	require.NoError(t, err)
	defer runner.(io.Closer).Close()
	client := juju.NewClient(runner, "")
	for i := range 2 {
		leader, err := client.IsLeader(context.Background())
		require.NoError(t, err)
		require.True(t, leader)
		require.Equal(t, 1+i, calls, "the second time the agent is asked: leadership ends")
	}
}

// serveRPC serves any receiver under any name.
func serveRPC(t *testing.T, name string, receiver any) string {
	t.Helper()
	server := rpc.NewServer()
	require.NoError(t, server.RegisterName(name, receiver))
	return listen(t, func(connection net.Conn) { server.ServeConn(connection) })
}

// tokenless is an agent of Juju 4; its request has six fields.
type tokenless struct{}

type TokenlessRequest struct {
	ContextId   string
	Dir         string
	CommandName string
	Args        []string
	StdinSet    bool
	Stdin       []byte
}

func (*tokenless) Main(request *TokenlessRequest, response *juju.Response) error {
	if request.ContextId != contextID || request.CommandName != "is-leader" {
		return errors.New("bad request: unreadable")
	}
	*response = says("true\n")
	return nil
}

// refusing is an agent that has moved on to another hook.
type refusing struct{}

func (*refusing) Main(*juju.Request, *juju.Response) error {
	return errors.New(`bad request: wrong context ID; got "x"`)
}

func TestConnectProbesOnceAndPassesTheRequestOn(t *testing.T) {
	t.Parallel()
	a := startAgent(t, isLeader)
	dir := t.TempDir()
	runner, err := juju.Connect(context.Background(), environ("unix", a.address, "", a), dir)
	require.NoError(t, err)
	t.Cleanup(func() { runner.(io.Closer).Close() })
	require.Equal(t, []juju.Request{{
		ContextId:   contextID,
		Dir:         dir,
		CommandName: "is-leader",
		Args:        []string{"--format", "json"},
		Token:       "token of the agent",
	}}, a.requests)

	_, err = runner.Run(context.Background(), juju.Command{Name: "config-get"})
	require.NoError(t, err)
	require.Len(t, a.connections, 1, "one connection for the process")
}

func TestConnectFailures(t *testing.T) {
	t.Parallel()
	a := startAgent(t, isLeader)
	env := environ("unix", a.address, "", a)

	_, err := juju.Connect(context.Background(), env, "charm")
	require.EqualError(t, err, `cannot connect to the unit agent: charm directory "charm" is not absolute`)

	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err = juju.Connect(ctx, env, "/")
	require.ErrorIs(t, err, context.Canceled)
}

func TestConnectEndsAProbeThatIsCancelled(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(context.Background())
	release := make(chan struct{})
	t.Cleanup(func() { close(release) })
	a := startAgent(t, func(juju.Request) juju.Response {
		cancel()
		<-release
		return says("true\n")
	})
	_, err := juju.Connect(ctx, environ("unix", a.address, "", a), "/")
	require.ErrorIs(t, err, context.Canceled)
}

func TestRunHonoursTheContext(t *testing.T) {
	t.Parallel()
	eachTransport(t, func(t *testing.T, transport string) {
		ctx, cancel := context.WithCancel(context.Background())
		release := make(chan struct{})
		t.Cleanup(func() { close(release) })
		a := startAgent(t, func(request juju.Request) juju.Response {
			if request.CommandName == "secret-add" {
				cancel()
				<-release
			}
			return says("true\n")
		})
		runner, _ := connect(t, transport, a)

		_, err := runner.Run(ctx, juju.Command{Name: "secret-add"})
		require.ErrorIs(t, err, context.Canceled)
		require.ErrorContains(t, err, "cannot tell whether secret-add took effect")

		_, err = runner.Run(ctx, juju.Command{Name: "secret-add"})
		require.EqualError(t, err, "cannot run secret-add: context canceled")
		require.Len(t, a.calls(t, transport), 1, "nothing is sent once the context is done")
	})
}

func TestALostAnswerIsSaidAndNothingIsRepeated(t *testing.T) {
	t.Parallel()
	var a *agent
	a = startAgent(t, func(request juju.Request) juju.Response {
		if request.CommandName == "secret-add" {
			a.hangUp()
		}
		return says("true\n")
	})
	runner, _ := connect(t, "rpc", a)
	client := juju.NewClient(runner, t.TempDir())

	_, err := client.AddSecret(context.Background(), juju.Secret{
		Label:   "ca-1",
		Content: map[string][]byte{"private-key": []byte("value")},
	})
	require.ErrorContains(t, err, `cannot add secret "ca-1": cannot tell whether secret-add took effect`)
	_, isToolError := errors.AsType[*juju.Error](err)
	require.False(t, isToolError)

	_, err = client.ReadSecret(context.Background(), "ca-1")
	require.EqualError(t, err,
		`cannot read secret "ca-1": cannot run secret-get: connection to the unit agent is closed`)
	require.NotErrorIs(t, err, juju.ErrNotFound)
	require.Len(t, a.calls(t, "rpc"), 1)
}

func TestAToolThatWantsInputAndHasNoneFails(t *testing.T) {
	t.Parallel()
	a := startAgent(t, isLeader)
	runner, _ := connect(t, "rpc", a)
	_, err := runner.Run(context.Background(), juju.Command{
		Name: "relation-set",
		Args: []string{"-r", "certificates:3", "--file", "-"},
	})
	require.EqualError(t, err, "cannot run relation-set: it reads standard input and was given none")
}

func TestAFailedToolIsAnErrorOfItsOwnType(t *testing.T) {
	t.Parallel()
	eachTransport(t, func(t *testing.T, transport string) {
		a := startAgent(t, func(request juju.Request) juju.Response {
			if request.CommandName == "relation-set" {
				return juju.Response{Code: 1, Stderr: []byte(
					"--format flag deprecated for command \"relation-set\"ERROR cannot write relation settings\n")}
			}
			return fails(2, "option provided but not defined: --cheese")
		})
		runner, _ := connect(t, transport, a)

		_, err := runner.Run(context.Background(), juju.Command{Name: "config-get", Args: []string{"--cheese"}})
		failed, isToolError := errors.AsType[*juju.Error](err)
		require.True(t, isToolError)
		require.Equal(t, &juju.Error{
			Command: "config-get",
			Code:    2,
			Message: "option provided but not defined: --cheese",
		}, failed)
		require.EqualError(t, err, "cannot run config-get: option provided but not defined: --cheese (exit status 2)")

		_, err = runner.Run(context.Background(), juju.Command{Name: "relation-set"})
		require.EqualError(t, err, "cannot run relation-set: cannot write relation settings (exit status 1)")
		require.ErrorIs(t, err, juju.ErrNotLeader)
	})
}

func TestAToolThatRepeatsItsInputIsNotQuoted(t *testing.T) {
	t.Parallel()
	eachTransport(t, func(t *testing.T, transport string) {
		a := startAgent(t, func(request juju.Request) juju.Response {
			if request.CommandName == "is-leader" {
				return says("true\n")
			}
			return fails(1, "yaml: cannot unmarshal "+string(request.Stdin))
		})
		runner, _ := connect(t, transport, a)
		secret := strings.Repeat("MIIEvQIBADANBgkqhkiG9w0BAQEFAASC", 2)
		relation := juju.RelationID{Endpoint: "certificates", Number: 3}
		err := juju.NewClient(runner, "").WriteUnitBag(context.Background(), relation,
			map[string]string{"client.key": "-----BEGIN PRIVATE KEY-----\n" + secret + "\n"})
		require.ErrorContains(t, err, "cannot write data of certificates:3: cannot run relation-set")
		require.NotContains(t, err.Error(), secret[:16])
	})
}

func TestLongMessagesOfToolsAreCut(t *testing.T) {
	t.Parallel()
	a := startAgent(t, func(juju.Request) juju.Response { return fails(1, strings.Repeat("é", 10_000)) })
	runner, _ := connect(t, "rpc", a)
	_, err := runner.Run(context.Background(), juju.Command{Name: "config-get"})
	failed, isToolError := errors.AsType[*juju.Error](err)
	require.True(t, isToolError)
	require.LessOrEqual(t, len(failed.Message), 1000)
	require.True(t, strings.HasSuffix(failed.Message, "é…"))
}

func TestProgramsGetEnvironmentAndFolderUnchanged(t *testing.T) {
	t.Parallel()
	a := startAgent(t, isLeader)
	dir := t.TempDir()
	want := environ("tcp", "127.0.0.1:1", toolFolder(t), a)
	runner, err := juju.Connect(context.Background(), want, dir)
	require.NoError(t, err)
	stdout, err := runner.Run(context.Background(), juju.Command{Name: printEnviron})
	require.NoError(t, err)
	var got []string
	require.NoError(t, json.Unmarshal(stdout, &got))
	require.Equal(t, append(want, dir), got)
}

func TestAProgramThatIsMissingIsNoAnswer(t *testing.T) {
	t.Parallel()
	runner, err := juju.Connect(context.Background(), []string{"PATH=/nowhere"}, "/")
	require.NoError(t, err)
	_, err = juju.NewClient(runner, "").ReadSecret(context.Background(), "ca-1")
	require.ErrorIs(t, err, exec.ErrNotFound)
	require.NotErrorIs(t, err, juju.ErrNotFound)
}

func TestAnAgentThatIsGoneIsNoAnswer(t *testing.T) {
	t.Parallel()
	path := toolFolder(t)
	env := []string{"PATH=" + path, toolSocket + "=" + filepath.Join(path, "gone.socket")}
	runner, err := juju.Connect(context.Background(), env, "/")
	require.NoError(t, err)
	_, err = juju.NewClient(runner, "").ReadSecret(context.Background(), "ca-1")
	require.ErrorContains(t, err, "dial unix")
	require.NotErrorIs(t, err, juju.ErrNotFound)
}

func TestToolsInRelativeFoldersAreLeftOut(t *testing.T) {
	t.Parallel()
	here, err := os.Getwd()
	require.NoError(t, err)
	folder, err := filepath.Rel(here, toolFolder(t))
	require.NoError(t, err)
	runner, err := juju.Connect(context.Background(), []string{"PATH=" + folder}, here)
	require.NoError(t, err)
	_, err = runner.Run(context.Background(), juju.Command{Name: printEnviron})
	require.ErrorIs(t, err, exec.ErrNotFound)
}
