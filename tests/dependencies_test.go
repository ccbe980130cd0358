// SPDX-License-Identifier: GPL-3.0-only

package tests

import (
	"debug/buildinfo"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// dependenciesDocument lists what the shipped programs are made of.
const dependenciesDocument = "docs/reference/dependencies.md"

// licences are known by what their texts say; the first that fits counts.
var licences = []struct{ name, says string }{
	{"LGPL-3.0, linking allowed", "linking exception"},
	{"LGPL-3.0", "GNU LESSER GENERAL PUBLIC LICENSE"},
	{"GPL-3.0", "GNU GENERAL PUBLIC LICENSE"},
	{"Apache-2.0", "Apache License"},
	{"MIT", "Permission is hereby granted, free of charge"},
	{"BSD-3-Clause", "Neither the name of"},
	{"BSD-2-Clause", "Redistributions in binary form must reproduce"},
}

// TestDependenciesAreListed compares the modules in the programs of the packed
// charm, and their licences, with the document; -update writes it.
func TestDependenciesAreListed(t *testing.T) {
	t.Parallel()
	in := map[string][]string{} // programs, by module and version
	for _, program := range []string{"dispatch", "bin/tls-authority", "bin/pebble"} {
		build, err := buildinfo.ReadFile(filepath.Join(expand(t), program))
		require.NoError(t, err)
		modules := build.Deps
		if build.Main.Path != "tls-authority" {
			modules = append(modules, &build.Main)
		}
		require.NotEmpty(t, modules)
		for _, module := range modules {
			require.Nil(t, module.Replace, module.Path)
			key := module.Path + "@" + module.Version
			in[key] = append(in[key], "`"+program+"`")
		}
	}
	var text strings.Builder
	text.WriteString("# What the charm is made of\n\nThe modules in the three programs that the archive carries, by what the programs themselves say. `make docs` writes this\npage; why each is used is in [decision 0006](../decisions/0006-dependencies.md).\n\n| Module | Version | In | Licence |\n|---|---|---|---|\n")
	for _, key := range slices.Sorted(maps.Keys(in)) {
		path, version, _ := strings.Cut(key, "@")
		fmt.Fprintf(&text, "| `%s` | %s | %s | %s |\n", path, version, strings.Join(in[key], ", "), licenceOf(t, key))
	}
	if *update {
		require.NoError(t, os.WriteFile(filepath.Join(root, dependenciesDocument), []byte(text.String()), 0o644))
	}
	require.Equal(t, text.String(), readDocument(t, dependenciesDocument), "run make docs")
}

// licenceOf reads the licence in the source of a module, which building the
// charm has fetched.
func licenceOf(t *testing.T, module string) string {
	t.Helper()
	cmd := exec.Command("go", "mod", "download", "-json", module)
	cmd.Dir = root
	out, err := cmd.Output()
	require.NoError(t, err, module)
	_, after, _ := strings.Cut(string(out), `"Dir": "`)
	folder, _, _ := strings.Cut(after, `"`)
	require.NotEmpty(t, folder, module)
	files, err := filepath.Glob(filepath.Join(folder, "*"))
	require.NoError(t, err)
	for _, file := range files {
		name := strings.ToUpper(filepath.Base(file))
		if !strings.HasPrefix(name, "LICEN") && !strings.HasPrefix(name, "COPYING") {
			continue
		}
		content, err := os.ReadFile(file)
		require.NoError(t, err)
		for _, licence := range licences {
			if strings.Contains(string(content), licence.says) {
				return licence.name
			}
		}
	}
	require.Fail(t, "no licence that is known", module)
	return ""
}
