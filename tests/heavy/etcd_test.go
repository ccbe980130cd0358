// SPDX-License-Identifier: GPL-3.0-only

package heavy_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.etcd.io/etcd/client/pkg/v3/transport"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"
	"go.uber.org/zap"

	"tls-authority/tests/life"
)

// TestEtcdServesThroughRenewalAndRotation runs three members of etcd that
// authenticate each other and their clients, with nothing but the files that
// the etcd charm makes of its databag. Certificates are renewed and the CA is
// rotated under them while a client writes and reads; no write may fail on all
// members.
func TestEtcdServesThroughRenewalAndRotation(t *testing.T) {
	// Certificates are renewed between two thirds and three quarters of their life.
	w := newTown(t, 12*time.Hour, map[string]any{"legacy-certificate-validity": "14h"})
	w.populate()
	c := newEtcd(t, w)
	load := c.begin()
	load.await(10)
	stranger := c.client()
	stranger.Certificates = nil
	require.Error(t, c.write(0, "stranger", stranger), "a client without a certificate")

	var before []string
	for _, m := range c.members {
		before = append(before, m.files["server.crt"])
	}
	w.Now = w.Now.Add(14 * time.Hour * 3 / 4)
	const waves = 6 // one renews one certificate of four, the client's among them
	for range waves {
		require.NoError(t, w.Model.UpdateStatus(life.Application+"/0"))
		require.NoError(t, w.Model.Settle())
		c.hook()
		load.await(3)
	}
	require.Zero(t, c.restarts, "a renewal needs no restart")
	for i, m := range c.members {
		require.NotEqual(t, before[i], m.files["server.crt"], "%s is not renewed", m.name)
		serial := parseAll(t, m.files["server.crt"])[0].SerialNumber.String()
		load.awaitSerial(t, serial)
	}

	require.NoError(t, w.Rotate("staged"))
	views := w.follow(func() {
		c.hook()
		load.await(3)
	})
	load.await(30)
	load.end()
	require.Equal(t, "none", views[len(views)-1].stage)
	require.Equal(t, 3*len(c.members), c.restarts, "ca changes in distributing, flipping and retiring")
	ended := views[len(views)-1]
	for _, m := range c.members {
		require.Equal(t, strings.TrimSpace(ended.trusts[legacyParty]), strings.TrimSpace(m.files["ca.crt"]))
		require.True(t, load.serials[parseAll(t, m.files["server.crt"])[0].SerialNumber.String()], "the client met the new CA")
	}
	require.NotZero(t, load.written)
	require.Empty(t, load.failed)
	t.Logf("%d writes read back, %d of them after another member refused, 0 failed; %d restarts of members, %d server certificates met",
		load.written, load.retried, c.restarts, len(load.serials))
}

// member is one unit of etcd.
type member struct {
	name, folder string
	config       *embed.Config
	running      *embed.Etcd
	files        map[string]string // as they are on disk, by name
}

type etcd struct {
	t        *testing.T
	town     *town
	relation int
	members  []*member
	restarts int

	load *load

	mu      sync.Mutex // guards what the client has
	holding *tls.Config
}

func newEtcd(t *testing.T, w *town) *etcd {
	t.Helper()
	c := &etcd{t: t, town: w}
	var bags []map[string]string
	var cluster []string
	for i := range 3 {
		m := &member{name: fmt.Sprintf("etcd_%d", i), folder: t.TempDir(), files: map[string]string{}, config: embed.NewConfig()}
		bags = append(bags, map[string]string{
			"unit_name": m.name, "certificate_name": m.name, "common_name": fmt.Sprintf("10.1.0.%d", i), "sans": fmt.Sprintf(`["10.1.0.%d", "127.0.0.1", "etcd-%d"]`, i, i),
		})
		m.configure(t)
		cluster = append(cluster, m.config.Name+"="+m.config.AdvertisePeerUrls[0].String())
		c.members = append(c.members, m)
	}
	c.relation = w.relate("certificates", "etcd", "certificates", bags...)
	var started sync.WaitGroup
	for _, m := range c.members {
		m.config.InitialCluster = strings.Join(cluster, ",")
		c.save(m, c.read(m))
		started.Go(func() { m.start(t) }) // a member waits for the others
	}
	started.Wait()
	c.take()
	t.Cleanup(func() {
		for _, m := range c.members {
			m.running.Close()
		}
	})
	return c
}

