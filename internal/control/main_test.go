// SPDX-License-Identifier: GPL-3.0-only

package control_test

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tls-authority/internal/control"
)

// TestMain is the program of the charm too, when it is called by its name.
func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) == "tls-authority" {
		os.Exit(beProgram(filepath.Dir(filepath.Dir(os.Args[0]))))
	}
	os.Exit(m.Run())
}

// beProgram notes how it was called, and behaves as a file of the charm says.
func beProgram(charm string) int {
	input, err := io.ReadAll(os.Stdin)
	if err == nil {
		err = os.WriteFile(filepath.Join(charm, "call"), []byte(strings.Join(os.Args[1:], "\n")+"\n"+string(input)), 0o600)
	}
	how, readErr := os.ReadFile(filepath.Join(charm, "how"))
	if err != nil || readErr != nil {
		fmt.Fprintln(os.Stderr, err, readErr)
		return 3
	}
	switch verb, rest, _ := strings.Cut(string(how), " "); verb {
	case "complain":
		fmt.Fprint(os.Stderr, rest)
		return 1
	case "crash":
		panic(rest)
	case "die":
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	case "hang":
		if err := os.WriteFile(filepath.Join(charm, "hangs"), nil, 0o600); err != nil {
			return 3
		}
		time.Sleep(time.Hour) // until a signal ends it
	}
	return 0
}

// newSite is a unit whose program behaves in a way.
func newSite(t *testing.T, how string) control.Site {
	t.Helper()
	site := control.At(filepath.Join(t.TempDir(), "charm"), "authority/0")
	site.Root, site.Superuser = t.TempDir(), false
	self, err := os.Executable()
	require.NoError(t, err)
	require.NoError(t, os.MkdirAll(filepath.Dir(site.Program()), 0o755))
	require.NoError(t, os.Symlink(self, site.Program()))
	require.NoError(t, os.WriteFile(filepath.Join(site.Charm, "how"), []byte(how), 0o600))
	return site
}

// call is how the program was called: its arguments, and its stdin last.
func call(t *testing.T, site control.Site) []string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(site.Charm, "call"))
	require.NoError(t, err)
	require.NoError(t, os.Remove(filepath.Join(site.Charm, "call")))
	return strings.Split(string(text), "\n")
}
