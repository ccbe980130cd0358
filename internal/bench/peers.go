// SPDX-License-Identifier: GPL-3.0-only

package bench

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// peerCost is what another CA needs for a key and a server certificate.
type peerCost struct {
	Name    string `json:"name"`
	Version string `json:"version,omitempty"`
	Key     string `json:"key-type"` // of the CA too
	CPU     spread `json:"cpu"`
	// Ours is our hook that does it, which also reads from and writes to the
	// model. It ran between the runs of the peer.
	Ours    spread `json:"cpu-of-our-hook"`
	Missing string `json:"missing,omitempty"` // why there are no figures
}

// peer is a CA that is a command.
type peer struct {
	name string
	// find returns the program, and its version.
	find func(b *bench, workshop string) (program, version string, err error)
	// prepare makes the CA; nil where it takes the one in ca.pem and ca.key.
	prepare func(w peerWork) error
	// issue returns the commands that make the certificate of host.
	issue func(w peerWork, host string) []*exec.Cmd
	// result returns the certificate, from a file or from what the last command
	// printed.
	result func(w peerWork, host string, output []byte) ([]byte, error)
}

// peerWork is a folder in which a peer makes keys of one type.
type peerWork struct {
	program, folder, keyType string
}

// command is run in the folder with little in its environment.
func (w peerWork) command(args ...string) *exec.Cmd {
	cmd := exec.Command(w.program, args...)
	cmd.Dir = w.folder
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + w.folder, "LANG=C.UTF-8"}
	return cmd
}

func (w peerWork) file(name string) string { return filepath.Join(w.folder, name) }

// measurePeers sets our legacy hook beside every peer. One that cannot be had
// is a row that says so.
func (b *bench) measurePeers() error {
	if b.options.peers == "none" {
		return nil
	}
	workshop, err := os.MkdirTemp("", "peers")
	if err != nil {
		return err
	}
	defer os.RemoveAll(workshop)
	for _, p := range peers() {
		b.say("  %s", p.name)
		program, version, err := p.find(b, workshop)
		for _, keyType := range []string{"rsa-2048", "ecdsa-p256"} {
			row := peerCost{Name: p.name, Version: version, Key: keyType}
			if err != nil {
				row.Missing = err.Error()
			} else {
				err := b.measurePeer(p, program, &row)
				if err != nil {
					return err
				}
			}
			b.report.Peers = append(b.report.Peers, row)
		}
	}
	return nil
}

// measurePeer runs the peer and us in turn. The peer's failure is noted, ours
// is an error.
func (b *bench) measurePeer(p peer, program string, row *peerCost) error {
	folder, err := os.MkdirTemp("", "peer")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	w := peerWork{program: program, folder: folder, keyType: row.Key}
	err = w.makeAuthority()
	if err == nil && p.prepare != nil {
		err = p.prepare(w)
	}
	if err != nil {
		row.Missing = err.Error()
		return nil
	}
	s, err := newSite(b.options.charm, map[string]any{"ca-key-type": row.Key, "key-type": row.Key})
	if err != nil {
		return err
	}
	defer s.close()
	f, err := s.relate("etcd")
	if err != nil {
		return err
	}
	var theirs, ours costList
	for i := range b.sizes.keyRuns {
		cost, err := p.once(w, fmt.Sprintf("server-%d.example.com", i))
		if err != nil {
			row.Missing = err.Error()
			return nil
		}
		hooks, err := b.ask(f, requestCost{Dialect: "legacy"})
		if err != nil {
			return err
		}
		theirs, ours = append(theirs, cost), append(ours, hooks[0])
	}
	row.CPU, row.Ours = theirs.cpu(), ours.cpu()
	return expect(f.issuedLegacy(), b.sizes.keyRuns)
}

// once issues one certificate and looks at it.
func (p peer) once(w peerWork, host string) (hookCost, error) {
	var parts costList
	var output bytes.Buffer
	for _, cmd := range p.issue(w, host) {
		output.Reset()
		cmd.Stdout = &output
		cost, err := runCommand(cmd)
		if err != nil {
			return hookCost{}, err
		}
		parts = append(parts, cost)
	}
	text, err := p.result(w, host, output.Bytes())
	if err != nil {
		return hookCost{}, err
	}
	return sumCosts(parts), w.check(text, host)
}

// makeAuthority writes a CA for the peers that can be given one.
func (w peerWork) makeAuthority() error {
	authority, err := newPlainAuthority(w.keyType)
	if err != nil {
		return err
	}
	key, err := x509.MarshalPKCS8PrivateKey(authority.key)
	if err != nil {
		return err
	}
	keyPEM := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})
	certPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: authority.certificate.Raw})
	return errors.Join(os.WriteFile(w.file("ca.key"), keyPEM, 0o600), os.WriteFile(w.file("ca.pem"), certPEM, 0o600))
}

// check holds what a peer made to what was asked of it: a row must not look
// good because less was done.
func (w peerWork) check(text []byte, host string) error {
	block, _ := pem.Decode(text)
	if block == nil {
		return errors.New("it wrote no PEM")
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return err
	}
	authority, err := os.ReadFile(w.file("ca.pem"))
	if err != nil {
		return err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(authority)
	_, err = cert.Verify(x509.VerifyOptions{Roots: roots, DNSName: host})
	if err != nil {
		return err
	}
	keyType := ""
	switch key := cert.PublicKey.(type) {
	case *rsa.PublicKey:
		keyType = fmt.Sprintf("rsa-%d", key.N.BitLen())
	case *ecdsa.PublicKey:
		keyType = "ecdsa-p" + fmt.Sprint(key.Params().BitSize)
	}
	if keyType != w.keyType {
		return fmt.Errorf("it made a key of type %q", keyType)
	}
	return nil
}

// installed finds a program that is part of the system, by name or path.
func installed(name string, version ...string) func(*bench, string) (string, string, error) {
	return func(*bench, string) (string, string, error) {
		program, err := exec.LookPath(name)
		if err != nil {
			return "", "", errors.New("it is not installed")
		}
		text, err := exec.Command(program, version...).Output()
		if err != nil {
			return "", "", fmt.Errorf("it does not tell its version: %w", err)
		}
		return program, versionIn(string(text)), nil
	}
}

// versionIn is the first word that starts with a digit.
func versionIn(text string) string {
	for word := range strings.FieldsSeq(text) {
		if word[0] >= '0' && word[0] <= '9' {
			return word
		}
	}
	return "unknown"
}

// built builds a Go program of a module in the workshop.
func built(name, path, version string) func(*bench, string) (string, string, error) {
	return func(b *bench, workshop string) (string, string, error) {
		b.say("  %s: go install %s@%s, for at most %s", name, path, version, b.options.peersLimit)
		ctx, cancel := context.WithTimeout(context.Background(), b.options.peersLimit)
		defer cancel()
		cmd := exec.CommandContext(ctx, "go", "install", path+"@"+version)
		cmd.Dir = workshop
		cmd.Env = append(os.Environ(), "GOBIN="+workshop)
		cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
		cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) } // the compilers too
		cmd.WaitDelay = time.Second
		text, err := cmd.CombinedOutput()
		switch {
		case ctx.Err() != nil:
			return "", version, fmt.Errorf("it could not be built within %s", b.options.peersLimit)
		case err != nil:
			return "", version, fmt.Errorf("it cannot be built: %w: %s", err, oneLine(string(text)))
		}
		return filepath.Join(workshop, name), version, nil
	}
}
