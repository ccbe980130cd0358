// SPDX-License-Identifier: GPL-3.0-only

package pki_test

import (
	"bytes"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"tls-authority/internal/pki"
)

func TestParseKeyType(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"ecdsa-p256", "ecdsa-p384", "rsa-2048", "rsa-3072", "rsa-4096"} {
		got, err := pki.ParseKeyType(text)
		require.NoError(t, err)
		require.Equal(t, pki.KeyType(text), got)
	}
	for _, text := range []string{"", "rsa", "RSA-2048", "rsa-1024", "ed25519", " rsa-2048"} {
		_, err := pki.ParseKeyType(text)
		require.Error(t, err, text)
	}
	_, err := pki.ParseKeyType("rsa-1024")
	require.EqualError(t, err,
		`cannot read key type "rsa-1024": want one of ecdsa-p256, ecdsa-p384, rsa-2048, rsa-3072, rsa-4096`)
}

func TestGenerateKey(t *testing.T) {
	t.Parallel()
	for _, kind := range []pki.KeyType{pki.ECDSAP256, pki.ECDSAP384, pki.RSA2048, pki.RSA3072, pki.RSA4096} {
		require.Equal(t, kind, keyOf(kind).Type())
	}
	require.False(t, pki.SamePublicKey(rsa2048().Public(), rsa2048b().Public()))
	_, err := pki.GenerateKey("ed25519")
	require.EqualError(t, err, `cannot generate key "ed25519": unknown key type`)
}

func TestPrivateKeySurvivesItsEncodings(t *testing.T) {
	t.Parallel()
	ed := newEd25519(t)
	for name, signer := range map[string]any{
		"rsa":     signerOf(t, rsa2048()),
		"p-256":   signerOf(t, ecdsaP256()),
		"p-521":   newECDSA(t, elliptic.P521()),
		"ed25519": ed,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			der, err := x509.MarshalPKCS8PrivateKey(signer)
			require.NoError(t, err)
			key, err := pki.ParsePrivateKeyDER(der)
			require.NoError(t, err)
			require.Equal(t, der, key.EncodeDER())

			text := key.EncodePEM()
			require.True(t, bytes.HasPrefix(text, []byte("-----BEGIN PRIVATE KEY-----\n")))
			require.True(t, bytes.HasSuffix(text, []byte("-----END PRIVATE KEY-----\n")))
			again, err := pki.ParsePrivateKeyPEM(text)
			require.NoError(t, err)
			require.True(t, pki.SamePublicKey(key.Public(), again.Public()))
		})
	}
	t.Run("the caller cannot change a key through its encoding", func(t *testing.T) {
		t.Parallel()
		key := ecdsaP256()
		clear(key.EncodeDER())
		require.NotEqual(t, make([]byte, len(key.EncodeDER())), key.EncodeDER())
	})
}

func TestParsePrivateKeyPEM(t *testing.T) {
	t.Parallel()
	block := func(kind string, der []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
	}
	ec := signerOf(t, ecdsaP256()).(*ecdsa.PrivateKey)
	sec1, err := x509.MarshalECPrivateKey(ec)
	require.NoError(t, err)
	pkcs1 := x509.MarshalPKCS1PrivateKey(signerOf(t, rsa2048()).(*rsa.PrivateKey))
	pkcs8 := string(ecdsaP256().EncodePEM())
	x25519, err := ecdh.X25519().GenerateKey(rand.Reader)
	require.NoError(t, err)
	exchange, err := x509.MarshalPKCS8PrivateKey(x25519)
	require.NoError(t, err)
	//lint:ignore SA1019 an old encrypted key is what is tested
	legacy, err := x509.EncryptPEMBlock(rand.Reader, "EC PRIVATE KEY", sec1, []byte("secret"), x509.PEMCipherAES128)
	require.NoError(t, err)

	for name, text := range map[string]string{
		"pkcs#8":             pkcs8,
		"sec 1":              block("EC PRIVATE KEY", sec1),
		"pkcs#1":             block("RSA PRIVATE KEY", pkcs1),
		"crlf line ends":     strings.ReplaceAll(pkcs8, "\n", "\r\n"),
		"no final newline":   strings.TrimSuffix(pkcs8, "\n"),
		"white space around": "\n \t" + pkcs8 + " \r\n\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			key, err := pki.ParsePrivateKeyPEM([]byte(text))
			require.NoError(t, err)
			require.NotNil(t, key.Public())
		})
	}

	for name, refused := range map[string]struct{ text, reason string }{
		"empty":              {"", "empty text"},
		"encrypted pkcs#8":   {block("ENCRYPTED PRIVATE KEY", []byte("x")), "it is encrypted"},
		"encrypted rfc 1423": {string(pem.EncodeToMemory(legacy)), "the PEM block is encrypted"},
		"two blocks":         {pkcs8 + pkcs8, "more than one PEM block"},
		"a parameters block": {block("EC PARAMETERS", []byte("x")) + pkcs8, "more than one PEM block"},
		"text before":        {"Bag Attributes\n" + pkcs8, "does not begin with a PEM block"},
		"text after":         {pkcs8 + "x", "text after the PEM block"},
		"headers":            {strings.Replace(pkcs8, "-----\n", "-----\nA: b\n\n", 1), "the PEM block has headers"},
		"a public key":       {block("PUBLIC KEY", []byte("x")), `PEM block is a "PUBLIC KEY"`},
		"damaged":            {strings.Replace(pkcs8, "MI", "AA", 1), "damaged PRIVATE KEY"},
		"cut":                {pkcs8[:len(pkcs8)/2], "damaged PEM block"},
		"of another label":   {strings.ReplaceAll(pkcs8, "PRIVATE", "RSA PRIVATE"), "damaged RSA PRIVATE KEY"},
		"too long":           {strings.Repeat(" ", 16<<10) + pkcs8, "longer than 16384 bytes"},
	} {
		t.Run("refuses "+name, func(t *testing.T) {
			t.Parallel()
			_, err := pki.ParsePrivateKeyPEM([]byte(refused.text))
			require.EqualError(t, err, "cannot read private key: "+refused.reason)
			require.NotErrorIs(t, err, pki.ErrBadRequest)
		})
	}
	_, err = pki.ParsePrivateKeyDER(exchange)
	require.EqualError(t, err, "cannot use private key: want RSA, ECDSA or Ed25519")
}