// configure says what the template of the etcd charm says.
func (m *member) configure(t *testing.T) {
	file := func(name string) string { return filepath.Join(m.folder, name) }
	m.config.Name, m.config.Dir = m.name, file("data")
	m.config.ListenPeerUrls = []url.URL{freeURL(t)}
	m.config.AdvertisePeerUrls = m.config.ListenPeerUrls
	m.config.ListenClientUrls = []url.URL{freeURL(t)}
	m.config.AdvertiseClientUrls = m.config.ListenClientUrls
	m.config.ClientTLSInfo = transport.TLSInfo{CertFile: file("server.crt"), KeyFile: file("server.key"), TrustedCAFile: file("ca.crt"), ClientCertAuth: true}
	m.config.PeerTLSInfo = m.config.ClientTLSInfo
	m.config.ZapLoggerBuilder = embed.NewZapLoggerBuilder(zap.NewNop())
}

// start returns when the member serves.
func (m *member) start(t *testing.T) {
	running, err := embed.StartEtcd(m.config)
	if err != nil {
		t.Errorf("%s does not start: %v", m.name, err)
		return
	}
	m.running = running
	select {
	case <-running.Server.ReadyNotify():
	case err := <-running.Err():
		t.Errorf("%s ends: %v", m.name, err)
	}
}

func freeURL(t *testing.T) url.URL {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, listener.Close())
	return url.URL{Scheme: "https", Host: listener.Addr().String()}
}

// read makes of the databag what layer-tls-client writes to disk.
func (c *etcd) read(m *member) map[string]string {
	bag := c.town.Model.Bag(c.relation, c.town.Model.Leader(life.Application))
	withChain := func(certificate string) string {
		if bag["chain"] == "" {
			return certificate
		}
		return certificate + "\n" + bag["chain"]
	}
	return map[string]string{
		"ca.crt": bag["ca"], "server.crt": withChain(bag[m.name+".server.cert"]), "server.key": bag[m.name+".server.key"],
		"client.crt": withChain(bag["client.cert"]), "client.key": bag["client.key"],
	}
}

// save writes files that changed and tells whether ca.crt is among them.
func (c *etcd) save(m *member, files map[string]string) (trust bool) {
	for name, text := range files {
		if m.files[name] == text {
			continue
		}
		require.NotEmpty(c.t, strings.TrimSpace(text), name)
		// The key and its certificate are two files that etcd reads in one
		// handshake: both stay readable meanwhile.
		path := filepath.Join(m.folder, name)
		require.NoError(c.t, os.WriteFile(path+".new", []byte(text), 0o600))
		require.NoError(c.t, os.Rename(path+".new", path))
		trust = trust || name == "ca.crt"
	}
	m.files = files
	return trust
}

// hook is what follows a change of the databag: every unit writes its files,
// and restarts when it shall trust something else, because etcd reads that at
// its start alone. Units do so one after the other, and the client last.
func (c *etcd) hook() {
	for _, m := range c.members {
		if c.save(m, c.read(m)) {
			m.running.Close()
			c.load.await(3) // by the other two
			m.start(c.t)
			require.NotNil(c.t, m.running)
			c.restarts++
			c.load.await(3)
		}
	}
	c.take()
}

