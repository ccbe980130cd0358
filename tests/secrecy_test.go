// SPDX-License-Identifier: GPL-3.0-only

package tests

import (
	"bytes"
	"encoding/pem"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"tls-authority/internal/jujusim"
)

// TestNoKeyIsInTheListOfProcesses looks at all processes at every call of a hook
// tool, while hooks make keys of CAs and of requirers: whatever a process was
// started with can be read by every user of the machine.
func TestNoKeyIsInTheListOfProcesses(t *testing.T) {
	t.Parallel()
	for name, execOnly := range map[string]bool{"over the agent's socket": false, "by programs": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newModel(t, jujusim.Options{ExecOnly: execOnly}, 1)
			require.NoError(t, s.Configure(charm, map[string]any{"key-type": "ecdsa-p256"}))
			seen, looks := &bytes.Buffer{}, 0
			s.Intervene(func(jujusim.Call) jujusim.Intervention {
				looks++
				seen.Write(commandLines(t))
				return jujusim.Intervention{}
			})
			s.settle()
			etcd := s.relate("etcd", etcdBags(2))
			_, failure := s.run(charm+"/0", "issue-certificate", map[string]any{"common-name": "ops.example.com"})
			require.Empty(t, failure)
			s.Intervene(nil)
			require.Greater(t, looks, 20)
			require.Contains(t, seen.String(), "dispatch", "the hooks were among them")

			keys := []string{serverPair(s.legacy(etcd), "etcd_0").Key, s.legacy(etcd)["client.key"]}
			for _, secret := range s.Secrets() {
				keys = append(keys, s.SecretContent(secret.ID)["private-key"])
			}
			require.Len(t, keys, 4)
			for _, key := range keys {
				block, _ := pem.Decode([]byte(key))
				require.NotNil(t, block)
				line := strings.Split(key, "\n")[1]
				require.False(t, strings.Contains(seen.String(), line), "a key is in the list of processes")
				require.False(t, bytes.Contains(seen.Bytes(), block.Bytes), "a key is in the list of processes")
			}
		})
	}
}

// commandLines are those of all processes.
func commandLines(t *testing.T) []byte {
	t.Helper()
	entries, err := os.ReadDir("/proc")
	require.NoError(t, err)
	var all []byte
	for _, entry := range entries {
		if _, err := strconv.Atoi(entry.Name()); err != nil {
			continue
		}
		line, err := os.ReadFile(filepath.Join("/proc", entry.Name(), "cmdline"))
		if err == nil { // else it has ended
			all = append(append(all, line...), '\n')
		}
	}
	return all
}
