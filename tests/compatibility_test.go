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

// TestSourceCompatibilityIsShown looks up every test that the document on
// compatibility names, and wants one in every line of its tables.
func TestSourceCompatibilityIsShown(t *testing.T) {
	t.Parallel()
	previous, lines := "", 0
	for line := range strings.Lines(readDocument(t, "docs/reference/compatibility.md")) {
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
	require.False(t, hasTest(t, "tests", "TestThatNobodyWrote"))
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
