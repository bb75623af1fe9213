// Package client talks to the API of a control process.
package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"carom/control"
	"carom/control/sheet"
)

// timeout bounds a request of a Client; of reports and exports, whose answers may be long, the wait for the first byte.
const timeout = 2 * time.Minute

// A Client talks to the API of a control process.
type Client struct {
	server string
	token  string // sent as a header only: errors and logs show addresses
	http   *http.Client
	advice string // what to do where nothing answers
}

// New returns a client for the control process at server, such as http://127.0.0.1:9090.
func New(server, token string) (*Client, error) {
	u, err := url.Parse(server)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil {
		return nil, errors.New("the address of the control process must be http://host:port or https://host:port")
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.ResponseHeaderTimeout = timeout
	return &Client{
		server: strings.TrimSuffix(server, "/") + control.APIPrefix,
		token:  token,
		advice: "see that carom up or carom control runs at this address",
		http: &http.Client{
			Transport: transport,
			// A redirect would carry the token elsewhere.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}, nil
}

// Advise sets what errors tell people to do where nothing answers, when better is known than to look at the address.
func (c *Client) Advise(advice string) { c.advice = advice }

// Fetch copies the answer to a GET of the API's path to w: of what others have registered beside control, such as reports.
func (c *Client) Fetch(ctx context.Context, path string, query url.Values, w io.Writer) error {
	response, err := c.send(ctx, http.MethodGet, path, query, "", nil)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if _, err := io.Copy(w, response.Body); err != nil {
		return fmt.Errorf("GET %s: the answer broke off: %w", path, err)
	}
	return nil
}

// Backup copies a backup to w. What was written before an error is none.
func (c *Client) Backup(ctx context.Context, w io.Writer) error {
	return c.Fetch(ctx, "/backup", nil, w)
}

func (c *Client) post(ctx context.Context, path string, request, answer any) error {
	body, err := json.Marshal(request)
	if err != nil {
		return err
	}
	return c.call(ctx, http.MethodPost, path, nil, "application/json", body, answer)
}

// call sends a request and decodes its answer, unless answer is nil.
func (c *Client) call(ctx context.Context, method, path string, query url.Values, contentType string, body []byte, answer any) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	response, err := c.send(ctx, method, path, query, contentType, body)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if answer == nil {
		return nil
	}
	if err := json.NewDecoder(response.Body).Decode(answer); err != nil {
		return fmt.Errorf("%s %s: the answer is not JSON: %w", method, path, err)
	}
	return nil
}

const (
	// maxProblem bounds what is read of an answer that says what went wrong.
	maxProblem = 1 << 20
	// maxQuote is how many bytes of one are quoted that is not the API's.
	maxQuote = 200
)

// send returns an answer that is a success; the caller closes its body.
func (c *Client) send(ctx context.Context, method, path string, query url.Values, contentType string, body []byte) (*http.Response, error) {
	address := c.server + path
	if len(query) > 0 {
		address += "?" + query.Encode()
	}
	request, err := http.NewRequestWithContext(ctx, method, address, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Authorization", "Bearer "+c.token)
	if contentType != "" {
		request.Header.Set("Content-Type", contentType)
	}
	response, err := c.http.Do(request)
	if ctx.Err() != nil {
		return nil, fmt.Errorf("%s %s: %w", method, path, context.Cause(ctx))
	}
	if err != nil {
		return nil, fmt.Errorf("control process does not answer: %s: %w", c.advice, err)
	}
	if response.StatusCode < http.StatusMultipleChoices {
		return response, nil
	}
	defer response.Body.Close()
	var problem huma.ErrorModel
	text, err := io.ReadAll(io.LimitReader(response.Body, maxProblem))
	if err != nil || json.Unmarshal(text, &problem) != nil || problem.Detail == "" {
		return nil, fmt.Errorf("%s %s: %s: %s", method, path, response.Status, sheet.Shorten(strings.TrimSpace(string(text)), maxQuote))
	}
	message := problem.Detail
	for _, detail := range problem.Errors {
		if !strings.Contains(message, detail.Message) {
			message += fmt.Sprintf("; %s (%s)", detail.Message, detail.Location)
		}
	}
	return nil, errors.New(message)
}
