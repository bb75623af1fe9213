package control

import "carom/redirect"

// utmFields are the UTM templates of a row.
type utmFields struct {
	UTMSource   string `ch:"utm_source"`
	UTMMedium   string `ch:"utm_medium"`
	UTMCampaign string `ch:"utm_campaign"`
	UTMContent  string `ch:"utm_content"`
	UTMTerm     string `ch:"utm_term"`
}

func utmOf(u redirect.UTM) utmFields {
	return utmFields{u.Source, u.Medium, u.Campaign, u.Content, u.Term}
}

func (f utmFields) templates() redirect.UTM {
	return redirect.UTM{Source: f.UTMSource, Medium: f.UTMMedium, Campaign: f.UTMCampaign, Content: f.UTMContent, Term: f.UTMTerm}
}

// utmColumns are those of the UTM templates of a row.
func utmColumns[R any](about string, at func(*R) *utmFields) []column[R] {
	of := func(name string, field func(*utmFields) *string) column[R] {
		return template("utm_"+name, func(r *R) *string { return field(at(r)) }).says(about)
	}
	return []column[R]{
		of("source", func(f *utmFields) *string { return &f.UTMSource }),
		of("medium", func(f *utmFields) *string { return &f.UTMMedium }),
		of("campaign", func(f *utmFields) *string { return &f.UTMCampaign }),
		of("content", func(f *utmFields) *string { return &f.UTMContent }),
		of("term", func(f *utmFields) *string { return &f.UTMTerm }),
	}
}
