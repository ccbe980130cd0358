// SPDX-License-Identifier: GPL-3.0-only

package decision_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tls-authority/internal/decision"
	"tls-authority/internal/juju"
	"tls-authority/internal/pki"
	"tls-authority/internal/record"
	"tls-authority/internal/tlscertificates"
)

// foreignCA is a CA that somebody else made.
type foreignCA struct {
	certificate *x509.Certificate
	signer      *ecdsa.PrivateKey
}

// newForeignCA makes a root for 2000 days, as a case wants it.
func newForeignCA(t *testing.T, commonName string, change func(*x509.Certificate)) foreignCA {
	t.Helper()
	signer, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	return foreignCA{signer: signer}.named(t, commonName, change)
}

// named is another root with the same key.
func (ca foreignCA) named(t *testing.T, commonName string, change func(*x509.Certificate)) foreignCA {
	t.Helper()
	template := authorityTemplate(t, pkix.Name{CommonName: commonName}, 2000*day)
	if change != nil {
		change(template)
	}
	ca.certificate = createCertificate(t, template, template, ca.signer.Public(), ca.signer)
	return ca
}

// sign certifies the key of a request as a CA below this one; a negative path
// length is none.
func (ca foreignCA) sign(t *testing.T, csr string, lifetime time.Duration, pathLength int) *x509.Certificate {
	t.Helper()
	block, _ := pem.Decode([]byte(csr))
	require.NotNil(t, block)
	request, err := x509.ParseCertificateRequest(block.Bytes)
	require.NoError(t, err)
	template := authorityTemplate(t, request.Subject, lifetime)
	template.MaxPathLen, template.MaxPathLenZero = pathLength, pathLength == 0
	template.SubjectKeyId = []byte{9, 9, 9}
	return createCertificate(t, template, ca.certificate, request.PublicKey, ca.signer)
}

// key is the key of the CA as the charm would hold it.
func (ca foreignCA) key(t *testing.T) pki.PrivateKey {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(ca.signer)
	require.NoError(t, err)
	key, err := pki.ParsePrivateKeyDER(der)
	require.NoError(t, err)
	return key
}

func authorityTemplate(t *testing.T, subject pkix.Name, lifetime time.Duration) *x509.Certificate {
	t.Helper()
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	require.NoError(t, err)
	return &x509.Certificate{
		SerialNumber: serial.Add(serial, big.NewInt(1)), Subject: subject, SubjectKeyId: serial.Bytes(),
		NotBefore: noon.Add(-day), NotAfter: noon.Add(lifetime), KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		BasicConstraintsValid: true, IsCA: true, MaxPathLen: -1,
	}
}

func createCertificate(t *testing.T, template, parent *x509.Certificate, public crypto.PublicKey, signer *ecdsa.PrivateKey) *x509.Certificate {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, parent, public, signer)
	require.NoError(t, err)
	certificate, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	return certificate
}

// upstreamLife is how long a certificate from the CA above lasts.
const upstreamLife = 300 * day

// answerUpstream lets the CA above answer our request.
func (w *world) answerUpstream(above foreignCA, lifetime time.Duration, pathLength int) {
	w.t.Helper()
	csr := w.s.Record().Request.CSR
	ours := pki.EncodeCertificatePEM(above.sign(w.t, csr, lifetime, pathLength).Raw)
	root := pki.EncodeCertificatePEM(above.certificate.Raw)
	w.s.Upstream.Answers = []tlscertificates.CertificateAnswer{{CSR: csr, Certificate: ours, CA: root, Chain: []string{ours, root}}}
}

// upstreamWorld is a busy world below a CA above, whose generation 2 signs.
func upstreamWorld(t *testing.T, pathLength int) (*world, foreignCA) {
	t.Helper()
	w := busyWorld(t)
	above := newForeignCA(t, "above", nil)
	w.s.Config.CASource, w.s.Upstream = record.Upstream, &decision.UpstreamRelation{}
	w.settle()
	require.NotNil(t, w.s.Record().Request)
	w.answerUpstream(above, upstreamLife, pathLength)
	w.settle()
	require.Empty(t, w.act("rotate-ca", nil).Failure)
	w.rotate()
	ca := w.s.Record().CA
	require.Equal(t, record.Upstream, ca.ActiveGeneration().Origin())
	require.Equal(t, 2, ca.Active)
	return w, above
}

// rest runs hooks until one changes nothing and returns what the status says.
func (w *world) rest() string {
	w.t.Helper()
	for range 100 {
		before := w.published()
		w.s.Status = w.settle().Status
		if before == w.published() {
			return w.s.Status.Message
		}
	}
	require.Fail(w.t, "hooks do not come to an end", w.s.Status.Message)
	return ""
}

// published is all that stands in databags.
func (w *world) published() string {
	text := fmt.Sprint(w.s.Peer.Bag)
	for _, relation := range w.s.Relations {
		text += fmt.Sprint(relation.ID, relation.OwnUnitBag, relation.OwnApplicationBag)
	}
	return text
}

