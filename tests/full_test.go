// SPDX-License-Identifier: GPL-3.0-only

package tests

import (
	"crypto/x509"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/ocsp"

	"tls-authority/internal/jujusim"
)

// ownMounts is set for a child of TestAFullDisk, which may mount what it likes.
// Its value is the archive of the charm.
const ownMounts = "TLS_AUTHORITY_TEST_CHARM"

// mountAgain runs a test again in a user and mount namespace of its own, where
// nothing that it mounts is seen by others and no privilege is needed.
func mountAgain(t *testing.T) {
	t.Helper()
	const sysAdmin = 21 // CAP_SYS_ADMIN of capabilities(7), within the namespace
	uid, gid := os.Getuid(), os.Getgid()
	cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), ownMounts+"="+charmPath(t))
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: uid, HostID: uid, Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: gid, HostID: gid, Size: 1}},
		AmbientCaps: []uintptr{sysAdmin},
	}
	text, err := cmd.CombinedOutput()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		t.Skipf("NO DISK WAS FULL: this machine gives the test no namespace to mount one in: %v", err)
	}
	if reason, found := strings.CutPrefix(string(text), "cannot mount: "); found {
		t.Skipf("NO DISK WAS FULL: this machine lets the test mount none: %s", reason)
	}
	require.NoError(t, err, "%s", text)
	require.Contains(t, string(text), "--- PASS: "+t.Name(), "it has run")
}

// disk is a small file system.
type disk struct {
	t    *testing.T
	path string
}

// mountDisk mounts an empty disk.
func mountDisk(t *testing.T, path string) *disk {
	t.Helper()
	require.NoError(t, os.MkdirAll(path, 0o700))
	require.NoError(t, syscall.Mount("tls-authority-test", path, "tmpfs", 0, "size=1m,mode=0700"))
	t.Cleanup(func() { require.NoError(t, syscall.Unmount(path, syscall.MNT_DETACH)) })
	return &disk{t, path}
}

const ballast = "ballast"

// fill leaves room for a number of bytes, in pages of 4096.
func (d *disk) fill(left int64) {
	d.t.Helper()
	file, err := os.OpenFile(filepath.Join(d.path, ballast), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	require.NoError(d.t, err)
	defer file.Close()
	for page := make([]byte, 4096); err == nil; {
		_, err = file.Write(page)
	}
	require.ErrorIs(d.t, err, syscall.ENOSPC)
	state, err := file.Stat()
	require.NoError(d.t, err)
	require.NoError(d.t, file.Truncate(state.Size()-left))
}

func (d *disk) empty() {
	d.t.Helper()
	require.NoError(d.t, os.Remove(filepath.Join(d.path, ballast)))
}

// files are all files on the disk but what fills it, no directories.
func (d *disk) files() []string {
	d.t.Helper()
	var found []string
	require.NoError(d.t, filepath.WalkDir(d.path, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() && entry.Name() != ballast {
			found = append(found, strings.TrimPrefix(path, d.path+"/"))
		}
		return err
	}))
	return found
}

// TestAFullDisk fills, one after another, each disk that the charm writes to.
func TestAFullDisk(t *testing.T) {
	if os.Getenv(ownMounts) == "" {
		t.Parallel()
		mountAgain(t)
		return
	}
	t.Run("where content of secrets passes through, no CA is made until there is room", fullMemory)
	t.Run("where a backup goes, nothing is left of it", fullBackups)
	t.Run("below the status service, issuing goes on and nothing revoked is told as good", fullStatus)
	t.Run("below a status service that is to start, issuing goes on and it starts when there is room", fullStart)
}

// fullMemory: keys that Juju is given as files are in memory, on /dev/shm.
func fullMemory(t *testing.T) {
	// A secret of a CA has two files, so that one of them fits into a page.
	for name, left := range map[string]int64{"nothing": 0, "a page": 4096} {
		t.Run(name+" is left", func(t *testing.T) {
			memory := mountDisk(t, "/dev/shm")
			memory.fill(left)
			s := newModel(t, jujusim.Options{}, 1)
			err := s.Settle()
			require.ErrorContains(t, err, "no space left on device")
			require.Error(t, s.Settle(), "again and again")
			require.Empty(t, s.authoritySecrets())
			require.Empty(t, s.peerBag())
			require.Empty(t, memory.files(), "no key is left in a file")
			requireNoKeyLeaks(t, s)

			memory.empty()
			s.settle()
			require.Equal(t, []string{"ca-1"}, s.authoritySecrets())
			csr, _ := newCSR(t, nil)
			web := s.relate("web", map[string]map[string]string{"web/0": csrBag(t, csr)})
			requireServer(t, s.root(), parseOne(t, s.answers(web)[csr].Certificate))

			memory.fill(left)
			secrets := s.Secrets()
			_, failure := s.run(charm+"/0", "issue-certificate", map[string]any{"common-name": "ops.example.com"})
			require.NotEmpty(t, failure)
			require.Equal(t, secrets, s.Secrets())
			require.Empty(t, memory.files())
			other, _ := newCSR(t, named("other.example.com"))
			require.NoError(t, s.SetBag(web, "web/0", csrBag(t, csr, other)))
			s.settle()
			require.Contains(t, s.answers(web), other, "requirers need no file")
			memory.empty()
			_, failure = s.run(charm+"/0", "issue-certificate", map[string]any{"common-name": "ops.example.com"})
			require.Empty(t, failure)
			require.Empty(t, memory.files())
		})
	}
}

