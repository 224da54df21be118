// The application behind the lab's load balancers: what it answers, and where it listens, is set by arguments alone,
// so that every way in which an application fails a health check is one argument of a manifest.
package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const usage = `app [ARGUMENT...]

  --listen [SCHEME://]ADDR:PORT  repeatable; ADDR may be empty (all addresses) or 127.0.0.1; default :8080
           http    plain HTTP/1.1 (the scheme when none is given)
           https   TLS 1.2 or newer with a certificate that it signs itself at start
           https13 TLS 1.3 only
           h2c     HTTP/2 without TLS, prior knowledge only
           tcp     accepts and echoes
           udp     echoes
  --path PATH=STATUS             repeatable; all other paths are answered with 404
  --redirect PATH=URL:STATUS     repeatable
  --auth PATH=STATUS             repeatable; without an Authorization header
  --host NAME=STATUS             repeatable; a request for any other host gets 404, one for NAME gets STATUS
                                 unless --path says otherwise
  --grpc PATH=CODE               repeatable; 200 with this grpc-status
  --delay PATH=DURATION          repeatable; waits before it answers
  --ready-after DURATION         503 on every path before
  --listen-after DURATION        opens no port before (a slow start: connections are refused)
  --exit-after DURATION          then exits with --exit-code (a crash loop)
  --exit-code NUMBER             default 1

A PATH that ends in * is a prefix. One line on standard output says what was asked and answered.
`

// rules are the values of one repeatable argument, by path or host.
type rules map[string]string

func (r rules) String() string { return "" }

func (r rules) Set(text string) error {
	key, value, found := strings.Cut(text, "=")
	if !found || key == "" || value == "" {
		return fmt.Errorf("%q is not KEY=VALUE", text)
	}
	r[key] = value
	return nil
}

// find prefers the exact path, then the longest prefix.
func (r rules) find(path string) (string, bool) {
	if value, found := r[path]; found {
		return value, true
	}
	best := ""
	for key := range r {
		if prefix, isPrefix := strings.CutSuffix(key, "*"); isPrefix && strings.HasPrefix(path, prefix) && len(key) > len(best) {
			best = key
		}
	}
	value, found := r[best]
	return value, found
}

type addresses []string

func (a *addresses) String() string { return "" }

func (a *addresses) Set(text string) error {
	*a = append(*a, text)
	return nil
}

type app struct {
	paths, redirects, auths, hosts, grpcs, delays rules
	readyAt                                       time.Time
	name                                          string
}

func main() {
	log.SetOutput(os.Stdout)
	log.SetFlags(log.LstdFlags | log.Lmsgprefix)
	name, _ := os.Hostname()
	a := &app{paths: rules{}, redirects: rules{}, auths: rules{}, hosts: rules{}, grpcs: rules{}, delays: rules{}, name: name}
	var listens addresses
	flags := flag.NewFlagSet("app", flag.ExitOnError)
	flags.Usage = func() { fmt.Fprint(os.Stderr, usage) }
	flags.Var(&listens, "listen", "")
	flags.Var(a.paths, "path", "")
	flags.Var(a.redirects, "redirect", "")
	flags.Var(a.auths, "auth", "")
	flags.Var(a.hosts, "host", "")
	flags.Var(a.grpcs, "grpc", "")
	flags.Var(a.delays, "delay", "")
	readyAfter := flags.Duration("ready-after", 0, "")
	listenAfter := flags.Duration("listen-after", 0, "")
	exitAfter := flags.Duration("exit-after", 0, "")
	exitCode := flags.Int("exit-code", 1, "")
	_ = flags.Parse(os.Args[1:])
	if flags.NArg() > 0 {
		fail("unknown argument %q", flags.Arg(0))
	}
	a.check()
	if len(listens) == 0 {
		listens = addresses{":8080"}
	}

	// Process 1 of a container: the kernel ignores signals that it does not handle itself.
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
	go func() {
		log.Printf("%v: exiting", <-stop)
		os.Exit(0)
	}()
	if *exitAfter > 0 {
		time.AfterFunc(*exitAfter, func() {
			log.Printf("exiting with status %d, as --exit-after asks", *exitCode)
			os.Exit(*exitCode)
		})
	}
	time.Sleep(*listenAfter)
	a.readyAt = time.Now().Add(*readyAfter)
	failed := make(chan error)
	for _, address := range listens {
		serve, err := a.open(address)
		if err != nil {
			fail("--listen %s: %v", address, err)
		}
		log.Printf("listening on %s", address)
		go func() { failed <- fmt.Errorf("%s: %w", address, serve()) }()
	}
	log.Fatal(<-failed)
}

func fail(format string, arguments ...any) {
	fmt.Fprintf(os.Stderr, format+"\n", arguments...)
	os.Exit(2)
}

// check refuses at start what could only be answered wrongly later.
func (a *app) check() {
	for option, values := range map[string]rules{"path": a.paths, "auth": a.auths, "host": a.hosts} {
		for key, value := range values {
			if status, err := strconv.Atoi(value); err != nil || status < 100 || status > 599 {
				fail("--%s %s=%s: not a status", option, key, value)
			}
		}
	}
	for key, value := range a.redirects {
		if _, status := redirection(value); status < 300 || status > 399 {
			fail("--redirect %s=%s: not URL:STATUS", key, value)
		}
	}
	for key, value := range a.delays {
		if _, err := time.ParseDuration(value); err != nil {
			fail("--delay %s=%s: %v", key, value, err)
		}
	}
}

