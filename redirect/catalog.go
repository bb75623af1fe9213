package redirect

import (
	"time"

	"carom/ingest"
)

// The reference data that a table is built from, as the reference tables hold it. Deleted rows come too: they take the
// object away. Versions count changes; see Source.
type (
	// Brand is a row of brands.
	Brand struct {
		ID              uint32
		Key             string
		Name            string
		Currency        string // ISO 4217
		AttributionDays uint16
		UnsignedPixel   bool
		Policy          DestinationPolicy
		Deleted         bool
		Version         uint64
	}

	// DomainRow is a row of domains.
	DomainRow struct {
		ID          uint32
		Host        string // as CanonicalHost returns it
		Brand       uint32
		Home        string
		Fallback    string
		NotFound    string
		SignedSlugs bool
		AppleApps   string // apple-app-site-association, JSON
		AssetLinks  string // assetlinks.json
		Deleted     bool
		Version     uint64
	}

	// Influencer is a row of influencers.
	Influencer struct {
		ID       uint32
		Key      string
		Platform string
		Tier     ingest.Tier
		Enabled  bool
		Deleted  bool
		Version  uint64
	}

	// Campaign is a row of campaigns.
	Campaign struct {
		ID           uint32
		Key          string
		Brand        uint32
		Destination  string
		UTM          UTM
		ClickIDParam string
		Starts, Ends time.Time // the zero time or 1970 = none
		Enabled      bool
		Deleted      bool
		Version      uint64
	}

	// LinkRow is a row of links.
	LinkRow struct {
		ID              uint32
		Key             string
		Brand           uint32
		Campaign        uint32
		Influencer      uint32
		Domain          uint32
		KeyID           uint8
		Slug            string
		Coupon          string // upper case, as control writes it
		Destination     string // empty = the campaign's
		UTM             UTM    // empty values = the campaign's
		Format          ingest.Format
		Starts, Expires time.Time // the zero time or 1970 = none
		Fallback        string
		Enabled         bool
		Deleted         bool
	}

	// KeyRow is a row of keys, opened.
	KeyRow struct {
		Brand   uint32 // 0 = the cluster's
		Kind    KeyKind
		ID      string
		Secret  []byte
		Active  bool // mints; a key that is neither active nor retired only verifies
		Retired bool
		Version uint64
	}
)
