// SPDX-License-Identifier: GPL-3.0-only

package main

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"
)

func run(args ...string) (string, error) {
	var out bytes.Buffer
	root := newRootCommand()
	root.SetArgs(args)
	root.SetOut(&out)
	root.SetErr(&out)
	err := root.Execute()
	return out.String(), err
}

func TestRootCommand(t *testing.T) {
	t.Parallel()
	t.Run("help names every subcommand", func(t *testing.T) {
		t.Parallel()
		text, err := run("--help")
		require.NoError(t, err)
		require.Contains(t, text, "demo")
		require.Contains(t, text, "version")
	})
	t.Run("version prints one line", func(t *testing.T) {
		t.Parallel()
		text, err := run("version")
		require.NoError(t, err)
		require.Regexp(t, `^\S+\n$`, text)
	})
	t.Run("an unknown subcommand is an error and prints nothing", func(t *testing.T) {
		t.Parallel()
		text, err := run("dance")
		require.ErrorContains(t, err, `unknown command "dance"`)
		require.Empty(t, text)
	})
}
