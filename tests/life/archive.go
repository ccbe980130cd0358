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
// path of the archive. It is the charm that ships without its program, which a
// life never runs and every unit would unpack.
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
	return light, strip(archives[0], light, program)
}

// program is the name of the charm's program in its archive.
const program = "dispatch"

func hasProgram(archive string) (bool, error) {
	files, err := zip.OpenReader(archive)
	if err != nil {
		return false, err
	}
	defer files.Close()
	return slices.ContainsFunc(files.File, func(f *zip.File) bool { return f.Name == program }), nil
}

// strip copies a zip archive without one of its members.
func strip(from, to, member string) (err error) {
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
	return stripTo(out, &archive.Reader, member)
}

func stripTo(out io.Writer, archive *zip.Reader, member string) error {
	w, found := zip.NewWriter(out), false
	for _, f := range archive.File {
		if f.Name == member {
			found = true
			continue
		}
		if err := w.Copy(f); err != nil {
			return err
		}
	}
	if !found {
		return fmt.Errorf("the archive has no %s", member)
	}
	return w.Close()
}
