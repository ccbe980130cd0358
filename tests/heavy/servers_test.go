// SPDX-License-Identifier: GPL-3.0-only

package heavy_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// rotatedViews are what is told in each stage of a rotation.
func rotatedViews(t *testing.T) []view {
	t.Helper()
	w := newTown(t, 6*time.Hour, map[string]any{})
	w.populate()
	require.NoError(t, w.Rotate("staged"))
	return w.follow(nil)
}

// disk is what a server or a client has on disk.
type disk struct{ folder string }

// keep writes what is to be trusted, and what a party shows with its key.
func keep(t *testing.T, trust string, q question) disk {
	t.Helper()
	key, err := x509.MarshalPKCS8PrivateKey(q.key)
	require.NoError(t, err)
	d := disk{t.TempDir()}
	for name, text := range map[string]string{
		"ca.crt": trust, "own.crt": q.chain(), "own.key": string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})),
	} {
		require.NoError(t, os.WriteFile(d.path(name), []byte(text), 0o600))
	}
	return d
}

func (d disk) path(name string) string { return filepath.Join(d.folder, name) }

// server starts a program with the files of a disk, says on which port, and
// ends it with the test.
type server func(t *testing.T, d disk) (port string)

// client connects to a port with the files of a disk; anonymous leaves its own
// certificate out.
type client func(d disk, port string, anonymous bool) error

// requireServed runs a server in each stage, for clients of this stage and of
// the one before, all with what the legacy dialect told.
func requireServed(t *testing.T, start server, clients map[string]client) {
	views := rotatedViews(t)
	require.Len(t, views, 8)
	for i, v := range views {
		t.Run(v.stage, func(t *testing.T) {
			port := start(t, keep(t, v.trusts[legacyParty], v.shows["legacy server"]))
			for _, told := range views[max(i-1, 0) : i+1] {
				d := keep(t, told.trusts[legacyParty], told.shows["global client"])
				for name, connect := range clients {
					require.NoError(t, connect(d, port, false), "%s of %s", name, told.stage)
					require.Error(t, connect(d, port, true), "%s without a certificate", name)
				}
			}
		})
	}
	t.Run("a client certificate that a server presents is refused", func(t *testing.T) {
		last := views[len(views)-1]
		d := keep(t, last.trusts[legacyParty], last.shows["named client"])
		port := start(t, d)
		for name, connect := range clients {
			err := connect(keep(t, last.trusts[legacyParty], last.shows["global client"]), port, false)
			require.Error(t, err, name)
			require.Regexp(t, "incompatible key usage|unsuitable certificate purpose|certificate verify failed", err.Error(), name)
		}
	})
}

// TestNginxServesInEveryStage has nginx demand client certificates.
func TestNginxServesInEveryStage(t *testing.T) {
	requireProgram(t, "nginx", "openssl")
	requireServed(t, startNginx, map[string]client{"Go": getPage, "openssl": getPageOpenSSL})
}

func startNginx(t *testing.T, d disk) string {
	address := freeURL(t)
	config := fmt.Sprintf(`daemon off; master_process off; pid %[1]s/pid; error_log stderr;
events {}
http {
	access_log off;
	client_body_temp_path %[1]s/body; proxy_temp_path %[1]s/proxy; fastcgi_temp_path %[1]s/fastcgi; uwsgi_temp_path %[1]s/uwsgi; scgi_temp_path %[1]s/scgi;
	server {
		listen %[2]s ssl;
		ssl_certificate %[1]s/own.crt; ssl_certificate_key %[1]s/own.key;
		ssl_client_certificate %[1]s/ca.crt; ssl_verify_client on; ssl_verify_depth 4;
		location / { return 200 %[3]q; }
	}
}`, d.folder, address.Host, welcome)
	require.NoError(t, os.WriteFile(d.path("nginx.conf"), []byte(config), 0o600))
	keepRunning(t, exec.Command("nginx", "-p", d.folder, "-c", d.path("nginx.conf")), address.Host)
	return address.Port()
}

// keepRunning starts a program, waits until it listens, and ends it with the
// test.
func keepRunning(t *testing.T, cmd *exec.Cmd, address string) {
	t.Helper()
	var said strings.Builder
	cmd.Stdout, cmd.Stderr = &said, &said
	require.NoError(t, cmd.Start())
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGINT)
		<-ended
	})
	for deadline := time.Now().Add(programTimeout); ; {
		connection, err := net.Dial("tcp", address)
		if err == nil {
			require.NoError(t, connection.Close())
			return
		}
		select {
		case err := <-ended:
			ended <- err
			require.FailNow(t, "it ended", "%v: %s", err, &said)
		case <-time.After(20 * time.Millisecond):
			require.True(t, time.Now().Before(deadline), "it does not listen: %v", err)
		}
	}
}

