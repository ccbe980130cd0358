// SPDX-License-Identifier: GPL-3.0-only

package jujusim_test

import (
	"context"
	"errors"
	"io"
	"testing"

	"github.com/stretchr/testify/require"

	"tls-authority/internal/juju"
	"tls-authority/internal/jujusim"
)

// asClient runs f in a hook of the unit, with the client that charms use.
func (w *world) asClient(unit string, f func(*juju.Client) error) error {
	w.t.Helper()
	var err error
	w.during(unit, func(h *hook) {
		var environ []string
		for name, value := range h.env {
			environ = append(environ, name+"="+value)
		}
		var runner juju.Runner
		runner, err = juju.Connect(context.Background(), environ, h.env["CHARM_DIR"])
		if err != nil {
			return
		}
		if closer, ok := runner.(io.Closer); ok {
			defer closer.Close()
		}
		err = f(juju.NewClient(runner, ""))
	})
	return err
}

// TestTheClientUnderstandsEveryVersion: what a charm does about a secret hangs
// on which of Juju's answers it was.
func TestTheClientUnderstandsEveryVersion(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	for _, version := range versions {
		w := newWorld(t, jujusim.Options{Version: version})
		w.deploy(2)
		uri, id := w.addUserSecret("ca", "one")
		readUser := func(c *juju.Client) error { _, err := c.ReadUserSecret(ctx, juju.SecretID(id)); return err }
		require.ErrorIs(t, w.asClient("goca/0", readUser), juju.ErrDenied)
		require.NoError(t, w.GrantUserSecret(uri, "goca"))
		require.NoError(t, w.asClient("goca/1", readUser))
		require.NoError(t, w.RevokeUserSecret(uri, "goca"))
		require.ErrorIs(t, w.asClient("goca/1", readUser), juju.ErrDenied)
		require.NoError(t, w.RemoveUserSecret(uri))
		require.ErrorIs(t, w.asClient("goca/1", readUser), juju.ErrNotFound)

		const label = "ca-1"
		add := func(c *juju.Client) error {
			_, err := c.AddSecret(ctx, juju.Secret{Label: label, Content: map[string][]byte{"private-key": []byte("one")}})
			return err
		}
		read := func(c *juju.Client) error { _, err := c.ReadSecret(ctx, label); return err }
		remove := func(c *juju.Client) error { return c.RemoveSecret(ctx, label) }
		removeTwice := func(c *juju.Client) error { return errors.Join(c.RemoveSecret(ctx, label), c.RemoveSecret(ctx, label)) }
		require.ErrorIs(t, w.asClient("goca/0", remove), juju.ErrNotFound)
		require.ErrorIs(t, w.asClient("goca/1", add), juju.ErrNotLeader)
		for range 2 {
			require.NoError(t, w.asClient("goca/0", add), version)
			require.NoError(t, w.asClient("goca/1", read))
			require.ErrorIs(t, w.asClient("goca/1", remove), juju.ErrNotFound, "a follower finds none")
			require.Len(t, w.Secrets(), 1)
			require.ErrorIs(t, w.asClient("goca/0", removeTwice), juju.ErrNotFound, "the second finds none")
			require.Empty(t, w.Secrets())
			require.ErrorIs(t, w.asClient("goca/1", read), juju.ErrNotFound)
		}
	}
}

// TestTheClientLearnsItsAddresses: the answer of network-get to two flags is
// an object.
func TestTheClientLearnsItsAddresses(t *testing.T) {
	t.Parallel()
	w := newWorld(t, jujusim.Options{})
	w.deploy(1)
	require.NoError(t, w.asClient("goca/0", func(c *juju.Client) error {
		bind, ingress, err := c.Addresses(context.Background(), "certificates")
		require.NotEmpty(t, bind)
		require.NotEmpty(t, ingress)
		return err
	}))
	require.ErrorContains(t, w.asClient("goca/0", func(c *juju.Client) error {
		_, _, err := c.Addresses(context.Background(), "nowhere")
		return err
	}), `no network config found for binding "nowhere"`)
}

func TestTheClientOpensPorts(t *testing.T) {
	t.Parallel()
	w := newWorld(t, jujusim.Options{})
	w.deploy(1)
	ctx := context.Background()
	require.NoError(t, w.asClient("goca/0", func(c *juju.Client) error {
		ports, err := c.OpenedPorts(ctx)
		require.NoError(t, err)
		require.Empty(t, ports)
		require.NoError(t, c.OpenPort(ctx, "9880/tcp"))
		require.NoError(t, c.OpenPort(ctx, "80/tcp"))
		return c.ClosePort(ctx, "80/tcp")
	}))
	require.NoError(t, w.asClient("goca/0", func(c *juju.Client) error {
		ports, err := c.OpenedPorts(ctx)
		require.Equal(t, []string{"9880/tcp"}, ports)
		return err
	}))
}
