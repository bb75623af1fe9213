package control

import (
	"fmt"
	"time"
)

// A stop is why the edge does not send visitors to a link's destination.
type stop struct {
	what  string    // disabled, deleted, not begun, expired, key retired
	where string    // brand, domain, campaign or creator; empty for the link itself
	key   string    // of what where says
	at    time.Time // when it begins or has ended; zero where no time decides
}

const notBegun = "not begun"

// state is the stop in short; that of none is live.
func (s *stop) state() string {
	switch {
	case s == nil:
		return "live"
	case s.where == "":
		return s.what
	}
	return fmt.Sprintf("%s (%s)", s.what, s.where)
}

// reason is the stop in full, empty for none.
func (s *stop) reason() string {
	if s == nil {
		return ""
	}
	text := "the link itself is " + s.what
	if s.where != "" {
		text = fmt.Sprintf("%s %s is %s", s.where, s.key, s.what)
	}
	if s.at.IsZero() {
		return text
	}
	word := "since"
	if s.what == notBegun {
		word = "until"
	}
	return fmt.Sprintf("%s %s %s", text, word, s.at.UTC().Format(time.RFC3339))
}

// stop finds what stops a link now, of several the one to be mended first. reachable is false for a link whose every
// address is signed by a retired key.
func (v *linkView) stop(r *linkRow, reachable bool) *stop {
	brand, domain := v.cat.brands.byID[r.BrandID], v.cat.domains.byID[r.DomainID]
	campaign, creator := v.cat.campaigns.byID[r.CampaignID], v.cat.influencers.byID[r.InfluencerID]
	now := v.control.cfg.Now()
	ended := func(end time.Time) bool { return !end.Equal(noTime()) && !now.Before(end) }
	switch {
	case brand.Deleted:
		return &stop{what: "deleted", where: "brand", key: brand.Brand}
	case domain.Deleted:
		return &stop{what: "deleted", where: "domain", key: domain.Host}
	case campaign.Deleted:
		return &stop{what: "deleted", where: "campaign", key: campaign.Campaign}
	case creator.Deleted:
		return &stop{what: "deleted", where: "creator", key: creator.Influencer}
	case !r.Enabled:
		return &stop{what: "disabled"}
	case !campaign.Enabled:
		return &stop{what: "disabled", where: "campaign", key: campaign.Campaign}
	case !creator.Enabled:
		return &stop{what: "disabled", where: "creator", key: creator.Influencer}
	case ended(r.Expires):
		return &stop{what: "expired", at: r.Expires}
	case ended(campaign.Ends):
		return &stop{what: "expired", where: "campaign", key: campaign.Campaign, at: campaign.Ends}
	case now.Before(r.Starts):
		return &stop{what: notBegun, at: r.Starts}
	case now.Before(campaign.Starts):
		return &stop{what: notBegun, where: "campaign", key: campaign.Campaign, at: campaign.Starts}
	case !reachable:
		return &stop{what: "key retired"}
	}
	return nil
}

// why explains the state of a link, and an empty code.
func (v *linkView) why(r *linkRow, link *Link) string {
	reason := v.stop(r, link.ShortURL != "").reason()
	if link.Code != "" {
		return reason
	}
	retired := "its key is retired: nothing that it has signed is answered"
	if reason == "" || link.State == "key retired" {
		return retired
	}
	return reason + "; " + retired
}
