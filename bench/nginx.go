package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"text/template"
)

// nginxConfig is how one would serve fixed short links with nginx: a map in memory, a log that is written in blocks.
var nginxConfig = template.Must(template.New("nginx.conf").Parse(`
daemon off;
worker_processes 1;
pid {{.Dir}}/nginx.pid;
error_log {{.Dir}}/error.log;
events { worker_connections 4096; }
http {
    access_log {{.Dir}}/access.log combined buffer=64k flush=1s;
    client_body_temp_path {{.Dir}}/body;
    proxy_temp_path {{.Dir}}/proxy;
    fastcgi_temp_path {{.Dir}}/fastcgi;
    uwsgi_temp_path {{.Dir}}/uwsgi;
    scgi_temp_path {{.Dir}}/scgi;
    keepalive_requests 1000000000;
    map_hash_max_size 1048576;
    map_hash_bucket_size 128;
    map $uri $target { include {{.Dir}}/links.map; }
    server {
        listen {{.Addr}};
        location / {
            if ($target = "") { return 404; }
            return 302 $target;
        }
    }
}
`))

// startNginx serves the same links as Carom from a map.
func startNginx(ctx context.Context, cpu int, dir string, w *world) (*process, error) {
	program, err := findProgram("nginx", "nginx")
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	addr, err := freeAddr()
	if err != nil {
		return nil, err
	}
	if err := writeMap(filepath.Join(dir, "links.map"), w); err != nil {
		return nil, err
	}
	config := filepath.Join(dir, "nginx.conf")
	file, err := os.Create(config)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	if err := nginxConfig.Execute(file, map[string]string{"Dir": dir, "Addr": addr}); err != nil {
		return nil, err
	}
	return startProcess(ctx, "nginx", addr, cpu, exec.Command(program, "-c", config, "-e", filepath.Join(dir, "error.log")))
}

func writeMap(path string, w *world) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	defer file.Close()
	out := bufio.NewWriter(file)
	for link := 1; link <= w.links; link++ {
		fmt.Fprintf(out, "/%s %q;\n", w.code(link), w.location(link))
	}
	return out.Flush()
}

// findProgram looks for a program that a Debian package brings.
func findProgram(name, debianPackage string) (string, error) {
	path, err := exec.LookPath(name)
	if err != nil {
		return "", fmt.Errorf("find %s: %w; install the Debian package %s", name, err, debianPackage)
	}
	return path, nil
}
