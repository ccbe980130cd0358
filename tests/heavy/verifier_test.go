// SPDX-License-Identifier: GPL-3.0-only

package heavy_test

import (
	"bufio"
	"bytes"
	"cmp"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// question is what a relying party asks itself at the end of a handshake: may
// the other side, which shows this chain, be this host, or be a client?
type question struct {
	trust string // PEM of what the party was told to trust
	leaf  *x509.Certificate
	// between is what was shown beside the leaf, in that order.
	between []*x509.Certificate
	usage   x509.ExtKeyUsage
	host    string // for servers alone
	// key is the leaf's, for verifiers that want a handshake.
	key any
}

func (q question) chain() string { return pemOf(append([]*x509.Certificate{q.leaf}, q.between...)...) }

func (q question) String() string {
	return fmt.Sprintf("%q as %s of %q, with %d certificates beside it", q.leaf.Subject, usages[q.usage], q.host, len(q.between))
}

// as is the same question about another usage or host.
func (q question) as(usage x509.ExtKeyUsage, host string) question {
	q.usage, q.host = usage, host
	return q
}

// usages are the names of those that are asked for.
var usages = map[x509.ExtKeyUsage]string{
	x509.ExtKeyUsageServerAuth: "server", x509.ExtKeyUsageClientAuth: "client", x509.ExtKeyUsageOCSPSigning: "OCSP responder",
}

// verifier is one implementation of path validation. A nil error accepts.
type verifier func(question) error

// errNotAsked answers a question that a verifier has no notion of.
var errNotAsked = errors.New("not asked")

// verifiers are those that this machine has, by name. What is missing is
// skipped in a subtest of its own, so that a report tells it.
func verifiers(t *testing.T) map[string]verifier {
	t.Helper()
	found := map[string]verifier{"crypto/x509": verifyGo}
	for name, v := range map[string]struct {
		program string
		open    func(*testing.T, files) verifier
	}{
		"openssl": {"openssl", openOpenSSL},
		"GnuTLS":  {"certtool", openGnuTLS},
		"NSS":     {"vfychain", openNSS},
		"Java":    {"java", openJava},
	} {
		_, err := exec.LookPath(v.program)
		t.Run(name, func(*testing.T) {
			if err != nil {
				t.Skipf("NOT VERIFIED by %s: %s is not installed", name, v.program)
			}
		})
		if err == nil {
			found[name] = v.open(t, newFiles(t))
		}
	}
	return found
}

// verifyGo is what crypto/tls does.
func verifyGo(q question) error {
	roots, between := x509.NewCertPool(), x509.NewCertPool()
	roots.AppendCertsFromPEM([]byte(q.trust))
	for _, c := range q.between {
		between.AddCert(c)
	}
	_, err := q.leaf.Verify(x509.VerifyOptions{Roots: roots, Intermediates: between, DNSName: q.host, KeyUsages: []x509.ExtKeyUsage{q.usage}})
	return err
}

func openOpenSSL(_ *testing.T, f files) verifier {
	purposes := map[x509.ExtKeyUsage]string{
		x509.ExtKeyUsageServerAuth: "sslserver", x509.ExtKeyUsageClientAuth: "sslclient",
	}
	return func(q question) error {
		if q.usage == x509.ExtKeyUsageOCSPSigning {
			return errNotAsked // its purpose for responders looks at no usage; openssl ocsp does
		}
		args := []string{"verify", "-x509_strict", "-no-CApath", "-no-CAstore", "-purpose", purposes[q.usage], "-CAfile", f.path(q.trust)}
		if len(q.between) > 0 {
			args = append(args, "-untrusted", f.path(pemOf(q.between...)))
		}
		if q.host != "" {
			args = append(args, "-verify_hostname", q.host)
		}
		return run("openssl", append(args, f.path(pemOf(q.leaf)))...)
	}
}

func openGnuTLS(_ *testing.T, f files) verifier {
	purposes := map[x509.ExtKeyUsage]string{
		x509.ExtKeyUsageServerAuth: "1.3.6.1.5.5.7.3.1", x509.ExtKeyUsageClientAuth: "1.3.6.1.5.5.7.3.2", x509.ExtKeyUsageOCSPSigning: "1.3.6.1.5.5.7.3.9",
	}
	return func(q question) error {
		args := []string{"--verify", "--load-ca-certificate", f.path(q.trust), "--verify-purpose", purposes[q.usage], "--infile", f.path(q.chain())}
		if q.host != "" {
			args = append(args, "--verify-hostname", q.host)
		}
		return run("certtool", args...)
	}
}

// openNSS asks the library of Firefox twice: its path validation, and, since
// that does not look at names, a handshake.
func openNSS(t *testing.T, f files) verifier {
	numbers := map[x509.ExtKeyUsage]string{x509.ExtKeyUsageServerAuth: "1", x509.ExtKeyUsageClientAuth: "0", x509.ExtKeyUsageOCSPSigning: "10"}
	trusted := newDatabases(t)
	return func(q question) error {
		database, err := trusted.open(q.trust)
		if err != nil {
			return err
		}
		args := []string{"-d", database, "-pp", "-u", numbers[q.usage]}
		for _, c := range append([]*x509.Certificate{q.leaf}, q.between...) {
			args = append(args, "-a", f.path(pemOf(c)))
		}
		if err := run("vfychain", args...); err != nil || q.host == "" {
			return err
		}
		return handshakeNSS(database, q)
	}
}

// openJava starts one virtual machine for all questions.
func openJava(t *testing.T, f files) verifier {
	cmd := exec.Command("java", "--add-exports", "java.base/sun.security.util=ALL-UNNAMED", filepath.Join("testdata", "Verifier.java"))
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	in, err := cmd.StdinPipe()
	require.NoError(t, err)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		require.NoError(t, in.Close())
		require.NoError(t, cmd.Wait(), "%s", &complaints)
	})
	lines, one := bufio.NewReader(out), &sync.Mutex{}
	return func(q question) error {
		if q.usage == x509.ExtKeyUsageOCSPSigning {
			return errNotAsked
		}
		one.Lock()
		defer one.Unlock()
		if _, err := fmt.Fprintln(in, usages[q.usage], cmp.Or(q.host, "-"), f.path(q.trust), f.path(q.chain())); err != nil {
			return err
		}
		line, err := lines.ReadString('\n')
		if err != nil || strings.TrimSpace(line) != "accepted" {
			return errors.Join(errors.New(strings.TrimSpace(line)), err)
		}
		return nil
	}
}

