// SPDX-License-Identifier: GPL-3.0-only

package heavy_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	authentication "k8s.io/api/authentication/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	kubex509 "k8s.io/apiserver/pkg/authentication/request/x509"
	kubeclient "k8s.io/client-go/kubernetes/typed/authentication/v1"
	"k8s.io/client-go/rest"

	"tls-authority/tests/life"
)

// TestKubernetesKnowsUsersByTheirCertificate connects with client-go to a
// server that authenticates as kube-apiserver does with --client-ca-file: with
// the authenticator of k8s.io/apiserver, its options and its reading of the
// common name. It is not kube-apiserver itself, whose module cannot be built
// without those that it replaces by folders of its own repository.
func TestKubernetesKnowsUsersByTheirCertificate(t *testing.T) {
	w := newTown(t, 6*time.Hour, map[string]any{})
	w.populate()
	serverOnly := w.serverOnly()
	require.NoError(t, w.Rotate("staged"))
	views := w.follow(nil)
	require.Len(t, views, 8)
	for i, v := range views {
		t.Run(v.stage, func(t *testing.T) {
			host := startKubernetes(t, v.trusts[legacyParty], v.shows["legacy server"])
			for _, told := range views[max(i-1, 0) : i+1] {
				for whose, name := range map[string]string{"named client": apiserver, "global client": "client"} {
					user, err := whoAmI(t, host, told.trusts[legacyParty], told.shows[whose])
					require.NoError(t, err, "%s of %s", whose, told.stage)
					require.Equal(t, name, user.Username)
					require.Equal(t, []string{"system:authenticated"}, user.Groups, "a common name alone puts nobody into a group")
				}
			}
		})
	}
	t.Run("a certificate that is not for clients is refused", func(t *testing.T) {
		first := views[0]
		require.Equal(t, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, serverOnly.leaf.ExtKeyUsage)
		host := startKubernetes(t, first.trusts[legacyParty], first.shows["legacy server"])
		_, err := whoAmI(t, host, first.trusts[legacyParty], serverOnly)
		require.ErrorContains(t, err, "incompatible key usage")
	})
}

// serverOnly asks by CSR for a certificate for servers.
func (w *town) serverOnly() question {
	w.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(w.t, err)
	usage, err := asn1.Marshal([]asn1.ObjectIdentifier{{1, 3, 6, 1, 5, 5, 7, 3, 1}})
	require.NoError(w.t, err)
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{
		Subject: pkix.Name{CommonName: "web.example.com"}, ExtraExtensions: []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 37}, Value: usage}},
	}, key)
	require.NoError(w.t, err)
	text, err := json.Marshal([]map[string]any{{"certificate_signing_request": string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}))}})
	require.NoError(w.t, err)
	relation := w.relate("certificates", "web", "certificates", map[string]string{"certificate_signing_requests": string(text)})
	var answers []struct{ Certificate string }
	require.NoError(w.t, json.Unmarshal([]byte(w.Model.Bag(relation, life.Application)["certificates"]), &answers))
	return question{leaf: parseAll(w.t, answers[0].Certificate)[0], key: key}
}

// startKubernetes answers who the client is, as the API selfsubjectreviews.
func startKubernetes(t *testing.T, trust string, shown question) string {
	t.Helper()
	options := kubex509.DefaultVerifyOptions()
	options.Roots = x509.NewCertPool()
	require.True(t, options.Roots.AppendCertsFromPEM([]byte(trust)))
	authenticator := kubex509.New(options, kubex509.CommonNameUserConversion)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		response, ok, err := authenticator.AuthenticateRequest(r)
		if err != nil || !ok {
			status := meta.Status{TypeMeta: meta.TypeMeta{Kind: "Status", APIVersion: "v1"}, Status: meta.StatusFailure, Code: http.StatusUnauthorized, Reason: meta.StatusReasonUnauthorized}
			if err != nil {
				status.Message = err.Error()
			}
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusUnauthorized)
			_ = json.NewEncoder(w).Encode(status)
			return
		}
		review := authentication.SelfSubjectReview{TypeMeta: meta.TypeMeta{Kind: "SelfSubjectReview", APIVersion: "authentication.k8s.io/v1"}}
		review.Status.UserInfo = authentication.UserInfo{Username: response.User.GetName(), Groups: append(response.User.GetGroups(), "system:authenticated")}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(review)
	}))
	pair := tls.Certificate{Certificate: [][]byte{shown.leaf.Raw}, PrivateKey: shown.key}
	for _, c := range shown.between {
		pair.Certificate = append(pair.Certificate, c.Raw)
	}
	// The authenticator judges what the handshake only asks for.
	server.TLS = &tls.Config{Certificates: []tls.Certificate{pair}, ClientAuth: tls.RequestClientCert}
	server.StartTLS()
	t.Cleanup(server.Close)
	return server.URL
}

// whoAmI asks with client-go.
func whoAmI(t *testing.T, host, trust string, q question) (authentication.UserInfo, error) {
	t.Helper()
	d := keep(t, trust, q)
	clients, err := kubeclient.NewForConfig(&rest.Config{Host: host, TLSClientConfig: rest.TLSClientConfig{
		CAFile: d.path("ca.crt"), CertFile: d.path("own.crt"), KeyFile: d.path("own.key"),
	}})
	require.NoError(t, err)
	review, err := clients.SelfSubjectReviews().Create(context.Background(), &authentication.SelfSubjectReview{}, meta.CreateOptions{})
	if err != nil {
		return authentication.UserInfo{}, err
	}
	return review.Status.UserInfo, nil
}
