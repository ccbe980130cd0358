// SPDX-License-Identifier: GPL-3.0-only

package tests

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// namedTest is how a document names a test: the function, then its folder.
var namedTest = regexp.MustCompile("`(Test\\w+)` in `([\\w/.-]+)`")

// TestSourceClaimsAreShown looks up every test that the documents name which say
// what the charm is tried against and what it promises, and wants one in every
// line of their tables.
func TestSourceClaimsAreShown(t *testing.T) {
	t.Parallel()
	_, promises, found := strings.Cut(readDocument(t, "docs/explanation/security.md"), "## What is promised, and what shows it\n")
	require.True(t, found)
	for _, text := range []string{readDocument(t, "docs/reference/compatibility.md"), promises} {
		requireShown(t, text)
	}
	require.False(t, hasTest(t, "tests", "TestThatNobodyWrote"))
}

// requireShown wants a test that exists in each line of the tables of a text.
func requireShown(t *testing.T, text string) {
	t.Helper()
	previous, lines := "", 0
	for line := range strings.Lines(text) {
		body := strings.HasPrefix(line, "|") && strings.HasPrefix(previous, "|") && !strings.HasPrefix(line, "|---")
		previous = line
		if !body {
			continue
		}
		lines++
		found := namedTest.FindAllStringSubmatch(line, -1)
		require.NotEmpty(t, found, "no test shows %s", line)
		require.Equal(t, strings.Count(line, "`Test"), len(found), "a test without its folder in %s", line)
		for _, match := range found {
			require.True(t, hasTest(t, match[2], match[1]), "%s has no %s", match[2], match[1])
		}
	}
	require.NotZero(t, lines)
}

// hasTest looks for a test in the files of a folder.
func hasTest(t *testing.T, folder, name string) bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root, folder, "*_test.go"))
	require.NoError(t, err)
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		if strings.Contains(string(text), "\nfunc "+name+"(t *testing.T)") {
			return true
		}
	}
	return false
}
