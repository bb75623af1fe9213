package main

import (
	"bytes"
	_ "embed"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"strings"
)

// agentsText lists user agents as browsers, apps and crawlers send them, one a line: mostly the in-app browsers of the
// places where creators post.
//
//go:embed agents.txt
var agentsText string

// A stream is requests to pick from at random, and the same in a file for wrk, with a NUL byte between them.
type stream struct {
	name     string
	links    int // that it asks for
	requests [][]byte
	file     string
}

// newStream asks for so many requests for the links of these numbers, for each as often: with as many requests a server's caches see
// as many bytes however many links the stream asks for.
func newStream(name, file string, w *world, requests int, numbers []int, direct bool) (*stream, error) {
	s := &stream{name: name, links: len(numbers), file: file}
	agents := strings.Split(strings.TrimSpace(agentsText), "\n")
	random := rand.New(rand.NewPCG(1, uint64(len(numbers)))) // the same stream in every run, but for the codes
	for i := range requests {
		forwarded := ""
		if !direct {
			forwarded = "X-Forwarded-For: " + publicAddr(random).String() + "\r\n"
		}
		s.requests = append(s.requests, fmt.Appendf(nil, "GET /%s HTTP/1.1\r\n"+
			"Host: %s\r\n"+
			"Connection: keep-alive\r\n"+
			"Upgrade-Insecure-Requests: 1\r\n"+
			"User-Agent: %s\r\n"+
			"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8\r\n"+
			"Sec-Fetch-Site: cross-site\r\n"+
			"Sec-Fetch-Mode: navigate\r\n"+
			"Sec-Fetch-Dest: document\r\n"+
			"%s"+
			"Accept-Language: %s\r\n"+
			"Accept-Encoding: gzip, deflate, br\r\n"+
			"%s\r\n",
			w.code(numbers[i%len(numbers)]), w.host, pick(random, agents), pick(random, referrerLines), pick(random, languages), forwarded))
	}
	return s, os.WriteFile(file, bytes.Join(s.requests, []byte{0}), 0o600)
}

// first are the numbers of so many links from the first one on.
func first(links int) []int {
	numbers := make([]int, links)
	for i := range numbers {
		numbers[i] = i + 1
	}
	return numbers
}

// spread are the numbers of so many links of all, one picked at random of each stretch of them.
func spread(links, all int) []int {
	random := rand.New(rand.NewPCG(2, uint64(links)))
	numbers := make([]int, links)
	for i := range numbers {
		from, to := i*all/links, (i+1)*all/links
		numbers[i] = from + random.IntN(to-from) + 1
	}
	return numbers
}

// In-app browsers often send no referrer.
var referrerLines = []string{
	"", "", "Referer: https://l.instagram.com/\r\n", "Referer: https://www.tiktok.com/\r\n",
	"Referer: https://www.youtube.com/\r\n", "Referer: https://lm.facebook.com/\r\n", "Referer: https://linktr.ee/\r\n",
	"Referer: https://t.co/\r\n",
}

var languages = []string{"en-US,en;q=0.9", "en-GB,en;q=0.9", "de-DE,de;q=0.9,en;q=0.8", "fr-FR,fr;q=0.9", "es-ES,es;q=0.9", "pt-BR,pt;q=0.9"}

func pick[T any](random *rand.Rand, list []T) T { return list[random.IntN(len(list))] }

// publicAddr is any IPv4 address that can be somebody's on the internet.
func publicAddr(random *rand.Rand) netip.Addr {
	for {
		n := random.Uint32()
		addr := netip.AddrFrom4([4]byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)})
		if addr.IsGlobalUnicast() && !addr.IsPrivate() && n>>24 != 0 && n>>24 < 224 {
			return addr
		}
	}
}
