package control

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
)

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
