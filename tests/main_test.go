// SPDX-License-Identifier: GPL-3.0-only

// Package tests holds the black-box tests: they pack the charm as it is
// shipped and drive it as a Juju agent does, knowing nothing of its inside.
// Tests that read the source instead, as those of the architecture and the
// documents, are named TestSource…, and are not counted as black-box cases.
package tests

import (
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"tls-authority/internal/jujusim"
)

// root is the folder of the repository, seen from this package.
const root = ".."

var (
	update = flag.Bool("update", false, "rewrite the documents that are generated")

	// scratch is a folder for what tests share; TestMain makes and removes it.
	scratch string

	packer  = sync.OnceValues(buildPacker)
	packing = sync.OnceValues(packShared)
)

func TestMain(m *testing.M) {
	// The simulated Juju puts this very program on the charm's PATH under the
	// names of the hook tools. It leaves past os.Exit, which sleeps for a second
	// under the race detector: hooks call tools by the hundred.
	if code, isTool := jujusim.Shim(os.Args[0], os.Args[1:]); isTool {
		syscall.Exit(code)
	}
	os.Exit(runTests(m))
}

func runTests(m *testing.M) int {
	folder, err := os.MkdirTemp("", "tls-authority-tests-")
	if err != nil {
		fmt.Fprintln(os.Stderr, "cannot make a folder for the tests:", err)
		return 1
	}
	defer os.RemoveAll(folder)
	scratch = folder
	return m.Run()
}

// charmPath returns the path of the charm archive for this machine, packed
// once for all tests of the package. Tests must not write to it.
func charmPath(t *testing.T) string {
	t.Helper()
	path, err := packing()
	require.NoError(t, err)
	return path
}

func packShared() (string, error) {
	if path := os.Getenv(ownMounts); path != "" {
		return path, nil // what this is the child of has packed it
	}
	return packFrom(root, filepath.Join(scratch, "charm"))
}

// packFrom packs the charm of the repository in source for this machine and
// returns the path of the archive, which is in the folder out.
func packFrom(source, out string) (string, error) {
	program, err := packer()
	if err != nil {
		return "", err
	}
	cmd := exec.Command(program, "--out", out)
	cmd.Dir = source
	text, err := cmd.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("cannot pack the charm: %w\n%s", err, text)
	}
	archives, err := filepath.Glob(filepath.Join(out, "*.charm"))
	if err != nil || len(archives) != 1 {
		return "", fmt.Errorf("cannot find the one archive: %v, %w", archives, err)
	}
	return archives[0], nil
}

// buildPacker builds cmd/packcharm.
func buildPacker() (string, error) {
	if _, err := sources(root); err != nil {
		return "", err
	}
	program := filepath.Join(scratch, "packcharm")
	text, err := exec.Command("go", "build", "-o", program, root+"/cmd/packcharm").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("cannot build cmd/packcharm: %w\n%s", err, text)
	}
	return program, nil
}

// sources reads everything that the charm is made of. Reading it matters even
// where the content is not used: go test repeats the result of an earlier run
// while the files that the test itself opened are unchanged, and the charm is
// built by another process.
func sources(root string) (map[string][]byte, error) {
	files := map[string][]byte{}
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		if entry.IsDir() {
			if name == "build" || name == "docs" || (strings.HasPrefix(name, ".") && name != ".") {
				return filepath.SkipDir
			}
			return nil
		}
		files[name], err = os.ReadFile(path)
		return err
	})
	return files, err
}
