// SPDX-License-Identifier: GPL-3.0-only

package bench

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"os/exec"
	"syscall"
	"time"

	"github.com/spf13/cobra"
)

// baselineOrder asks a process of its own for a plain piece of work. The
// process has a heap of its own, as a hook has: beside the model's, the
// garbage collector would make the work look dearer or cheaper than it is.
type baselineOrder struct {
	Work     string   `json:"work"` // see baselineWorks
	KeyType  string   `json:"key-type,omitempty"`
	Runs     int      `json:"runs"`
	Count    int      `json:"count,omitempty"` // of signatures a run
	Requests []string `json:"requests,omitempty"`
}

// baselineFigures are seconds of CPU, by what they are of.
type baselineFigures map[string]spread

var baselineWorks = map[string]func(baselineOrder) (baselineFigures, error){
	"batch": baselineBatch,
	"bare":  baselineBare,
	"issue": baselineIssue,
	"list":  baselineList,
}

// baseline runs this program once more as a baseline.
func (b *bench) baseline(order baselineOrder) (baselineFigures, error) {
	text, err := json.Marshal(order)
	if err != nil {
		return nil, fmt.Errorf("cannot order a baseline: %w", err)
	}
	var output, complaint bytes.Buffer
	cmd := exec.Command(b.program, "bench", "baseline")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(text), &output, &complaint
	err = cmd.Run()
	if err != nil {
		return nil, fmt.Errorf("cannot run the baseline %q: %w: %s", order.Work, err, complaint.Bytes())
	}
	var figures baselineFigures
	err = json.Unmarshal(output.Bytes(), &figures)
	if err != nil {
		return nil, fmt.Errorf("cannot read the baseline %q: %w", order.Work, err)
	}
	return figures, nil
}

func newBaselineCommand() *cobra.Command {
	return &cobra.Command{
		Use:    "baseline",
		Short:  "Do a plain piece of work for bench, which calls this",
		Args:   cobra.NoArgs,
		Hidden: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runBaseline(cmd.InOrStdin(), cmd.OutOrStdout())
		},
	}
}

func runBaseline(in io.Reader, out io.Writer) error {
	var order baselineOrder
	err := json.NewDecoder(in).Decode(&order)
	if err != nil {
		return fmt.Errorf("cannot read the order: %w", err)
	}
	work := baselineWorks[order.Work]
	if work == nil {
		return fmt.Errorf("no baseline %q", order.Work)
	}
	figures, err := work(order)
	if err != nil {
		return err
	}
	return json.NewEncoder(out).Encode(figures)
}

// timed is the CPU time that this process needs for something.
func timed(work func() error) (float64, error) {
	before, err := ownProcessorTime()
	if err != nil {
		return 0, err
	}
	err = work()
	if err != nil {
		return 0, err
	}
	after, err := ownProcessorTime()
	return after - before, err
}

func ownProcessorTime() (float64, error) {
	var usage syscall.Rusage
	err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage)
	if err != nil {
		return 0, fmt.Errorf("cannot read the CPU time: %w", err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano()).Seconds(), nil
}

// baselineList decodes and encodes a list of certificates with encoding/json.
func baselineList(order baselineOrder) (baselineFigures, error) {
	type entry struct {
		CSR         string   `json:"certificate_signing_request"`
		Certificate string   `json:"certificate"`
		CA          string   `json:"ca"`
		Chain       []string `json:"chain"`
	}
	var decodes, encodes []float64
	for range order.Runs {
		var list []entry
		decode, err := timed(func() error { return json.Unmarshal([]byte(order.Requests[0]), &list) })
		if err != nil {
			return nil, fmt.Errorf("cannot decode the list: %w", err)
		}
		encode, err := timed(func() error { _, err := json.Marshal(list); return err })
		if err != nil {
			return nil, fmt.Errorf("cannot encode the list: %w", err)
		}
		decodes, encodes = append(decodes, decode), append(encodes, encode)
	}
	return baselineFigures{"decode": newSpread(decodes), "encode": newSpread(encodes)}, nil
}

// plainAuthority is a CA as a program has it that knows crypto/x509 alone.
type plainAuthority struct {
	certificate *x509.Certificate
	key         crypto.Signer
	roots       *x509.CertPool
}

func newPlainAuthority(keyType string) (*plainAuthority, error) {
	key, err := newPlainKey(keyType)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "baseline"}, NotBefore: now, NotAfter: now.AddDate(10, 0, 0),
		KeyUsage: x509.KeyUsageCertSign, BasicConstraintsValid: true, IsCA: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("cannot make the baseline's CA: %w", err)
	}
	a := &plainAuthority{key: key, roots: x509.NewCertPool()}
	a.certificate, err = x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("cannot make the baseline's CA: %w", err)
	}
	a.roots.AddCert(a.certificate)
	return a, nil
}

func newPlainKey(keyType string) (crypto.Signer, error) {
	switch keyType {
	case "ecdsa-p256":
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "rsa-2048":
		return rsa.GenerateKey(rand.Reader, 2048)
	}
	return nil, fmt.Errorf("no baseline for keys of type %q", keyType)
}

func parsePlainRequest(text string) (*x509.CertificateRequest, error) {
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		return nil, errors.New("cannot read a CSR: it is not PEM")
	}
	return x509.ParseCertificateRequest(block.Bytes)
}

// sign answers a request with a bare signature.
func (a *plainAuthority) sign(request *x509.CertificateRequest) ([]byte, error) {
	now := time.Now()
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, err
	}
	return x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: serial, Subject: request.Subject, NotBefore: now, NotAfter: now.AddDate(0, 3, 0),
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment, BasicConstraintsValid: true,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		DNSNames:    request.DNSNames, IPAddresses: request.IPAddresses,
	}, a.certificate, request.PublicKey, a.key)
}

// check reads a certificate back and verifies it.
func (a *plainAuthority) check(der []byte) error {
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return err
	}
	_, err = cert.Verify(x509.VerifyOptions{Roots: a.roots})
	return err
}