func TestParsePrivateKeyRefusesNumbersThatDoNotFit(t *testing.T) {
	t.Parallel()
	good := signerOf(t, rsa2048()).(*rsa.PrivateKey)
	der := x509.MarshalPKCS1PrivateKey(good)
	der[len(der)/2] ^= 1
	_, err := pki.ParsePrivateKeyPEM(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: der}))
	require.Error(t, err)
}

// TestPrivateKeyIsNeverPrinted looks for the key in everything that prints,
// in the spellings in which it could get there.
func TestPrivateKeyIsNeverPrinted(t *testing.T) {
	t.Parallel()
	ed, err := x509.MarshalPKCS8PrivateKey(newEd25519(t))
	require.NoError(t, err)
	edKey, err := pki.ParsePrivateKeyDER(ed)
	require.NoError(t, err)
	issuer := newIssuer(t, ecdsaP256())

	for name, key := range map[string]pki.PrivateKey{
		"ecdsa": ecdsaP256(), "rsa": rsa2048(), "ed25519": edKey, "zero": {},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			type hidden struct {
				key    pki.PrivateKey
				issuer *pki.Issuer
			}
			var printed bytes.Buffer
			for _, value := range []any{key, &key, []pki.PrivateKey{key}, map[string]any{"k": key}, issuer, *issuer} {
				for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%t"} {
					got := fmt.Sprintf(verb, value)
					require.Contains(t, got, "[redacted]", verb)
					printed.WriteString(got)
				}
				got, err := json.Marshal(value)
				require.NoError(t, err)
				require.Contains(t, string(got), `"[redacted]"`)
				printed.Write(got)
			}
			for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x"} {
				fmt.Fprintf(&printed, verb, hidden{key: key, issuer: issuer})
			}
			require.Equal(t, "[redacted]", key.String())
			require.Equal(t, "[redacted]", key.GoString())
			got, err := key.MarshalText()
			require.NoError(t, err)
			require.Equal(t, "[redacted]", string(got))
			slog.New(slog.NewJSONHandler(&printed, nil)).Info("key", "key", key, "issuer", issuer)
			slog.New(slog.NewTextHandler(&printed, nil)).Info("key", "key", key, "issuer", issuer)

			if key.Public() == nil {
				return
			}
			secret := key.EncodeDER()
			tail := secret[len(secret)-16:]
			inBase64 := base64.StdEncoding.EncodeToString(secret)
			for _, spelling := range []string{
				string(tail), inBase64[len(inBase64)/2 : len(inBase64)/2+20], fmt.Sprintf("%x", tail),
				fmt.Sprintf("%X", tail), strings.Trim(fmt.Sprint(tail), "[]"), "PRIVATE KEY",
			} {
				require.NotContains(t, printed.String(), spelling)
			}
			if private, ok := signerOf(t, key).(*ecdsa.PrivateKey); ok {
				scalar, err := private.Bytes()
				require.NoError(t, err)
				require.NotContains(t, printed.String(), fmt.Sprintf("%x", scalar))
			}
		})
	}
}

func TestZeroPrivateKey(t *testing.T) {
	t.Parallel()
	var key pki.PrivateKey
	require.Nil(t, key.Public())
	require.Nil(t, key.EncodePEM())
	require.Nil(t, key.EncodeDER())
	require.Empty(t, key.Type())
	require.False(t, pki.KeyMatches(newIssuer(t, ecdsaP256()).Certificate(), key))
	_, err := pki.CreateSelfSigned(rootTemplate(), key)
	require.Error(t, err)
}

func TestKeyMatches(t *testing.T) {
	t.Parallel()
	cert := newIssuer(t, ecdsaP256()).Certificate()
	require.True(t, pki.KeyMatches(cert, ecdsaP256()))
	require.False(t, pki.KeyMatches(cert, mustGenerate(pki.ECDSAP256)))
	require.False(t, pki.KeyMatches(cert, rsa2048()))
	require.False(t, pki.KeyMatches(nil, rsa2048()))
	require.False(t, pki.SamePublicKey(nil, nil))
	require.False(t, pki.SamePublicKey("key", "key"))
	ed := newEd25519(t)
	require.True(t, pki.SamePublicKey(ed.Public(), ed.Public()))
	require.Empty(t, mustParseDER(t, ed).Type())
}

func mustParseDER(t *testing.T, key any) pki.PrivateKey {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	parsed, err := pki.ParsePrivateKeyDER(der)
	require.NoError(t, err)
	return parsed
}
