// SPDX-License-Identifier: GPL-3.0-only

package jujusim_test

import (
	"net"
	"net/rpc"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"tls-authority/internal/juju"
	"tls-authority/internal/jujusim"
)

// Jujuc is a server of tools that is not the simulator's. Its name is that of
// the service.
type Jujuc struct {
	hook jujusim.HookContext
}

func (j *Jujuc) Main(request juju.Request, response *juju.Response) error {
	r, _ := j.hook.Relation(0)
	switch request.CommandName {
	case "relation-set":
		r.Write(true, "name", request.Args[0])
	case "relation-get":
		response.Stdout = []byte(r.Own(true)["name"] + "|" + strings.Join(r.Members(), " ") + "|" + r.Remote())
	case "secret-add":
		label := request.Args[0]
		uri, err := j.hook.AddSecret(true, jujusim.SecretChange{Label: &label, Content: map[string]string{"key": "b25l"}})
		if err != nil {
			response.Code, response.Stderr = 1, []byte(err.Error())
		}
		response.Stdout = []byte(uri)
	case "action-fail":
		if err := j.hook.FailAction(); err != nil {
			response.Code, response.Stderr = 1, []byte(err.Error())
		}
	}
	j.hook.Record(jujusim.Call{Tool: request.CommandName, Args: request.Args, Code: response.Code, Transport: "own"})
	return nil
}

// served counts what serves tools at the moment.
type served int

func (s *served) serve(hook jujusim.HookContext) ([]string, func(), error) {
	listener, err := net.Listen("unix", hook.Socket()+"2")
	if err != nil {
		return nil, nil, err
	}
	*s++
	services := rpc.NewServer()
	err = services.Register(&Jujuc{hook})
	go func() {
		for {
			connection, err := listener.Accept()
			if err != nil {
				return
			}
			go services.ServeConn(connection)
		}
	}()
	return []string{"JUJU_AGENT_SOCKET_ADDRESS=" + hook.Socket() + "2", "JUJU_EXTRA=yes"}, func() {
		listener.Close()
		*s--
	}, err
}

func TestOtherToolsServeTheModel(t *testing.T) {
	t.Parallel()
	var serving served
	w := newWorld(t, jujusim.Options{Serve: serving.serve})
	w.deploy(2)
	w.during("goca/0", func(h *hook) {
		require.EqualValues(t, 1, serving)
		require.Equal(t, "yes", h.env["JUJU_EXTRA"])
		require.Equal(t, "unix", h.env["JUJU_AGENT_SOCKET_NETWORK"], "what is not replaced stays")
		h.ok(t, "relation-set", "new")
		require.Equal(t, "new|goca/1|goca", h.ok(t, "relation-get"))
		require.Empty(t, w.Bag(0, "goca"), "held back until the hook has ended")
		require.Regexp(t, `^secret:.*[0-9a-v]{20}$`, h.ok(t, "secret-add", "ca"))
		require.Equal(t, answer{1, "", "not running an action", nil}, h.run("action-fail"))
	})
	require.EqualValues(t, 0, serving)
	require.Equal(t, map[string]string{"name": "new"}, w.Bag(0, "goca"))
	require.Equal(t, "ca", w.Secrets()[0].Label)

	runs := w.Hooks()
	last := runs[slices.IndexFunc(runs, func(run jujusim.HookRun) bool { return run.Hook == "update-status" })]
	require.Equal(t, 2, last.Writes)
	require.Equal(t, jujusim.Call{
		Unit: "goca/0", Hook: "update-status", Attempt: 1, Index: 3, Tool: "action-fail", Code: 1, Transport: "own",
	}, last.Calls[3])

	require.Error(t, w.attempt("goca/0", func(h *hook) int { h.ok(t, "relation-set", "dropped"); return 1 }))
	require.Equal(t, map[string]string{"name": "new"}, w.Bag(0, "goca"))
	w.charmed(func(*hook) int { return 0 })
	require.NoError(t, w.Settle())
	require.ErrorContains(t, w.attempt("goca/1", func(h *hook) int { h.ok(t, "relation-set", "stolen"); return 0 }), "not leader",
		"the model judges what other tools let through")
}
