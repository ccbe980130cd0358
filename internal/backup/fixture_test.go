// SPDX-License-Identifier: GPL-3.0-only

package backup_test

import (
	"bytes"
	"compress/gzip"
	"io"
	"testing"
	"time"

	"filippo.io/age"
	"github.com/stretchr/testify/require"

	"tls-authority/internal/backup"
	"tls-authority/internal/pki"
)

// leafKey stands for the keys of leaves, which are in the record.
const leafKey = "c2VjcmV0IG9mIGEgbGVhZg=="

func newContent(t testing.TB) backup.Content {
	t.Helper()
	c := backup.Content{
		Application: "tls-authority",
		Model:       "a-model",
		Created:     time.Date(2026, 5, 6, 7, 8, 9, 0, time.UTC),
		Record:      map[string]string{"authority": `{"active":2}`, "legacy-3": `{"key":"` + leafKey + `","name":"ü<&>` + "\u2028" + `"}`},
		Keys:        map[int]pki.PrivateKey{},
	}
	for generation := 1; generation <= 2; generation++ {
		key, err := pki.GenerateKey(pki.ECDSAP256)
		require.NoError(t, err)
		c.Keys[generation] = key
	}
	return c
}

// requireSame compares what fmt and require cannot look into.
func requireSame(t testing.TB, want, got backup.Content) {
	t.Helper()
	require.Equal(t, want.Application, got.Application)
	require.Equal(t, want.Model, got.Model)
	require.Equal(t, want.Created.UTC(), got.Created)
	require.Equal(t, want.Record, got.Record)
	require.Len(t, got.Keys, len(want.Keys))
	for generation, key := range want.Keys {
		require.Equal(t, key.EncodeDER(), got.Keys[generation].EncodeDER())
	}
}

// newPair makes the locks that seal and open the same files.
func newPair(t testing.TB) (seals, opens backup.Lock) {
	t.Helper()
	identity, err := age.GenerateX25519Identity()
	require.NoError(t, err)
	return backup.Lock{Recipient: identity.Recipient().String()}, backup.Lock{Identity: identity.String()}
}

func seal(t testing.TB, c backup.Content, lock backup.Lock) []byte {
	t.Helper()
	var sealed bytes.Buffer
	require.NoError(t, backup.Seal(&sealed, c, lock))
	return sealed.Bytes()
}

func open(sealed []byte, lock backup.Lock) (backup.Content, error) {
	return backup.Open(bytes.NewReader(sealed), lock)
}

// sealByHand makes a file of age that no charm wrote.
func sealByHand(t testing.TB, recipient age.Recipient, write func(w io.Writer)) []byte {
	t.Helper()
	var sealed bytes.Buffer
	w, err := age.Encrypt(&sealed, recipient)
	require.NoError(t, err)
	write(w)
	require.NoError(t, w.Close())
	return sealed.Bytes()
}

// compressed writes text the way it is in a backup.
func compressed(t testing.TB, text ...[]byte) func(w io.Writer) {
	return func(w io.Writer) {
		t.Helper()
		zipped, err := gzip.NewWriterLevel(w, gzip.BestSpeed)
		require.NoError(t, err)
		for _, part := range text {
			_, err := zipped.Write(part)
			require.NoError(t, err)
		}
		require.NoError(t, zipped.Close())
	}
}

// cheap is a lock by passphrase that costs no second to make.
func cheap(t testing.TB, passphrase string) age.Recipient {
	t.Helper()
	recipient, err := age.NewScryptRecipient(passphrase)
	require.NoError(t, err)
	recipient.SetWorkFactor(1)
	return recipient
}

// unlock returns the compressed content of a file.
func unlock(t testing.TB, sealed []byte, lock backup.Lock) []byte {
	t.Helper()
	identity, err := age.ParseX25519Identity(lock.Identity)
	require.NoError(t, err)
	r, err := age.Decrypt(bytes.NewReader(sealed), identity)
	require.NoError(t, err)
	packed, err := io.ReadAll(r)
	require.NoError(t, err)
	return packed
}

func unzip(t testing.TB, packed []byte) []byte {
	t.Helper()
	r, err := gzip.NewReader(bytes.NewReader(packed))
	require.NoError(t, err)
	text, err := io.ReadAll(r)
	require.NoError(t, err)
	return text
}