// take lets the client read what the charm of etcd hands to those related to
// it: the global client certificate and the CA.
func (c *etcd) take() {
	files := c.members[0].files
	pair, err := tls.X509KeyPair([]byte(files["client.crt"]), []byte(files["client.key"]))
	require.NoError(c.t, err)
	roots := x509.NewCertPool()
	require.True(c.t, roots.AppendCertsFromPEM([]byte(files["ca.crt"])))
	c.mu.Lock()
	defer c.mu.Unlock()
	c.holding = &tls.Config{Certificates: []tls.Certificate{pair}, RootCAs: roots}
}

func (c *etcd) client() *tls.Config {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.holding.Clone()
}

// patience is how long a client waits before it turns to another member: longer
// than an election takes.
const patience = 5 * time.Second

// write connects to one member alone, writes, and reads it back.
func (c *etcd) write(member int, key string, config *tls.Config) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	client, err := clientv3.New(clientv3.Config{
		Endpoints: []string{c.members[member].config.AdvertiseClientUrls[0].String()}, TLS: config, Context: ctx, Logger: zap.NewNop(),
	})
	if err != nil {
		return err
	}
	defer client.Close()
	if _, err := client.Put(ctx, key, key); err != nil {
		return err
	}
	got, err := client.Get(ctx, key)
	if err == nil && (len(got.Kvs) != 1 || string(got.Kvs[0].Value) != key) {
		err = fmt.Errorf("%s is lost", key)
	}
	return err
}

// load is a client that writes all the time, each time over a new connection
// and beginning with another member.
type load struct {
	cluster *etcd
	done    chan struct{} // closed when the last write ended
	stop    chan struct{}

	mu               sync.Mutex
	moved            *sync.Cond // by every write
	written, retried int
	failed           []string
	serials          map[string]bool // of the server certificates that it met
}

// between leaves the machine some time between two writes.
const between = 50 * time.Millisecond

func (c *etcd) begin() *load {
	l := &load{cluster: c, done: make(chan struct{}), stop: make(chan struct{}), serials: map[string]bool{}}
	l.moved = sync.NewCond(&l.mu)
	c.load = l
	go func() {
		defer close(l.done)
		pace := time.NewTicker(between)
		defer pace.Stop()
		for n := 0; ; n++ {
			select {
			case <-l.stop:
				return
			case <-pace.C:
				l.write(n)
			}
		}
	}()
	c.t.Cleanup(l.end)
	return l
}

// write tries one member after the other.
func (l *load) write(n int) {
	var errs []error
	for i := range l.cluster.members {
		config := l.cluster.client()
		config.VerifyConnection = func(state tls.ConnectionState) error {
			l.mu.Lock()
			defer l.mu.Unlock()
			l.serials[state.PeerCertificates[0].SerialNumber.String()] = true
			return nil
		}
		err := l.cluster.write((n+i)%len(l.cluster.members), fmt.Sprintf("key %d", n), config)
		if err == nil {
			break
		}
		errs = append(errs, err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(errs) == len(l.cluster.members) {
		l.failed = append(l.failed, errors.Join(errs...).Error())
	} else {
		l.written++
	}
	if len(errs) > 0 {
		l.retried++
	}
	l.moved.Broadcast()
}

// await returns after a number of further writes, successful or not.
func (l *load) await(writes int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for until := l.written + len(l.failed) + writes; l.written+len(l.failed) < until; {
		l.moved.Wait()
	}
}

// awaitSerial returns when the client has met a server certificate.
func (l *load) awaitSerial(t *testing.T, serial string) {
	t.Helper()
	const most = 30 // writes, of which every third meets a member first
	for range most {
		l.await(1)
		l.mu.Lock()
		met := l.serials[serial]
		l.mu.Unlock()
		if met {
			return
		}
	}
	require.Fail(t, "the renewed certificate is not served")
}

// end returns when nothing is written any more.
func (l *load) end() {
	select {
	case <-l.stop:
	default:
		close(l.stop)
	}
	<-l.done
}