// serves requires that a new requirer of each dialect is answered, and taken
// leave of.
func (w *world) serves() {
	w.t.Helper()
	const legacy, requests = 91, 92
	relations, live := len(w.s.Relations), len(w.s.Live)
	w.relate(legacy, "newcomer", map[string]map[string]string{"newcomer/0": etcd("newcomer_0", "10.9.0.1", `[]`)})
	w.relate(requests, "latecomer", map[string]map[string]string{
		"latecomer/0": csrBag(w.t, newCSR(w.t, pkix.Name{CommonName: "late.example.org"}, "late.example.org")),
	})
	w.s.Status = w.settle().Status
	r := w.s.Record()
	require.NotNil(w.t, r.Legacy[legacy], w.s.Status.Message)
	require.Equal(w.t, 1, r.Legacy[legacy].Count())
	require.NotNil(w.t, r.CSR[requests], w.s.Status.Message)
	require.Len(w.t, r.CSR[requests].Certificates, 1)
	w.s.Relations, w.s.Live = w.s.Relations[:relations:relations], w.s.Live[:live:live]
	w.s.Status = w.settle().Status
}

func TestARotationAwayFromTheCAAbove(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"staged", "emergency"} {
		t.Run(mode+", it destroys our key and asks for nothing any more", func(t *testing.T) {
			t.Parallel()
			w, _ := upstreamWorld(t, -1)
			require.NotEmpty(t, decision.UpstreamBag(w.s.Record()))
			w.s.Config.CASource = record.SelfSigned
			require.Empty(t, w.act("rotate-ca", map[string]any{"mode": mode}).Failure)
			w.rotate()
			r := w.s.Record()
			require.Equal(t, 3, r.CA.Active)
			require.True(t, r.CA.Generation(2).Destroyed)
			require.Contains(t, w.keys, "ca-3")
			require.Len(t, w.keys, 1)
			require.Nil(t, r.Request)
			require.Empty(t, decision.UpstreamBag(r))
			require.Empty(t, r.Doomed)
		})
	}
}

func TestTheCAAboveChangesItsRootWithoutABridge(t *testing.T) {
	t.Parallel()
	w, old := upstreamWorld(t, 0)
	w.answerUpstream(newForeignCA(t, "above G2", nil), upstreamLife, 0)
	require.Contains(t, w.rest(), "cannot cross-sign the next one")
	require.Contains(t, w.s.Status.Message, "run advance-rotation force=true")
	waiting := w.s.Record().CA.Rotation
	require.Equal(t, record.Preparing, waiting.Stage, "it waits for an operator")
	require.Empty(t, waiting.Bridge)
	require.False(t, waiting.Forced)
	for _, one := range w.tell(record.Preparing) {
		for _, root := range certificatesOf(t, one.trust) {
			require.True(t, root.Equal(old.certificate), "%s is told another root", one.what)
		}
	}
	w.serves()
	require.Contains(t, w.act("advance-rotation", nil).Failure, "not ready")
	require.Contains(t, w.act("abort-rotation", nil).Failure, "cannot be taken back here")

	require.Empty(t, w.act("advance-rotation", map[string]any{"force": true}).Failure)
	order, _ := w.rotate()
	require.Contains(t, order, record.Distributing)
	require.NotContains(t, order, record.Flipping, "there is no bridge")
	ca := w.s.Record().CA
	require.Equal(t, waiting.To, ca.Active)
	require.Equal(t, 2, ca.ActiveGeneration().KeyID(), "the key is the same")
	require.Contains(t, w.keys, "ca-2")
	w.serves()
}

func TestARootChangeFromAboveCannotBeAborted(t *testing.T) {
	t.Parallel()
	w, _ := upstreamWorld(t, -1)
	w.s.Config.RotationHold = day
	w.answerUpstream(newForeignCA(t, "above G2", nil), upstreamLife, -1)
	w.rest()
	rotation := w.s.Record().CA.Rotation
	require.NotNil(t, rotation)
	require.Equal(t, record.Distributing, rotation.Stage)
	require.NotEmpty(t, rotation.Bridge, "our old certificate signs the new root")
	before := w.published()
	require.Contains(t, w.act("abort-rotation", nil).Failure, "the root above us changed: that cannot be taken back here")
	w.rest()
	require.Equal(t, before, w.published())

	w.s.Config.RotationHold = 0
	order, byStage := w.rotate()
	requireInvariant(t, order, byStage, noon)
	require.Equal(t, rotation.To, w.s.Record().CA.Active)
	require.Contains(t, w.keys, "ca-2")
}