// run runs a program to its end. Its output is in the error.
func run(program string, args ...string) error {
	text, err := exec.Command(program, args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w: %s", filepath.Base(program), err, text)
	}
	return nil
}

// files gives texts a path, the same text the same one.
type files string

func newFiles(t *testing.T) files { return files(t.TempDir()) }

func (f files) path(text string) string {
	sum := sha256.Sum256([]byte(text))
	path := filepath.Join(string(f), hex.EncodeToString(sum[:8])+".pem")
	if _, err := os.Stat(path); err != nil {
		// The name is taken at the end, by a whole file: others may read it.
		part, err := os.CreateTemp(string(f), "part")
		if err == nil {
			_, err = io.WriteString(part, text)
		}
		if err = errors.Join(err, part.Close(), os.Rename(part.Name(), path)); err != nil {
			panic(err)
		}
	}
	return path
}

func pemOf(certificates ...*x509.Certificate) string {
	var text strings.Builder
	for _, c := range certificates {
		text.Write(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}))
	}
	return text.String()
}

// parseAll reads all certificates of a PEM text.
func parseAll(t *testing.T, text string) []*x509.Certificate {
	t.Helper()
	var all []*x509.Certificate
	for rest := []byte(text); len(bytes.TrimSpace(rest)) > 0; {
		var block *pem.Block
		block, rest = pem.Decode(rest)
		require.NotNil(t, block, "%.40q is not PEM", rest)
		c, err := x509.ParseCertificate(block.Bytes)
		require.NoError(t, err)
		all = append(all, c)
	}
	return all
}
