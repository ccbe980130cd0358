// SPDX-License-Identifier: GPL-3.0-only

package tests

import (
	"archive/zip"
	"debug/buildinfo"
	"debug/elf"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"sort"
	"strings"
	"testing"

	jujucharm "github.com/juju/charm/v12"
	"github.com/stretchr/testify/require"
	"gopkg.in/yaml.v3"
)

// unitHooks are the hooks of a unit that an agent of Juju 3.3 or later calls.
var unitHooks = []string{
	"config-changed", "install", "leader-elected", "leader-settings-changed", "post-series-upgrade",
	"pre-series-upgrade", "remove", "secret-changed", "secret-expired", "secret-remove", "secret-rotate", "start",
	"stop", "update-status", "upgrade-charm",
}

// relationHooks are those of the endpoints; a peer relation is never broken.
var relationHooks = []string{
	"authority-relation-changed", "authority-relation-created", "authority-relation-departed",
	"authority-relation-joined", "certificates-relation-broken", "certificates-relation-changed",
	"certificates-relation-created", "certificates-relation-departed", "certificates-relation-joined",
	"cos-agent-relation-broken", "cos-agent-relation-changed", "cos-agent-relation-created",
	"cos-agent-relation-departed", "cos-agent-relation-joined",
	"grafana-dashboard-relation-broken", "grafana-dashboard-relation-changed", "grafana-dashboard-relation-created",
	"grafana-dashboard-relation-departed", "grafana-dashboard-relation-joined",
	"logging-relation-broken", "logging-relation-changed", "logging-relation-created",
	"logging-relation-departed", "logging-relation-joined",
	"metrics-endpoint-relation-broken", "metrics-endpoint-relation-changed", "metrics-endpoint-relation-created",
	"metrics-endpoint-relation-departed", "metrics-endpoint-relation-joined",
	"send-ca-cert-relation-broken", "send-ca-cert-relation-changed", "send-ca-cert-relation-created",
	"send-ca-cert-relation-departed", "send-ca-cert-relation-joined",
	"upstream-relation-broken", "upstream-relation-changed", "upstream-relation-created",
	"upstream-relation-departed", "upstream-relation-joined",
}

// members returns the mode of every file and folder that the archive must have.
func members() map[string]os.FileMode {
	want := map[string]os.FileMode{
		"./":                os.ModeDir | 0o755,
		"LICENSE":           0o644,
		"README.md":         0o644,
		"actions.yaml":      0o644,
		"bin/":              os.ModeDir | 0o755,
		"bin/pebble":        0o755,
		"bin/tls-authority": 0o755,
		"config.yaml":       0o644,
		"dispatch":          0o755,
		"hooks/":            os.ModeDir | 0o755,
		"icon.svg":          0o644,
		"manifest.yaml":     0o644,
		"metadata.yaml":     0o644,
	}
	for _, name := range append(append([]string{}, unitHooks...), relationHooks...) {
		want["hooks/"+name] = 0o755
	}
	return want
}

func TestCharmHasExactlyTheseMembers(t *testing.T) {
	t.Parallel()
	archive, err := zip.OpenReader(charmPath(t))
	require.NoError(t, err)
	defer archive.Close()
	modes := map[string]os.FileMode{}
	for _, file := range archive.File {
		require.NotContains(t, modes, file.Name, "twice in the archive")
		modes[file.Name] = file.Mode()
	}
	require.Equal(t, members(), modes)
}

func TestCharmIsWhatJujuAccepts(t *testing.T) {
	t.Parallel()
	archive, err := jujucharm.ReadCharmArchive(charmPath(t))
	require.NoError(t, err)
	require.NoError(t, jujucharm.CheckMeta(archive))
	require.Equal(t, jujucharm.FormatV2, jujucharm.MetaFormat(archive))

	meta := archive.Meta()
	require.Equal(t, "tls-authority", meta.Name)
	require.Equal(t, "tls-certificates", meta.Provides["certificates"].Interface)
	require.Equal(t, "tls-authority-peer", meta.Peers["authority"].Interface)
	require.NotEmpty(t, archive.Config().Options)
	for name, spec := range archive.Actions().ActionSpecs {
		require.Equal(t, false, spec.Params["additionalProperties"], "action %s: Juju 3 accepts misspelt parameters otherwise", name)
	}
}