func fullBackups(t *testing.T) {
	s := newSite(t, jujusim.Options{}, 1)
	require.NoError(t, s.Configure(charm, map[string]any{"key-type": "ecdsa-p256"}))
	s.relate("etcd", etcdBags(25)) // for a backup of some pages
	l := newLocks(t)
	seals := s.granted(l.seals)
	folder := mountDisk(t, filepath.Join(t.TempDir(), "backups"))
	// Each in its own directory: their names are those of the second.
	backUp := func(where string) (map[string]string, string) {
		return s.run(charm+"/0", "backup", map[string]any{"secret": seals, "directory": filepath.Join(folder.path, where)})
	}
	results, failure := backUp("first")
	require.Empty(t, failure)
	first := folder.files()
	require.Equal(t, []string{filepath.Join("first", filepath.Base(results["file"]))}, first)
	s.requireStatus(charm+"/0", "active")
	recorded := s.peerBag()

	for _, left := range []int64{0, 4096} { // 4096 hold a part of it
		folder.fill(left)
		_, failure = backUp("full")
		require.Contains(t, failure, "no space left on device")
		require.Equal(t, recorded, s.peerBag(), "no backup is on record that is not there")
		require.Equal(t, first, folder.files())
		folder.empty()
	}
	results, failure = backUp("full")
	require.Empty(t, failure)
	_, failure = s.restore(results["file"], l, map[string]any{"dry-run": true, "force": true})
	require.Empty(t, failure)
}

// statusDisk is the disk with the folder of a unit's status service.
func statusDisk(t *testing.T, s *site, unit string) *disk {
	t.Helper()
	return mountDisk(t, filepath.Join(s.Directory(), "agents", "unit-"+strings.ReplaceAll(unit, "/", "-"), "status"))
}

// requireSpool proves that there is no part of a file, and no key but in its place.
func (d *disk) requireSpool() {
	d.t.Helper()
	for _, name := range d.files() {
		require.False(d.t, strings.HasSuffix(name, ".new"), name)
		text, err := os.ReadFile(filepath.Join(d.path, name))
		if err == nil && strings.Contains(string(text), "PRIVATE KEY") {
			require.Equal(d.t, filepath.Join("spool", "responder.key"), name)
			require.Contains(d.t, string(text), "-----END PRIVATE KEY-----\n", "the key is whole")
		}
	}
}

func fullStatus(t *testing.T) {
	const unit = charm + "/0"
	s := newServing(t, 1, map[string]any{"status-port": 0})
	d := statusDisk(t, s, unit)
	s.configure(map[string]any{"status-port": statusPort})
	s.settle()
	csr, _ := newCSR(t, nil)
	web := s.relate("web", map[string]map[string]string{"web/0": csrBag(t, csr)})
	root, leaf := s.root(), parseOne(t, s.answers(web)[csr].Certificate)
	is := func(leaf *x509.Certificate, state int) func() bool {
		return func() bool {
			answer := s.state(unit, root, leaf)
			return answer != nil && answer.Status == state
		}
	}
	s.eventually("good", is(leaf, ocsp.Good))
	s.requireStatus(unit, "active")

	d.fill(0)
	since := len(s.Hooks())
	other, _ := newCSR(t, named("other.example.com"))
	require.NoError(t, s.SetBag(web, "web/0", csrBag(t, csr, other)))
	s.settle()
	require.Contains(t, s.answers(web), other, "issuing goes on")
	_, failure := s.run(unit, "revoke-certificate", map[string]any{"serial": serialOf(leaf)})
	require.Empty(t, failure)
	s.eventually("not good", func() bool { return !is(leaf, ocsp.Good)() })
	require.NoError(t, s.UpdateStatus(unit))
	s.requireStatus(unit, "active", "status service off: cannot write status.json", "no space left")
	require.NoError(t, s.UpdateStatus(unit))
	s.requireStatus(unit, "active", "status service off: cannot write status.json")
	d.requireSpool()
	for _, run := range s.Hooks()[since:] {
		require.Zero(t, run.ExitCode, run.Hook)
	}

	d.empty()
	require.NoError(t, s.UpdateStatus(unit))
	s.eventually("revoked", is(leaf, ocsp.Revoked))
	require.NoError(t, s.UpdateStatus(unit))
	require.NotContains(t, s.statusOf(unit), "status service")
	d.requireSpool()
}

func fullStart(t *testing.T) {
	const unit = charm + "/0"
	s := newServing(t, 1, map[string]any{"status-port": 0})
	d := statusDisk(t, s, unit)
	d.fill(0)
	s.configure(map[string]any{"status-port": statusPort})
	s.settle()
	s.requireStatus(unit, "active", "status service off: ", "no space left on device")
	csr, _ := newCSR(t, nil)
	web := s.relate("web", map[string]map[string]string{"web/0": csrBag(t, csr)})
	require.Contains(t, s.answers(web), csr, "issuing goes on")
	require.NoError(t, s.UpdateStatus(unit))
	s.requireStatus(unit, "active", "status service off: ")
	require.Empty(t, s.processes(unit), "nothing runs that nobody can tell anything")
	d.requireSpool()

	d.empty()
	for range 3 {
		require.NoError(t, s.UpdateStatus(unit))
	}
	require.NotContains(t, s.statusOf(unit), "status service")
	leaf := parseOne(t, s.answers(web)[csr].Certificate)
	s.eventually("good", func() bool {
		answer := s.state(unit, s.root(), leaf)
		return answer != nil && answer.Status == ocsp.Good
	})
	d.requireSpool()
	require.True(t, slices.Contains(d.files(), filepath.Join("spool", "responder.key")))
}
