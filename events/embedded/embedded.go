// Package embedded runs a NATS server with JetStream inside the process, for `revoker dev` and for tests.
package embedded

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

const startTimeout = 10 * time.Second

// RandomPort lets the system choose a port.
const RandomPort = server.RANDOM_PORT

// Server is a running server, on 127.0.0.1.
type Server struct{ server *server.Server }

// Start starts a server that keeps its streams in storeDir and listens on 127.0.0.1:port. A port that is taken is an
// error. The caller ends it with Shutdown.
func Start(port int, storeDir string) (*Server, error) {
	if port != RandomPort {
		// The server itself would log this and go on trying.
		listener, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err != nil {
			return nil, fmt.Errorf("NATS server: %w", err)
		}
		if err := listener.Close(); err != nil {
			return nil, fmt.Errorf("NATS server: %w", err)
		}
	}
	s, err := server.NewServer(&server.Options{
		Host:      "127.0.0.1",
		Port:      port,
		JetStream: true,
		StoreDir:  storeDir,
		NoSigs:    true,
		NoLog:     true,
	})
	if err != nil {
		return nil, fmt.Errorf("NATS server: %w", err)
	}
	s.Start()
	if !s.ReadyForConnections(startTimeout) || !s.JetStreamEnabled() {
		s.Shutdown()
		return nil, errors.New("NATS server: it did not become ready")
	}
	return &Server{s}, nil
}

// URL is the server's client URL.
func (s *Server) URL() string { return s.server.ClientURL() }

// Shutdown ends the server and returns once it is down.
func (s *Server) Shutdown() {
	s.server.Shutdown()
	s.server.WaitForShutdown()
}
