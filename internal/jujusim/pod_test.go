// SPDX-License-Identifier: GPL-3.0-only

package jujusim_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"tls-authority/internal/jujusim"
)

func TestReplacePod(t *testing.T) {
	t.Parallel()
	w := newWorld(t, jujusim.Options{})
	id := w.newPair()
	charmDirectory := filepath.Join(w.Directory(), "agents", "unit-goca-0", "charm")
	own := filepath.Join(charmDirectory, "own")
	require.NoError(t, os.WriteFile(own, nil, 0o600))
	w.during("goca/0", func(h *hook) { h.ok(t, "state-set", "kept=yes") })
	leader := w.Leader("goca")

	w.expect("goca/0", func() error { return w.ReplacePod("goca/0") }, "upgrade-charm", "config-changed", "start")
	require.NoFileExists(t, own)
	require.FileExists(t, filepath.Join(charmDirectory, "metadata.yaml"))
	require.Equal(t, leader, w.Leader("goca"))
	w.during("goca/0", func(h *hook) { require.Equal(t, "yes", h.ok(t, "state-get", "kept")) })
	w.expect("goca/0", func() error { return w.Configure("goca", map[string]any{"name": "x"}) }, "config-changed")

	w.expect("goca/0", func() error {
		require.NoError(t, w.SetBag(id, "web", map[string]string{"a": "b"}))
		return w.ReplacePod("goca/0")
	}, "upgrade-charm", "config-changed", "start", "certificates-relation-changed web:")

	w.on("config-changed", func(*hook) int { return 1 })
	require.NoError(t, w.Configure("goca", map[string]any{"name": "y"}))
	_, err := w.AddUnit("goca")
	require.NoError(t, err)
	require.NoError(t, w.ReplacePod("goca/2"))
	require.Error(t, w.UpdateStatus("goca/0"))
	w.charmed(func(*hook) int { return 0 })
	w.expect("goca/0", func() error { return w.ReplacePod("goca/0") },
		"config-changed", "upgrade-charm", "config-changed", "start",
		"authority-relation-joined goca:goca/2", "authority-relation-changed goca:goca/2", "update-status")
	require.Equal(t, "install", w.ran("goca/2", 0)[0], "an installation that never ended begins anew")

	require.Error(t, w.ReplacePod("web/0"), "a stand-in has no charm")
	require.NoError(t, w.RemoveUnit("goca/1"))
	require.Error(t, w.ReplacePod("goca/1"), "a unit that leaves gets no new pod")
}
