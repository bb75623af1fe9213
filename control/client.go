package control

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"carom/redirect"
)

// clientTimeout bounds a request of a Client; of reports and exports, whose answers may be long, the wait for the first byte.
const clientTimeout = 2 * time.Minute

// A Client talks to the API of a control process.
type Client struct {
	server string
	token  string // sent as a header only: errors and logs show addresses
	http   *http.Client
	advice string // what to do where nothing answers
}

// NewClient returns a client for the control process at server, such as http://127.0.0.1:9090.
func NewClient(server, token string) (*Client, error) {
	u, err := url.Parse(server)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil {
		return nil, errors.New("the address of the control process must be http://host:port or https://host:port")
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.ResponseHeaderTimeout = clientTimeout
	return &Client{
		server: strings.TrimSuffix(server, "/") + apiPrefix,
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

// Import sends a part of a CSV file: the header line, then the lines from firstLine on.
func (c *Client) Import(ctx context.Context, kind string, firstLine int, part []byte) (Result, error) {
	query := url.Values{"first_line": {strconv.Itoa(firstLine)}}
	var result Result
	err := c.call(ctx, http.MethodPost, "/import/"+url.PathEscape(kind), query, "text/csv", part, &result)
	return result, err
}

// A Progress says how far an import has come.
type Progress struct {
	Lines    int      // dealt with
	Bytes    int64    // of the file
	Rejected []Reject // since the last progress, in the order of their lines
}

// ImportFile sends a whole CSV file in parts. Its header is checked first: where it is wrong nothing is sent and the error is
// ErrHeader. After another error the Result counts what was imported before it; sending the file again does the rest. An error
// of progress ends the import, too. Only progress is told of every reject: a Result lists the first.
func (c *Client) ImportFile(ctx context.Context, kind string, file io.Reader, progress func(Progress) error) (Result, error) {
	result := newResult()
	run, err := newRun(nil, kind, Scope{})
	if err != nil {
		return result, err
	}
	in, err := newCutter(file, run.layout())
	if err != nil {
		return result, err
	}
	var done Progress
	for {
		part, err := in.next()
		if errors.Is(err, io.EOF) {
			return result, nil
		}
		if err != nil {
			return result, err
		}
		answer := newResult()
		if part.records > 0 {
			if answer, err = c.Import(ctx, kind, part.firstLine, part.csv); err != nil {
				return result, fmt.Errorf("import %s from line %d on: %w", kind, part.firstLine, err)
			}
			in.accept(part, answer.Rejected)
		}
		answer.reject(part.repeats...)
		sortRejects(answer.Rejected)
		result.add(answer)
		done.Lines += part.records + len(part.repeats)
		done.Bytes, done.Rejected = in.offset, answer.Rejected
		if err := progress(done); err != nil {
			return result, err
		}
	}
}

// Links returns one page of the links that filter chooses.
func (c *Client) Links(ctx context.Context, filter LinkFilter, cursor string, limit int) (LinkPage, error) {
	query := filter.query()
	query.Set("limit", strconv.Itoa(limit))
	query.Set("cursor", cursor)
	var page LinkPage
	return page, c.call(ctx, http.MethodGet, "/links", query, "", nil, &page)
}

func (f LinkFilter) query() url.Values {
	return url.Values{"brand": {f.Brand}, "campaign": {f.Campaign}, "influencer": {f.Influencer}, "domain": {f.Domain}}
}

// Link returns the link with this key; brand may be empty where only one has it. Enabled is its own switch; State tells what
// the edge does.
func (c *Client) Link(ctx context.Context, brand, link string) (LinkDetail, error) {
	var detail LinkDetail
	return detail, c.call(ctx, http.MethodGet, "/links/"+url.PathEscape(link), url.Values{"brand": {brand}}, "", nil, &detail)
}

// LinkObject returns all that the API tells of a link.
func (c *Client) LinkObject(ctx context.Context, brand, link string) (json.RawMessage, error) {
	var object json.RawMessage
	return object, c.call(ctx, http.MethodGet, "/links/"+url.PathEscape(link), url.Values{"brand": {brand}}, "", nil, &object)
}

// DeleteLink deletes a link for good.
func (c *Client) DeleteLink(ctx context.Context, brand, link string) error {
	return c.call(ctx, http.MethodDelete, "/links/"+url.PathEscape(link), url.Values{"brand": {brand}}, "", nil, nil)
}

// Export copies all links that filter chooses to w, as csv, jsonl or parquet.
func (c *Client) Export(ctx context.Context, filter LinkFilter, format string, w io.Writer) error {
	query := filter.query()
	query.Set("format", format)
	return c.Fetch(ctx, "/links/export", query, w)
}

// SetEnabled stops what target names, or lets it go on, and returns how many links that has.
func (c *Client) SetEnabled(ctx context.Context, target Target, enabled bool) (int, error) {
	path := "/disable"
	if enabled {
		path = "/enable"
	}
	var answer Enabled
	err := c.post(ctx, path, EnableRequest(target), &answer)
	return answer.Links, err
}

// Keys lists keys, of one brand and one kind where these are given.
func (c *Client) Keys(ctx context.Context, brand string, kind redirect.KeyKind) ([]Key, error) {
	var keys []Key
	query := url.Values{"brand": {brand}}
	if kind != "" {
		query.Set("kind", string(kind))
	}
	return keys, c.call(ctx, http.MethodGet, "/keys", query, "", nil, &keys)
}

// NewKey makes a key beside those in use; RotateKey makes one that takes over.
func (c *Client) NewKey(ctx context.Context, brand string, kind redirect.KeyKind) (NewKey, error) {
	var key NewKey
	return key, c.post(ctx, "/keys", KeyRequest{Brand: brand, Kind: kind}, &key)
}

// RotateKey makes a new active key; the old ones only verify from then on.
func (c *Client) RotateKey(ctx context.Context, brand string, kind redirect.KeyKind) (NewKey, error) {
	var key NewKey
	return key, c.post(ctx, "/keys/rotate", KeyRequest{Brand: brand, Kind: kind}, &key)
}

// RetireKey makes a key, and all it has signed, unknown.
func (c *Client) RetireKey(ctx context.Context, brand string, kind redirect.KeyKind, id string) (Key, error) {
	var key Key
	return key, c.post(ctx, "/keys/retire", KeyRequest{Brand: brand, Kind: kind, ID: id}, &key)
}

// Tokens lists tokens.
func (c *Client) Tokens(ctx context.Context) ([]Token, error) {
	var tokens []Token
	return tokens, c.call(ctx, http.MethodGet, "/tokens", nil, "", nil, &tokens)
}

// NewToken makes a token.
func (c *Client) NewToken(ctx context.Context, request TokenRequest) (NewToken, error) {
	var token NewToken
	return token, c.post(ctx, "/tokens", request, &token)
}

// RevokeToken makes the token with this id worthless.
func (c *Client) RevokeToken(ctx context.Context, id string) error {
	return c.call(ctx, http.MethodDelete, "/tokens/"+url.PathEscape(id), nil, "", nil, nil)
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
	ctx, cancel := context.WithTimeout(ctx, clientTimeout)
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

// maxProblem bounds what is read of an answer that says what went wrong.
const maxProblem = 1 << 20

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
		return nil, fmt.Errorf("%s %s: %s: %s", method, path, response.Status, shortened(strings.TrimSpace(string(text)), maxRejectValue))
	}
	message := problem.Detail
	for _, detail := range problem.Errors {
		if detail.Message != message {
			message += "; " + detail.Error()
		}
	}
	return nil, errors.New(message)
}
