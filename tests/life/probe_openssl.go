// SPDX-License-Identifier: GPL-3.0-only

package life

import (
	"bufio"
	"bytes"
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// OpenSSL lets all pairs of parties connect once with the programs of openssl,
// in folders below the given one.
func (p *Probe) OpenSSL(folder string) error {
	for i, one := range p.parties {
		if err := one.write(filepath.Join(folder, fmt.Sprint(i))); err != nil {
			return err
		}
	}
	for i, server := range p.parties {
		for j, client := range p.parties {
			if err := p.openssl(filepath.Join(folder, fmt.Sprint(i)), filepath.Join(folder, fmt.Sprint(j)), server.certificate.Leaf.DNSNames[0]); err != nil {
				return fmt.Errorf("openssl: %s connects to %s: %w", client.name, server.name, err)
			}
		}
	}
	return nil
}

// write puts what a party has into files.
func (one *party) write(folder string) error {
	key, err := x509.MarshalPKCS8PrivateKey(one.certificate.PrivateKey)
	if err != nil {
		return err
	}
	var chain bytes.Buffer
	for _, der := range one.certificate.Certificate[1:] {
		if err := pem.Encode(&chain, &pem.Block{Type: "CERTIFICATE", Bytes: der}); err != nil {
			return err
		}
	}
	errs := []error{os.MkdirAll(folder, 0o700)}
	for name, content := range map[string][]byte{
		"leaf.pem":  pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: one.certificate.Certificate[0]}),
		"chain.pem": chain.Bytes(),
		"key.pem":   pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}),
		"ca.pem":    []byte(one.trust),
	} {
		errs = append(errs, os.WriteFile(filepath.Join(folder, name), content, 0o600))
	}
	return errors.Join(errs...)
}

// opensslTimeout bounds one handshake of two processes.
const opensslTimeout = time.Minute

// openssl is one handshake between s_server and s_client. Under TLS 1.2 the
// client fails when the server refuses its certificate.
func (p *Probe) openssl(server, client, name string) error {
	ctx, cancel := context.WithTimeout(context.Background(), opensslTimeout)
	defer cancel()
	serve := exec.CommandContext(ctx, "openssl", p.side(server, "s_server", "-accept", "127.0.0.1:0", "-naccept", "1", "-Verify", "9")...)
	out, err := serve.StdoutPipe()
	if err != nil {
		return err
	}
	// s_server hangs up when its input ends.
	if _, err := serve.StdinPipe(); err != nil {
		return err
	}
	if err := serve.Start(); err != nil {
		return err
	}
	defer func() {
		cancel()
		_ = serve.Wait() // killed unless it has ended
	}()
	address, err := acceptedAddress(out)
	if err != nil {
		return err
	}
	go func() { _, _ = io.Copy(io.Discard, out) }()
	call := exec.CommandContext(ctx, "openssl", p.side(client, "s_client", "-connect", address, "-tls1_2", "-verify_hostname", name)...)
	call.Stdin = strings.NewReader("Q\n")
	if text, err := call.CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, text)
	}
	p.Handshakes++
	return nil
}

// side are the arguments that server and client share.
func (p *Probe) side(folder, command string, args ...string) []string {
	file := func(name string) string { return filepath.Join(folder, name) }
	args = append([]string{command, "-cert", file("leaf.pem"), "-key", file("key.pem"), "-CAfile", file("ca.pem"),
		"-verify_return_error", "-attime", fmt.Sprint(p.life.Now.Unix())}, args...)
	if state, err := os.Stat(file("chain.pem")); err == nil && state.Size() > 0 {
		args = append(args, "-cert_chain", file("chain.pem"))
	}
	return args
}

// acceptedAddress reads where s_server listens.
func acceptedAddress(out io.Reader) (string, error) {
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if address, found := strings.CutPrefix(lines.Text(), "ACCEPT "); found {
			return address, nil
		}
	}
	return "", errors.New("s_server does not listen")
}