func TestManifestNamesTheArchitectureOfTheProgram(t *testing.T) {
	t.Parallel()
	names := map[string]string{"amd64": "amd64", "arm64": "arm64", "ppc64le": "ppc64el", "s390x": "s390x"}
	archive, err := jujucharm.ReadCharmArchive(charmPath(t))
	require.NoError(t, err)
	var channels []string
	for _, base := range archive.Manifest().Bases {
		require.Equal(t, []string{names[runtime.GOARCH]}, base.Architectures)
		channels = append(channels, base.Name+"@"+base.Channel.Track)
	}
	require.Equal(t, []string{"ubuntu@22.04", "ubuntu@24.04"}, channels)
	require.Contains(t, filepath.Base(charmPath(t)), "_"+names[runtime.GOARCH]+".charm")
}

func TestProgramsAreStatic(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"dispatch", "bin/tls-authority", "bin/pebble"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			program, err := elf.Open(filepath.Join(expand(t), name))
			require.NoError(t, err)
			defer program.Close()
			for _, segment := range program.Progs {
				require.NotEqual(t, elf.PT_INTERP, segment.Type, "it needs a loader of the machine")
			}
			libraries, err := program.ImportedLibraries()
			require.NoError(t, err)
			require.Empty(t, libraries)
		})
	}
}

// TestPebbleIsTheOneOfGoMod: unmodified, of the version that go.mod fixes, as
// the records of dependencies and licences say.
func TestPebbleIsTheOneOfGoMod(t *testing.T) {
	t.Parallel()
	build, err := buildinfo.ReadFile(filepath.Join(expand(t), "bin", "pebble"))
	require.NoError(t, err)
	require.Equal(t, "github.com/canonical/pebble/cmd/pebble", build.Path)
	pebble := build.Main
	require.Equal(t, "github.com/canonical/pebble", pebble.Path)
	require.Nil(t, pebble.Replace)
	require.NotEmpty(t, pebble.Sum, "it is not built from the published module")
	text, err := os.ReadFile(filepath.Join(root, "go.mod"))
	require.NoError(t, err)
	require.Contains(t, string(text), "\tgithub.com/canonical/pebble "+pebble.Version+"\n", "it is used by the charm itself, too")
	out, err := exec.Command(filepath.Join(expand(t), "bin", "pebble"), "version", "--client").CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.Equal(t, pebble.Version+"\n", string(out))
}

func TestProgramsAreTwo(t *testing.T) {
	t.Parallel()
	folder := expand(t)
	out, err := exec.Command(filepath.Join(folder, "bin", "tls-authority"), "version").CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.Regexp(t, `^tls-authority `, string(out))
	out, err = exec.Command(filepath.Join(folder, "dispatch"), "version").CombinedOutput()
	require.Error(t, err, "it runs a hook, whatever the arguments say: %s", out)
}

// TestDispatchIsLean looks at the packages that a hook starts with. Each of these
// costs it time, whether or not it is used: by what it makes ready at the start
// of a process, or by its size.
func TestDispatchIsLean(t *testing.T) {
	t.Parallel()
	dependencies := func(program string) []string {
		cmd := exec.Command("go", "list", "-deps", program)
		cmd.Dir, cmd.Env = root, append(os.Environ(), "CGO_ENABLED=0") // as it is packed
		out, err := cmd.Output()
		require.NoError(t, err)
		return strings.Fields(string(out))
	}
	dispatch, all := dependencies("./cmd/dispatch"), dependencies("./cmd/tls-authority")
	for _, seldom := range []string{
		"crypto/tls", "net/http", "regexp", "text/template",
		"filippo.io/age", "github.com/canonical/pebble/client", "github.com/prometheus/client_golang/prometheus", "github.com/spf13/cobra",
		"tls-authority/internal/action", "tls-authority/internal/backup", "tls-authority/internal/responder", "tls-authority/internal/service",
	} {
		require.False(t, slices.Contains(dispatch, seldom), "dispatch links %s", seldom)
		require.True(t, slices.Contains(all, seldom), "%s is not linked anywhere: is it another one by now?", seldom)
	}
	for _, path := range dispatch {
		if strings.Contains(strings.Split(path, "/")[0], ".") {
			require.True(t, strings.HasPrefix(path, "golang.org/x/"), "%s: a hook needs no module beyond Go's own", path)
		}
	}
}

