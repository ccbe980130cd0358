// SPDX-License-Identifier: GPL-3.0-only

package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// newModule writes a module with one file of tests.
func newModule(t *testing.T, tests string) string {
	t.Helper()
	folder := t.TempDir()
	for name, text := range map[string]string{
		"go.mod": "module example\n\ngo 1.26.0\n", "a_test.go": "package example\n\nimport \"testing\"\n\n" + tests,
	} {
		require.NoError(t, os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600))
	}
	return folder
}

func TestTable(t *testing.T) {
	t.Parallel()
	const passing = "func TestOne(t *testing.T) { t.Run(\"a\", func(*testing.T) {}); t.Run(\"b\", func(t *testing.T) { t.Skip(\"b: no program\") }) }\n"
	for name, c := range map[string]struct {
		tests string
		ok    bool
		row   string // without the folder
		more  string
	}{
		"passes and skips are counted, the test around them is not": {passing, true, "2 1 0 1", "TestOne/b: b: no program"},
		"a failure fails":           {passing + "func TestTwo(t *testing.T) { t.Error(\"it is broken\") }\n", false, "3 1 1 1", "it is broken"},
		"what does not build fails": {"func TestTwo() {", false, "1 0 1 0", ""},
		"nothing at all fails":      {"var _ testing.T\n", false, "0 0 0 0", ""},
		"only skips fail":           {"func TestTwo(t *testing.T) { t.SkipNow() }\n", false, "1 0 0 1", "TestTwo: no reason given"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			folder, out := newModule(t, c.tests), &bytes.Buffer{}
			require.Equal(t, c.ok, tabulate(out, []string{folder + " ./..."}), "%s", out)
			_, rest, found := strings.Cut(out.String(), "\n"+folder+" ")
			require.True(t, found, "%s", out)
			row, _, _ := strings.Cut(rest, "\n")
			require.Equal(t, c.row, strings.Join(strings.Fields(row), " "))
			require.Contains(t, out.String(), c.more)
		})
	}
	t.Run("a suite that fails leaves the others, and one that is not there is told", func(t *testing.T) {
		t.Parallel()
		out := &bytes.Buffer{}
		require.False(t, tabulate(out, []string{newModule(t, "func TestTwo() {") + " ./...", "absent ./...", newModule(t, passing) + " ./..."}))
		require.Regexp(t, `absent +not run`, out)
		require.Contains(t, out.String(), "b: no program")
	})
	t.Run("no suite is no success", func(t *testing.T) {
		t.Parallel()
		require.False(t, tabulate(&bytes.Buffer{}, nil))
	})
}