func TestARotationToTheCAAboveIsAborted(t *testing.T) {
	t.Parallel()
	w, above := upstreamWorld(t, -1)
	require.Empty(t, w.act("rotate-ca", nil).Failure)
	w.settle()
	require.Equal(t, 3, w.s.Record().Request.Generation)
	require.Empty(t, w.act("abort-rotation", nil).Failure)
	w.rest()
	require.Nil(t, w.s.Record().CA.Rotation)
	require.Equal(t, 2, w.s.Record().CA.Active)
	require.NotContains(t, w.keys, "ca-3")

	t.Run("the certificate in service is asked for again in time", func(t *testing.T) {
		w.s.Now = noon.Add(220 * day)
		w.rest()
		request := w.s.Record().Request
		require.NotNil(t, request)
		require.Equal(t, record.Upstream, request.Source)
		require.Equal(t, 2, request.Generation)
		require.NotEmpty(t, decision.UpstreamBag(w.s.Record()))
		w.answerUpstream(above, 600*day, -1)
		w.rest()
		path, err := decision.Path(w.s.Record().CA.ActiveGeneration())
		require.NoError(t, err)
		require.Equal(t, noon.Add(600*day), path[0].NotAfter)
		require.Nil(t, w.s.Record().CA.Rotation)
	})
}

func TestAnOfflineRequestStaysOne(t *testing.T) {
	t.Parallel()
	w, _ := upstreamWorld(t, -1)
	w.s.Config.CASource = record.Offline
	require.Empty(t, w.act("get-csr", nil).Failure)
	asked := *w.s.Record().Request
	require.Equal(t, record.Offline, asked.Source)
	require.Equal(t, 3, asked.Generation)

	w.s.Now = noon.Add(220 * day)
	require.Contains(t, w.rest(), "a request of get-csr waits")
	require.Equal(t, asked, *w.s.Record().Request, "it is not turned into one to the CA above")
	require.Empty(t, decision.UpstreamBag(w.s.Record()))
	require.Contains(t, w.keys, "ca-3")

	other := newForeignCA(t, "offline", nil)
	reply := w.act("upload-ca-certificate", map[string]any{
		"certificate": pki.EncodeCertificatePEM(other.sign(t, asked.CSR, 900*day, -1).Raw),
		"chain":       pki.EncodeCertificatePEM(other.certificate.Raw),
	})
	require.Empty(t, reply.Failure)
	require.True(t, w.s.Record().Request.Answered())
}

func TestCertificatesFromAboveThatDoNotEndLater(t *testing.T) {
	t.Parallel()
	w, above := upstreamWorld(t, -1)
	calm := w.rest()
	generation := *w.s.Record().CA.ActiveGeneration()
	first := w.s.Upstream.Answers

	t.Run("one that ends sooner is not taken", func(t *testing.T) {
		before := w.published()
		w.answerUpstream(above, 20*day, -1)
		require.Equal(t, calm, w.rest(), "it is no trouble")
		require.Equal(t, generation, *w.s.Record().CA.ActiveGeneration())
		require.Equal(t, before, w.published())
		path, err := decision.Path(&generation)
		require.NoError(t, err)
		for _, c := range w.s.Record().CSR[6].Certificates {
			require.False(t, c.NotAfter.After(path[0].NotAfter), "no leaf outlives the CA")
		}
	})
	t.Run("two that take turns cause no writes", func(t *testing.T) {
		before := w.published()
		w.answerUpstream(above, upstreamLife, -1)
		second := w.s.Upstream.Answers
		require.NotEqual(t, first, second)
		for i := range 10 {
			w.s.Upstream.Answers = [][]tlscertificates.CertificateAnswer{first, second}[i%2]
			w.settle()
			require.Equal(t, before, w.published(), "hook %d", i)
		}
	})
	t.Run("one that ends later is taken", func(t *testing.T) {
		w.answerUpstream(above, upstreamLife+day, -1)
		w.rest()
		path, err := decision.Path(w.s.Record().CA.ActiveGeneration())
		require.NoError(t, err)
		require.Equal(t, noon.Add(upstreamLife+day), path[0].NotAfter)
	})
}

func TestTroubleWithTheCAAboveStaysInTheStatus(t *testing.T) {
	t.Parallel()
	w, above := upstreamWorld(t, -1)
	calm := w.rest()
	w.s.Upstream.Answers[0].Certificate = "garbage"
	trouble := w.rest()
	require.NotEqual(t, calm, trouble)
	require.Contains(t, trouble, "cannot read the certificate of our CA")

	t.Run("a hook of a relation, which does not look upstream, tells it too", func(t *testing.T) {
		seen := w.s
		defer func() { w.s = seen }()
		w.s.Upstream, w.s.Sweep, w.s.Relations = nil, false, w.s.Relations[:1:1]
		w.s.Event = juju.Event{Kind: juju.RelationChanged, Relation: w.s.Relations[0].ID, RemoteUnit: "app/0"}
		for range 2 {
			require.Equal(t, trouble, decision.Make(w.s).Status.Message)
		}
	})
	t.Run("it goes when the answer can be used", func(t *testing.T) {
		w.answerUpstream(above, upstreamLife, -1)
		require.Equal(t, calm, w.rest())
	})
}
