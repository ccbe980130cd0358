// SPDX-License-Identifier: GPL-3.0-only

package jujusim_test

import (
	"bytes"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"tls-authority/internal/jujusim"
)

// leaver is a charm whose start hook leaves three processes: one in its folder
// and in the process group of the hook, a program of the charm that has left
// both, and what that started of the machine's programs.
const leaver = `
[ "$JUJU_HOOK_NAME" = start ] || exit 0
sleep 1000 </dev/null >/dev/null 2>&1 &
echo $!
mkdir bin
cp /bin/sh bin/sh
(cd / && exec setsid "$CHARM_DIR/bin/sh" -c 'sleep 1000 & echo $$ $! >"$0/new" && mv "$0/new" "$0/left" && wait' "$CHARM_DIR" </dev/null >/dev/null 2>&1) &
while [ ! -e left ]; do sleep 0.01; done
cat left
`

func isAlive(t *testing.T, id string) bool {
	t.Helper()
	stat, err := os.ReadFile(filepath.Join("/proc", id, "stat"))
	if err != nil {
		return false
	}
	_, fields, found := bytes.Cut(stat, []byte(") "))
	require.True(t, found)
	return fields[0] != 'Z' // dead, and not yet missed by its parent
}

// left returns the processes that the unit has left, all alive.
func left(t *testing.T, m *jujusim.Model, unit string) []string {
	t.Helper()
	var ids []string
	for _, line := range m.Log() {
		if line.Hook == "start" && line.Unit == unit && line.Level == "DEBUG" {
			ids = append(ids, strings.Fields(line.Message)...)
		}
	}
	require.Len(t, ids, 3)
	for _, id := range ids {
		require.True(t, isAlive(t, id), "process %s of %s", id, unit)
	}
	return ids
}

func requireGone(t *testing.T, ids []string) {
	t.Helper()
	for i, id := range ids {
		require.False(t, isAlive(t, id), "process %d of the unit", i)
	}
}

func TestProcessesEndWithTheirMachine(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(m *jujusim.Model) error{
		"after the remove hook": func(m *jujusim.Model) error {
			if err := m.RemoveUnit("goca/0"); err != nil {
				return err
			}
			return m.Settle()
		},
		"when the machine is lost": func(m *jujusim.Model) error { return m.ForceRemoveUnit("goca/0") },
		"when the pod is replaced": func(m *jujusim.Model) error { return m.ReplacePod("goca/0") },
		"after an upgrade of the charm, which removes its files": func(m *jujusim.Model) error {
			if err := os.RemoveAll(filepath.Join(m.Directory(), "agents", "unit-goca-0", "charm", "bin")); err != nil {
				return err
			}
			return m.ForceRemoveUnit("goca/0")
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bystander := exec.Command("sleep", "1000")
			require.NoError(t, bystander.Start())
			defer func() { _, _ = bystander.Process.Wait() }()
			defer func() { _ = bystander.Process.Kill() }()

			m, err := jujusim.New(jujusim.Options{})
			require.NoError(t, err)
			closed := false
			defer func() {
				if !closed {
					require.NoError(t, m.Close())
				}
			}()
			require.NoError(t, m.Deploy(packCharm(t, "#!/bin/sh\n"+leaver), "goca", 2))
			require.NoError(t, m.Settle())
			first, second := left(t, m, "goca/0"), left(t, m, "goca/1")

			require.NoError(t, end(m))
			requireGone(t, first)
			require.Equal(t, second, left(t, m, "goca/1"), "the other unit is on another machine")

			closed = true
			require.NoError(t, m.Close())
			requireGone(t, second)
			require.True(t, isAlive(t, strconv.Itoa(bystander.Process.Pid)), "it is in our process group, and no charm's")
		})
	}
}

func TestUnitsCanListenOnTheirAddresses(t *testing.T) {
	t.Parallel()
	w := newWorld(t, jujusim.Options{Subnet: "127.21"})
	w.deploy(2)
	seen := map[string]bool{}
	for _, unit := range w.Units("goca") {
		w.during(unit, func(h *hook) {
			address := h.ok(t, "network-get", "certificates", "--bind-address")
			require.True(t, strings.HasPrefix(address, "127.21."), address)
			require.False(t, seen[address], "two units have it")
			seen[address] = true
			listener, err := net.Listen("tcp", net.JoinHostPort(address, "0"))
			require.NoError(t, err)
			require.NoError(t, listener.Close())
		})
	}
}
