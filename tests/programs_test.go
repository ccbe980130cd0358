// SPDX-License-Identifier: GPL-3.0-only

package tests

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestWithoutTheOtherProgram: hooks go on without bin/tls-authority, and say what
// they cannot do; an action fails, and not the unit.
func TestWithoutTheOtherProgram(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		spoil func(t *testing.T, program string)
		why   string
	}{
		"it is not there": {func(*testing.T, string) {}, "no such file or directory"},
		"it cannot be run": {func(t *testing.T, program string) {
			require.NoError(t, os.Mkdir(program, 0o755))
		}, "permission denied"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServing(t, 1, nil)
			unit := charm + "/0"
			program := filepath.Join(s.Directory(), "agents", "unit-"+strings.ReplaceAll(unit, "/", "-"), "charm", "bin", "tls-authority")
			require.NoError(t, os.Rename(program, program+".away"))
			tc.spoil(t, program)
			for _, pid := range s.processes(unit) {
				require.NoError(t, syscall.Kill(pid, syscall.SIGKILL))
			}
			s.eventually("down", func() bool { return len(s.processes(unit)) == 0 })

			require.NoError(t, s.UpdateStatus(unit))
			s.requireStatus(unit, "active", "status service off: fork/exec bin/tls-authority: "+tc.why)
			csr, _ := newCSR(t, nil)
			web := s.relate("web", map[string]map[string]string{"web/0": csrBag(t, csr)})
			require.Contains(t, s.answers(web), csr, "issuing goes on")
			_, failure := s.run(unit, "get-ca-certificate", nil)
			require.Contains(t, failure, "bin/tls-authority, which runs the actions of this charm, cannot be run")
			s.requireStatus(unit, "active", "1 certificate ")

			require.NoError(t, os.RemoveAll(program))
			require.NoError(t, os.Rename(program+".away", program))
			require.NoError(t, s.UpdateStatus(unit))
			require.Len(t, s.processes(unit), 2)
			results, failure := s.run(unit, "get-ca-certificate", nil)
			require.Empty(t, failure)
			require.Contains(t, results["subject"], "CN=")
		})
	}
}