func getPage(d disk, port string, anonymous bool) error {
	trust, err := os.ReadFile(d.path("ca.crt"))
	if err != nil {
		return err
	}
	config := &tls.Config{RootCAs: x509.NewCertPool()}
	config.RootCAs.AppendCertsFromPEM(trust)
	if !anonymous {
		pair, err := tls.LoadX509KeyPair(d.path("own.crt"), d.path("own.key"))
		if err != nil {
			return err
		}
		config.Certificates = []tls.Certificate{pair}
	}
	transport := &http.Transport{TLSClientConfig: config}
	defer transport.CloseIdleConnections()
	answer, err := (&http.Client{Transport: transport, Timeout: programTimeout}).Get("https://127.0.0.1:" + port + "/")
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	page, err := io.ReadAll(answer.Body)
	return errors.Join(err, requireWelcome(string(page)))
}

func requireWelcome(page string) error {
	if !strings.Contains(page, welcome) {
		return fmt.Errorf("another page: %s", page)
	}
	return nil
}

func getPageOpenSSL(d disk, port string, anonymous bool) error {
	args := []string{"s_client", "-quiet", "-connect", "127.0.0.1:" + port, "-CAfile", d.path("ca.crt"), "-verify_return_error", "-verify_ip", "127.0.0.1"}
	if !anonymous {
		args = append(args, "-cert", d.path("own.crt"), "-cert_chain", d.path("own.crt"), "-key", d.path("own.key"))
	}
	ctx, cancel := context.WithTimeout(context.Background(), programTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, "openssl", args...)
	cmd.Stdin = strings.NewReader("GET / HTTP/1.0\r\n\r\n")
	page, err := cmd.CombinedOutput()
	if welcomed := requireWelcome(string(page)); welcomed != nil {
		return errors.Join(welcomed, err)
	}
	return nil
}

// TestPostgreSQLServesInEveryStage has PostgreSQL take the name of a client
// from its certificate. psql is its own client, with the library of most
// others.
func TestPostgreSQLServesInEveryStage(t *testing.T) {
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/postgres")
	require.NoError(t, err)
	if len(found) == 0 {
		t.Skip("NOT VERIFIED: PostgreSQL is not installed")
	}
	requireProgram(t, "psql")
	owner := postgresUser(t)
	requireServed(t, func(t *testing.T, d disk) string { return startPostgreSQL(t, filepath.Dir(found[0]), owner, d) },
		map[string]client{"psql": selectOne})
}

// postgresUser is whom the server runs as, because it refuses to run as root;
// nil is whoever runs the tests.
func postgresUser(t *testing.T) *syscall.SysProcAttr {
	t.Helper()
	if os.Getuid() != 0 {
		return nil
	}
	account, err := user.Lookup("postgres")
	if err != nil {
		t.Skip("NOT VERIFIED: PostgreSQL does not run as root, and there is no user postgres")
	}
	uid, err := strconv.Atoi(account.Uid)
	require.NoError(t, err)
	gid, err := strconv.Atoi(account.Gid)
	require.NoError(t, err)
	return &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
}

func startPostgreSQL(t *testing.T, programs string, owner *syscall.SysProcAttr, d disk) string {
	t.Helper()
	// The folder of a test is closed to others, and the socket's path is short.
	folder, err := os.MkdirTemp("", "pg")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(folder)) })
	give := func(path string) {
		if owner != nil {
			require.NoError(t, os.Chown(path, int(owner.Credential.Uid), int(owner.Credential.Gid)))
		}
	}
	give(folder)
	files := disk{folder}
	for _, name := range []string{"ca.crt", "own.crt", "own.key"} {
		text, err := os.ReadFile(d.path(name))
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(files.path(name), text, 0o600))
		give(files.path(name))
	}
	initialise := exec.Command(filepath.Join(programs, "initdb"), "-D", files.path("data"), "-U", "client", "-A", "reject", "--no-sync")
	initialise.SysProcAttr, initialise.Dir = owner, folder
	text, err := initialise.CombinedOutput()
	require.NoError(t, err, "%s", text)
	require.NoError(t, os.WriteFile(filepath.Join(files.path("data"), "pg_hba.conf"), []byte("hostssl all all 127.0.0.1/32 cert\n"), 0o644))
	address := freeURL(t)
	cmd := exec.Command(filepath.Join(programs, "postgres"), "-D", files.path("data"), "-h", "127.0.0.1", "-p", address.Port(), "-k", folder, "-c", "fsync=off",
		"-c", "ssl=on", "-c", "ssl_ca_file="+files.path("ca.crt"), "-c", "ssl_cert_file="+files.path("own.crt"), "-c", "ssl_key_file="+files.path("own.key"))
	cmd.SysProcAttr, cmd.Dir = owner, folder
	keepRunning(t, cmd, address.Host)
	return address.Port()
}

func selectOne(d disk, port string, anonymous bool) error {
	settings := []string{"host=127.0.0.1", "port=" + port, "user=client", "dbname=postgres", "sslmode=verify-full", "sslrootcert=" + d.path("ca.crt")}
	if anonymous {
		settings = append(settings, "sslcert="+d.path("absent"), "sslkey="+d.path("absent"))
	} else {
		settings = append(settings, "sslcert="+d.path("own.crt"), "sslkey="+d.path("own.key"))
	}
	return run("psql", strings.Join(settings, " "), "--no-psqlrc", "-c", "SELECT 1")
}
