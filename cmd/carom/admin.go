package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/http/pprof"
	"runtime"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"carom/ingest/metric"
)

// newRegistry is a registry with the process's own numbers.
func newRegistry() *prometheus.Registry {
	reg := prometheus.NewRegistry()
	reg.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	metric.Gauge(reg, "carom_build_info", "1, labelled with what is running.",
		prometheus.Labels{"version": version(), "go": runtime.Version()}, func() float64 { return 1 })
	return reg
}

// An admin is the listener for operators: health, metrics and whatever else is put on its mux, which has to guard itself
// where it is reached from elsewhere. TLS is left to a proxy.
type admin struct {
	guard    guard
	mux      *http.ServeMux
	server   *http.Server
	listener net.Listener
	stopping atomic.Bool           // from the first moment of a shutdown: balancers must look elsewhere
	about    func() map[string]any // what /readyz tells besides; set before listen, may be nil
	log      *slog.Logger
}

// newAdmin serves /metrics, /healthz and /readyz; ready says why there should be no traffic, or nil.
func newAdmin(flags adminFlags, reg *prometheus.Registry, ready func() error, log *slog.Logger) (*admin, error) {
	token, err := flags.readOpsToken()
	if err != nil {
		return nil, err
	}
	a := &admin{guard: guard{token: token}, mux: http.NewServeMux(), log: log}
	for _, name := range flags.AdminHosts {
		a.guard.hosts = append(a.guard.hosts, strings.ToLower(name))
	}
	a.mux.Handle("GET /metrics", a.guard.operators(promhttp.HandlerFor(reg, promhttp.HandlerOpts{})))
	a.mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { health(w, nil, nil) })
	a.mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if a.stopping.Load() {
			health(w, nil, errors.New("shutting down"))
			return
		}
		var about map[string]any
		if a.about != nil {
			about = a.about()
		}
		health(w, about, ready())
	})
	if flags.Pprof {
		profiles := http.NewServeMux()
		profiles.HandleFunc("/debug/pprof/", pprof.Index)
		profiles.HandleFunc("/debug/pprof/profile", pprof.Profile)
		profiles.HandleFunc("/debug/pprof/trace", pprof.Trace)
		profiles.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
		a.mux.Handle("/debug/pprof/", a.guard.operators(profiles))
	}
	a.server = &http.Server{
		Handler: a.guard.byName(a.mux), ReadHeaderTimeout: 5 * time.Second, IdleTimeout: time.Minute,
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
	return a, nil
}

func health(w http.ResponseWriter, about map[string]any, problem error) {
	w.Header().Set("Content-Type", "application/json")
	answer := map[string]any{"status": "ok"}
	maps.Copy(answer, about)
	if problem != nil {
		w.WriteHeader(http.StatusServiceUnavailable)
		answer["status"], answer["reason"] = "unavailable", problem.Error()
	}
	_ = json.NewEncoder(w).Encode(answer)
}

// listen binds the address. Requests wait until serve.
func (a *admin) listen(address string) error {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return fmt.Errorf("listen for admin requests on %s: %w", address, err)
	}
	a.listener = l
	at, ok := l.Addr().(*net.TCPAddr)
	a.guard.loopback = ok && at.IP.IsLoopback()
	if !a.guard.loopback && a.guard.token == nil {
		a.log.Warn("the admin address is not loopback: /metrics is refused without --ops-token", "admin", a.url())
	}
	return nil
}

func (a *admin) url() string { return "http://" + a.listener.Addr().String() }

func (a *admin) serve() {
	go func() {
		if err := a.server.Serve(a.listener); !errors.Is(err, http.ErrServerClosed) {
			a.log.Error("admin listener ended", "error", err)
		}
	}()
}

// stop answers what is under way and ends.
func (a *admin) stop(ctx context.Context) error {
	if err := a.server.Shutdown(ctx); err != nil {
		return fmt.Errorf("shut down admin listener: %w", err)
	}
	return nil
}
