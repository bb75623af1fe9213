package main

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	_ "net/http/pprof" // for --profile
	"os"
	"os/exec"
	"strconv"

	"github.com/valyala/fasthttp"

	"carom/redirect"
)

// bareArg marks, as first argument, the child that is the bare fasthttp server.
const bareArg = "bare-fasthttp"

// startBare runs this program again as a server that always gives the same answer.
func startBare(ctx context.Context, cpu, locationLen int) (*process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	addr, err := freeAddr()
	if err != nil {
		return nil, err
	}
	admin, err := freeAddr()
	if err != nil {
		return nil, err
	}
	p, err := startProcess(ctx, "bare", addr, cpu, exec.Command(self, bareArg, addr, admin, strconv.Itoa(locationLen)))
	if err != nil {
		return nil, err
	}
	p.admin = "http://" + admin
	return p, nil
}

// serveBare is the yardstick: fasthttp with the options of Carom's server, timeouts included, which fasthttp keeps itself here, and a
// handler that looks at nothing. It answers
// 302 with a Location as long as Carom's and no other header of its own. It runs until it is killed.
func serveBare(args []string) error {
	if len(args) != 3 {
		return fmt.Errorf("%s takes two addresses and a length", bareArg)
	}
	length, err := strconv.Atoi(args[2])
	if err != nil {
		return err
	}
	go func() { _ = http.ListenAndServe(args[1], nil) }() // net/http/pprof's handlers; without them no profile is to be had
	name, location := []byte("Location"), bytes.Repeat([]byte("x"), length)
	copy(location, "https://shop.bench.example/")
	c := redirect.Default()
	server := &fasthttp.Server{
		Handler: func(ctx *fasthttp.RequestCtx) {
			ctx.Response.SetStatusCode(fasthttp.StatusFound)
			ctx.Response.Header.SetCanonical(name, location)
		},
		NoDefaultServerHeader:        true,
		NoDefaultContentType:         true,
		ReadTimeout:                  c.ReadTimeout,
		WriteTimeout:                 c.WriteTimeout,
		IdleTimeout:                  c.IdleTimeout,
		Concurrency:                  c.MaxConns,
		ReadBufferSize:               c.HeaderBytes,
		MaxRequestBodySize:           c.BodyBytes,
		DisablePreParseMultipartForm: true,
		SecureErrorLogMessage:        true,
		CloseOnShutdown:              true,
	}
	return server.ListenAndServe(args[0])
}