func redirection(value string) (string, int) {
	colon := strings.LastIndex(value, ":")
	status, err := strconv.Atoi(value[colon+1:])
	if colon < 1 || err != nil {
		return "", 0
	}
	return value[:colon], status
}

// open binds one address and returns what serves it.
func (a *app) open(text string) (func() error, error) {
	scheme, address, found := strings.Cut(text, "://")
	if !found {
		scheme, address = "http", text
	}
	if scheme == "udp" {
		socket, err := net.ListenPacket("udp", address)
		return func() error { return echoPackets(socket) }, err
	}
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	server := &http.Server{Handler: a, Protocols: protocols, ReadHeaderTimeout: 30 * time.Second, ConnContext: remember(scheme)}
	switch scheme {
	case "http", "tcp":
	case "h2c":
		protocols.SetHTTP1(false)
		protocols.SetUnencryptedHTTP2(true)
	case "https", "https13":
		protocols.SetHTTP2(true)
		certificate, err := selfSigned()
		if err != nil {
			return nil, err
		}
		server.TLSConfig = &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12}
		if scheme == "https13" {
			server.TLSConfig.MinVersion = tls.VersionTLS13
		}
	default:
		return nil, fmt.Errorf("unknown scheme %q", scheme)
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return nil, err
	}
	if scheme == "tcp" {
		return func() error { return echoConnections(listener) }, nil
	}
	if server.TLSConfig != nil {
		return func() error { return server.ServeTLS(listener, "", "") }, nil
	}
	return func() error { return server.Serve(listener) }, nil
}

type schemeKey struct{}

func remember(scheme string) func(context.Context, net.Conn) context.Context {
	return func(parent context.Context, _ net.Conn) context.Context {
		return context.WithValue(parent, schemeKey{}, scheme)
	}
}

func (a *app) ServeHTTP(answer http.ResponseWriter, request *http.Request) {
	status := a.decide(answer, request)
	answer.WriteHeader(status)
	bodyless := status < 200 || status == http.StatusNoContent || status == http.StatusNotModified
	if _, grpc := a.grpcs.find(request.URL.Path); !grpc && !bodyless {
		fmt.Fprintf(answer, "%d from %s\n", status, a.name)
	}
	log.Printf("%s %s %s %s host=%s from=%s agent=%q -> %d", request.Context().Value(schemeKey{}), request.Proto,
		request.Method, request.URL.RequestURI(), request.Host, request.RemoteAddr, request.UserAgent(), status)
}

// decide sets the headers and returns the status.
func (a *app) decide(answer http.ResponseWriter, request *http.Request) int {
	path := request.URL.Path
	wait, delayed := a.delays.find(path)
	if delayed {
		duration, _ := time.ParseDuration(wait)
		time.Sleep(duration)
	}
	if time.Now().Before(a.readyAt) {
		return http.StatusServiceUnavailable
	}
	fallback := http.StatusNotFound
	if delayed {
		fallback = http.StatusOK
	}
	if len(a.hosts) > 0 {
		host := request.Host
		if name, _, err := net.SplitHostPort(host); err == nil {
			host = name
		}
		status, known := a.hosts[strings.ToLower(host)]
		if !known {
			return http.StatusNotFound
		}
		fallback, _ = strconv.Atoi(status)
	}
	if status, found := a.auths.find(path); found && request.Header.Get("Authorization") == "" {
		number, _ := strconv.Atoi(status)
		if number == http.StatusUnauthorized {
			answer.Header().Set("WWW-Authenticate", `Basic realm="lab"`)
		}
		return number
	}
	if value, found := a.redirects.find(path); found {
		url, status := redirection(value)
		answer.Header().Set("Location", url)
		return status
	}
	if code, found := a.grpcs.find(path); found {
		answer.Header().Set("Content-Type", "application/grpc")
		// Without a message the status may come with the headers ("Trailers-Only").
		answer.Header().Set("Grpc-Status", code)
		return http.StatusOK
	}
	if status, found := a.paths.find(path); found {
		number, _ := strconv.Atoi(status)
		return number
	}
	return fallback
}

func echoConnections(listener net.Listener) error {
	for {
		connection, err := listener.Accept()
		if err != nil {
			return err
		}
		log.Printf("tcp connection from=%s", connection.RemoteAddr())
		go func() {
			defer connection.Close()
			_, _ = io.Copy(connection, connection)
		}()
	}
}

func echoPackets(socket net.PacketConn) error {
	buffer := make([]byte, 64<<10)
	for {
		size, sender, err := socket.ReadFrom(buffer)
		if errors.Is(err, net.ErrClosed) {
			return err
		}
		if err != nil {
			continue // an ICMP error for an earlier answer
		}
		log.Printf("udp %d bytes from=%s", size, sender)
		_, _ = socket.WriteTo(buffer[:size], sender)
	}
}

func selfSigned() (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()),
		DNSNames:     []string{"localhost"},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(365 * 24 * time.Hour),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	content, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	return tls.Certificate{Certificate: [][]byte{content}, PrivateKey: key}, err
}