func TestHooksRunTheProgram(t *testing.T) {
	t.Parallel()
	folder := expand(t)
	signpost := "#!/bin/sh\necho \"$JUJU_DISPATCH_PATH in $PWD\"\n"
	require.NoError(t, os.WriteFile(filepath.Join(folder, "dispatch"), []byte(signpost), 0o755))
	elsewhere := t.TempDir()
	hooks, err := filepath.Glob(filepath.Join(folder, "hooks", "*"))
	require.NoError(t, err)
	require.Len(t, hooks, len(unitHooks)+len(relationHooks))
	for _, hook := range hooks {
		name := filepath.Base(hook)
		cmd := exec.Command(hook)
		cmd.Dir = elsewhere
		cmd.Env = []string{"JUJU_DISPATCH_PATH=hooks/" + name, "PATH=/usr/bin:/bin"}
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, "%s", out)
		require.Equal(t, "hooks/"+name+" in "+elsewhere+"\n", string(out))
	}
}

func TestCharmIsTheSameWhereverItIsBuilt(t *testing.T) {
	t.Parallel()
	files, err := sources(root)
	require.NoError(t, err)
	elsewhere := filepath.Join(t.TempDir(), "another checkout")
	for name, content := range files {
		path := filepath.Join(elsewhere, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, content, 0o600)) // other modes, other times
	}
	second, err := packFrom(elsewhere, t.TempDir())
	require.NoError(t, err)

	want, err := os.ReadFile(charmPath(t))
	require.NoError(t, err)
	got, err := os.ReadFile(second)
	require.NoError(t, err)
	require.True(t, string(want) == string(got), "two builds of the same source differ")
}

func TestSourceCharmcraftBuildsOnlyThePrograms(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join(root, "charmcraft.yaml"))
	require.NoError(t, err)
	var project map[string]any
	require.NoError(t, yaml.Unmarshal(text, &project))
	for _, section := range []string{"name", "title", "summary", "description", "config", "actions", "links", "assumes", "provides", "requires", "peers"} {
		require.NotContains(t, project, section, "charmcraft refuses or ignores what another file defines")
	}
	require.Equal(t, "charm", project["type"])
	require.Equal(t, map[string]any{"amd64": nil, "arm64": nil, "ppc64el": nil, "s390x": nil}, project["platforms"])

	var parts struct {
		Parts map[string]struct {
			Plugin string
			Stage  []string
		}
	}
	require.NoError(t, yaml.Unmarshal(text, &parts))
	var staged []string
	for name, part := range parts.Parts {
		staged = append(staged, part.Stage...)
		require.Contains(t, []string{"dump", "nil"}, part.Plugin, "part %s: the Go plugin installs every program of the module", name)
	}
	require.ElementsMatch(t, []string{"dispatch", "bin/pebble", "bin/tls-authority", "hooks", "LICENSE", "README.md", "icon.svg"}, staged,
		"the other members are written by charmcraft itself")
}

func TestCharmcraftPacksTheSameMembers(t *testing.T) {
	t.Parallel()
	charmcraft, err := exec.LookPath("charmcraft")
	if err != nil {
		t.Skip("charmcraft is not installed: what it packs is NOT compared with what make charm packs")
	}
	files, err := sources(root)
	require.NoError(t, err)
	project, out := t.TempDir(), t.TempDir()
	for name, content := range files {
		path := filepath.Join(project, name)
		mode := os.FileMode(0o644)
		if strings.HasPrefix(name, "hooks/") {
			mode = 0o755
		}
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, content, mode))
	}
	cmd := exec.Command(charmcraft, "pack", "--destructive-mode", "--project-dir", project, "--output", out)
	text, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", text)
	archives, err := filepath.Glob(filepath.Join(out, "*.charm"))
	require.NoError(t, err)
	require.Len(t, archives, 1)
	require.Equal(t, executables(t, charmPath(t)), executables(t, archives[0]))
}

// executables tells for every file of the archive whether it may be run, in
// the form "name" or "name*" and in order. Folders are left out: it is a
// matter of taste whether an archive names them.
func executables(t *testing.T, path string) []string {
	t.Helper()
	archive, err := zip.OpenReader(path)
	require.NoError(t, err)
	defer archive.Close()
	var names []string
	for _, file := range archive.File {
		switch {
		case file.Mode().IsDir():
		case file.Mode()&0o100 != 0:
			names = append(names, file.Name+"*")
		default:
			names = append(names, file.Name)
		}
	}
	sort.Strings(names)
	return names
}

// expand unpacks the charm as an agent does and returns the folder.
func expand(t *testing.T) string {
	t.Helper()
	archive, err := jujucharm.ReadCharmArchive(charmPath(t))
	require.NoError(t, err)
	folder := t.TempDir()
	require.NoError(t, archive.ExpandTo(folder))
	return folder
}
