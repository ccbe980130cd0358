// SPDX-License-Identifier: GPL-3.0-only

package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// The programs of the charm, by the packages they are built of. The service
// manager is that of another project, at the version that go.mod fixes.
const (
	dispatch  = "./cmd/dispatch"
	authority = "./cmd/tls-authority"
	pebble    = "github.com/canonical/pebble/cmd/pebble"
)

// members lists what is copied into the charm as it is, from the current
// folder. The programs and manifest.yaml are made.
var members = []string{"LICENSE", "README.md", "actions.yaml", "config.yaml", "icon.svg", "metadata.yaml"}

// stage fills the folder with the content of the charm. Modes are set here:
// those of a checkout depend on the umask of whoever made it.
func stage(t target, folder string) error {
	if err := stagePrograms(t, folder); err != nil {
		return err
	}
	for _, name := range members {
		if err := copyFile(name, folder, 0o644); err != nil {
			return err
		}
	}
	if err := os.Mkdir(filepath.Join(folder, "hooks"), 0o755); err != nil {
		return err
	}
	hooks, err := filepath.Glob("hooks/*")
	if err != nil {
		return err
	}
	for _, name := range hooks {
		if err := copyFile(name, folder, 0o755); err != nil {
			return err
		}
	}
	return os.WriteFile(filepath.Join(folder, "manifest.yaml"), []byte(t.manifest()), 0o644)
}

// stagePrograms builds what the charm runs. Juju finds dispatch at the root;
// what dispatch runs is in bin.
func stagePrograms(t target, folder string) error {
	if err := os.Mkdir(filepath.Join(folder, "bin"), 0o755); err != nil {
		return err
	}
	for name, program := range map[string]string{"dispatch": dispatch, "bin/tls-authority": authority, "bin/pebble": pebble} {
		if err := build(t, program, filepath.Join(folder, name)); err != nil {
			return err
		}
	}
	return nil
}

// build compiles a program for the target. It is static, so that it runs on
// every base, and carries no path, no build identifier and nothing of the
// builder's environment, so that everyone's build has the same bytes.
func build(t target, program, output string) error {
	cmd := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w -buildid=", "-o", output, program)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+t.goarch, "GOFLAGS=", "GOEXPERIMENT=", "GOFIPS140=off", "GOWORK=off")
	if t.level != "" {
		cmd.Env = append(cmd.Env, t.level)
	}
	text, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("cannot build %s: %w\n%s", program, err, text)
	}
	return os.Chmod(output, 0o755)
}

func copyFile(name, folder string, mode os.FileMode) error {
	content, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	target := filepath.Join(folder, name)
	if err := os.WriteFile(target, content, mode); err != nil {
		return err
	}
	return os.Chmod(target, mode)
}
