// SPDX-License-Identifier: GPL-3.0-only

package life

import (
	"archive/zip"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
)

// Pack packs the charm of the repository at root into a folder and returns the
// path of the archive. It is the charm that ships without its own programs, which
// a life never runs and every unit would unpack.
func Pack(root, folder string) (string, error) {
	cmd := exec.Command("go", "run", "./cmd/packcharm", "--out", folder)
	cmd.Dir = root
	text, err := cmd.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("cannot pack the charm: %w\n%s", err, text)
	}
	archives, err := filepath.Glob(filepath.Join(folder, "*.charm"))
	if err != nil {
		return "", err
	}
	if len(archives) != 1 {
		return "", fmt.Errorf("%d charms were packed, want one", len(archives))
	}
	light := filepath.Join(folder, "light.charm")
	return light, strip(archives[0], light, program, "bin/tls-authority")
}

// program is the name of what Juju runs in the archive of the charm.
const program = "dispatch"

func hasProgram(archive string) (bool, error) {
	files, err := zip.OpenReader(archive)
	if err != nil {
		return false, err
	}
	defer files.Close()
	return slices.ContainsFunc(files.File, func(f *zip.File) bool { return f.Name == program }), nil
}

// strip copies a zip archive without some of its members.
func strip(from, to string, members ...string) (err error) {
	archive, err := zip.OpenReader(from)
	if err != nil {
		return err
	}
	defer archive.Close()
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	return stripTo(out, &archive.Reader, members)
}

func stripTo(out io.Writer, archive *zip.Reader, members []string) error {
	w, found := zip.NewWriter(out), 0
	for _, f := range archive.File {
		if slices.Contains(members, f.Name) {
			found++
			continue
		}
		if err := w.Copy(f); err != nil {
			return err
		}
	}
	if found != len(members) {
		return fmt.Errorf("the archive has %d of %v", found, members)
	}
	return w.Close()
}
