package control

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
)

// maxAppLinks is the longest file of app links in bytes; iOS reads 128 KiB, files in use have a few.
const maxAppLinks = 32 << 10

// appLinks is a file that tells phones which apps open a domain's links: JSON that check accepts, kept without blanks.
func appLinks[R any](name string, at func(*R) *string, check func(cell []byte) error) column[R] {
	c := value(name, at, equal, func(_ *R, cell string) (string, error) {
		if cell == "" {
			return "", nil
		}
		if err := check([]byte(cell)); err != nil {
			return "", err
		}
		var compact bytes.Buffer
		err := json.Compact(&compact, []byte(cell))
		return compact.String(), err
	})
	c.longest = maxAppLinks
	c.show = func(row *R) (any, error) {
		if *at(row) == "" {
			return nil, nil
		}
		return json.RawMessage(*at(row)), nil
	}
	return c
}

// checkAppleApps accepts an apple-app-site-association file: an object with at least one service that iOS knows.
// https://developer.apple.com/documentation/xcode/supporting-associated-domains
func checkAppleApps(cell []byte) error {
	var services map[string]json.RawMessage
	if err := json.Unmarshal(cell, &services); err != nil {
		return fmt.Errorf("must be a JSON object: %w", err)
	}
	for _, known := range [...]string{"applinks", "webcredentials", "appclips", "activitycontinuation"} {
		if _, has := services[known]; has {
			return nil
		}
	}
	return errors.New("must have applinks, webcredentials, appclips or activitycontinuation")
}

// checkAssetLinks accepts an assetlinks.json file: a list of statements.
// https://developers.google.com/digital-asset-links/v1/create-statement
func checkAssetLinks(cell []byte) error {
	var statements []struct {
		Relation []string                   `json:"relation"`
		Target   map[string]json.RawMessage `json:"target"`
	}
	if err := json.Unmarshal(cell, &statements); err != nil {
		return fmt.Errorf("must be a JSON array of statements: %w", err)
	}
	if len(statements) == 0 {
		return errors.New("must have a statement")
	}
	for i, s := range statements {
		if len(s.Relation) == 0 || len(s.Target) == 0 {
			return fmt.Errorf("must have relation and target in each statement; number %d has not", i+1)
		}
	}
	return nil
}
