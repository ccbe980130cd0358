// SPDX-License-Identifier: GPL-3.0-only

package responder

import (
	"log/slog"
	"time"

	"tls-authority/internal/pki"
	"tls-authority/internal/spool"
)

// NewFrom makes a daemon that has read a status, without files.
func NewFrom(status spool.Status, keys []pki.PrivateKey, clock func() time.Time) (*Server, error) {
	snapshot, err := newSnapshot(status, keys)
	if err != nil {
		return nil, err
	}
	s := newServer(clock, slog.New(slog.DiscardHandler))
	s.view.Store(&view{snapshot: snapshot})
	return s, nil
}
