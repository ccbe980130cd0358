// SPDX-License-Identifier: GPL-3.0-only

// Package responder is the status service of the authority: it tells over plain
// HTTP whether certificates are revoked (RFC 6960 and RFC 5280), which CA is
// in force, and how the charm fares.
//
// It knows what hooks write into a spool, and nothing else. It decides nothing,
// never sees a key of the CA, and signs OCSP answers alone, with a key of the
// unit. When hooks fall silent it stops answering: no answer is better than a
// wrong one.
package responder

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/net/netutil"

	"tls-authority/internal/spool"
)

const (
	// pollEvery is how often the daemon looks for a new spool: what a hook
	// writes shows after a second. Requests never touch the disk.
	pollEvery = time.Second
	// stopWithin is how long the daemon waits for requests when it is stopped.
	stopWithin = 5 * time.Second
	// maxConnections is far below the file descriptors that a process may have.
	maxConnections = 512
	// maxHeader holds an OCSP request of pki.MaxOCSPRequestSize in base64.
	maxHeader = 16 << 10
)

// Server answers from a spool. Make one with New.
type Server struct {
	spool   spool.Folder
	clock   func() time.Time
	log     *slog.Logger
	view    atomic.Pointer[view] // never nil
	counts  counts
	metrics http.Handler

	reading sync.Mutex // guards what follows
	read    spool.Stamp
}

// view is what requests see: the last good spool, and what is wrong with the
// files that are there now. One of the two may be nil.
type view struct {
	snapshot *snapshot
	fault    error
}

// New reads the spool, if there is one. A fault in it shows at /health.
func New(folder spool.Folder, clock func() time.Time, log *slog.Logger) *Server {
	s := newServer(clock, log)
	s.spool = folder
	s.view.Store(&view{fault: errors.New("the spool has not been read")})
	s.Reload()
	return s
}

// newServer makes one that has not read anything.
func newServer(clock func() time.Time, log *slog.Logger) *Server {
	s := &Server{clock: clock, log: log, counts: newCounts()}
	s.metrics = newMetrics(s)
	return s
}

// Serve answers on a listener, which it closes, and follows changes of the
// spool, until the context ends. Then requests in flight have five seconds.
func (s *Server) Serve(ctx context.Context, listener net.Listener) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	server := &http.Server{
		Handler:           s,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      60 * time.Second, // a long list over a slow line
		IdleTimeout:       15 * time.Second,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelDebug), // of clients, mostly
	}
	served := make(chan error, 1)
	go func() {
		served <- server.Serve(netutil.LimitListener(listener, maxConnections))
		cancel()
	}()
	s.follow(ctx)

	patience, done := context.WithTimeout(context.WithoutCancel(ctx), stopWithin)
	defer done()
	err := server.Shutdown(patience)
	if err != nil {
		err = server.Close()
	}
	if cause := <-served; !errors.Is(cause, http.ErrServerClosed) {
		return fmt.Errorf("cannot serve: %w", cause)
	}
	return err
}

// follow reads the spool anew whenever it changes, until the context ends.
func (s *Server) follow(ctx context.Context) {
	ticker := time.NewTicker(pollEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			if s.hasChanged() {
				s.Reload()
			}
		}
	}
}

func (s *Server) hasChanged() bool {
	s.reading.Lock()
	defer s.reading.Unlock()
	return !s.read.Is(s.spool.Look())
}

// Reload reads the spool now. Requests go on all the while; they see the old
// spool or the new one, and when the new one is bad, the old one; but nobody is
// told then that a certificate is good.
func (s *Server) Reload() {
	s.reading.Lock()
	defer s.reading.Unlock()
	before := s.view.Load()
	fresh, err := s.readSpool()
	if err != nil {
		if before.fault == nil || before.fault.Error() != err.Error() {
			s.log.Error("the spool is bad", "cause", err)
		}
		s.view.Store(&view{before.snapshot, err})
		return
	}
	s.log.Info("the spool has been read", "written", fresh.status.ThisUpdate, "good-until", fresh.status.NextUpdate)
	s.view.Store(&view{snapshot: fresh})
}

func (s *Server) readSpool() (*snapshot, error) {
	content, stamp, err := s.spool.Read()
	s.read = stamp
	if err != nil {
		return nil, err
	}
	return newSnapshot(content.Status, content.Keys)
}
