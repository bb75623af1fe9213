package main

import (
	"net/url"
	"strings"
	"testing"
	"time"
)

// The small world of TestClicksToReports: what is imported, and what follows from it for each link. Days are written D, D-1, …
const (
	worldBrands = `brand,name,currency,timezone,attribution_days,unsigned_pixel
acme,Acme Outdoor,EUR,Europe/Berlin,30,true
nordic,Nordic Home,USD,,14,false
`
	worldDomains = `host,brand,home_url,fallback_url,not_found_url,vanity,default
go.acme.localhost,acme,https://www.acme.example/,https://www.acme.example/sale,https://www.acme.example/not-found,open,true
go.nordic.localhost,nordic,,,,signed,true
`
	worldInfluencers = `influencer,name,platform,followers,as_of
lena,Lena Brandt,instagram,9500,{D-5}
tom,Tom Keller,youtube,640,{D-5}
chiara,Chiara Rossi,tiktok,410000,{D-5}
mei,Mei Tanaka,x,5600,{D-5}
`
	// Lena has grown out of her tier.
	worldFollowers = `influencer,name,followers,as_of
lena,Lena Brandt,12000,{D-1}
`
	worldCampaigns = `campaign,brand,name,destination,utm_source,utm_medium,utm_campaign,utm_content,utm_term,click_id_param
boots,acme,Boots,https://shop.acme.example/boots?ref=creators#size,{platform},influencer,{campaign},{influencer}-{content_format},,
app,acme,App,https://app.acme.example/get?utm_source=old,{platform},,,,,cid
winter,nordic,Winter,https://shop.nordic.example/winter,{platform},creator,winter 26,{link},{brand},subid
`
	worldLinks = `link,campaign,influencer,domain,slug,coupon,destination,utm_content,content_format,fee,product_cost,starts,expires,fallback_url,enabled
boots-lena,boots,lena,go.acme.localhost,,LENA10,,,reel,100.00,20.50,{D-3},,,
boots-tom,boots,tom,go.acme.localhost,tom-boots,,,,video,50.00,,{D},,,
boots-over,boots,chiara,go.acme.localhost,over,,,,story,,,{D-5},{D-1},https://shop.acme.example/new,
boots-off,boots,tom,go.acme.localhost,tom-off,,,,,,,{D-5},,,false
app-chiara,app,chiara,go.acme.localhost,get-app,,,,,,,{D-5},,,
winter-mei,winter,mei,go.nordic.localhost,,MEI5,,own content,post,,,{D-2},,,
winter-lena,winter,lena,go.nordic.localhost,lena,,https://shop.nordic.example/winter/lamps,,,30.00,,{D-1},,,
winter-over,winter,mei,go.nordic.localhost,past,,,,,,,{D-5},{D-1},,
`
	worldCommissions = `campaign,influencer,tier,event,model,rate,amount,starts
boots,,,sale,percent,0.08,,{D-5}
boots,lena,,sale,percent,0.123,,{D-5}
boots,tom,,,cpc,,0.05,{D-5}
app,,,install,cpa,,1.50,{D-5}
winter,,nano,sale,percent,0.1,,{D-5}
winter,mei,,,flat,,25.00,{D-3}
`
)

// A worldLink is a link of the world: whose it is, its creator's tier and home platform, and what its clicks must say.
type worldLink struct {
	brand, campaign, influencer, tier, home, format string

	// location is where the link leads. {more} stands for parameters that pass through, {id} for the click id.
	location string
	// ended is the answer in place of location, where the link is over or switched off: a location, or empty for 410.
	ended string
	slug  string
}

const bootsLocation = "https://shop.acme.example/boots?ref=creators&utm_source=SOURCE&utm_medium=influencer&utm_campaign=boots&" +
	"utm_content=CONTENT&{more}click_id={id}#size"

func bootsTo(source, content string) string {
	return strings.NewReplacer("SOURCE", source, "CONTENT", content).Replace(bootsLocation)
}

var theLinks = map[string]worldLink{
	"acme/boots-lena": {"acme", "boots", "lena", "micro", "instagram", "reel", bootsTo("instagram", "lena-reel"), "", ""},
	"acme/boots-tom":  {"acme", "boots", "tom", "unranked", "youtube", "video", bootsTo("youtube", "tom-video"), "", "tom-boots"},
	"acme/boots-over": {
		"acme", "boots", "chiara", "macro", "tiktok", "story", bootsTo("tiktok", "chiara-story"), "https://shop.acme.example/new", "over",
	},
	"acme/boots-off": {
		"acme", "boots", "tom", "unranked", "youtube", "", bootsTo("youtube", "tom-"), "https://www.acme.example/sale", "tom-off",
	},
	"acme/app-chiara": {
		"acme", "app", "chiara", "macro", "tiktok", "", "https://app.acme.example/get?utm_source=tiktok&{more}cid={id}", "", "get-app",
	},
	"nordic/winter-mei": {
		"nordic", "winter", "mei", "nano", "x", "post",
		"https://shop.nordic.example/winter?utm_source=x&utm_medium=creator&utm_campaign=winter+26&utm_content=own+content&" +
			"utm_term=nordic&{more}subid={id}", "", "",
	},
	"nordic/winter-lena": {
		"nordic", "winter", "lena", "micro", "instagram", "",
		"https://shop.nordic.example/winter/lamps?utm_source=instagram&utm_medium=creator&utm_campaign=winter+26&" +
			"utm_content=winter-lena&utm_term=nordic&{more}subid={id}", "", "lena",
	},
	"nordic/winter-over": {
		"nordic", "winter", "mei", "nano", "x", "",
		"https://shop.nordic.example/winter?utm_source=x&utm_medium=creator&utm_campaign=winter+26&utm_content=winter-over&" +
			"utm_term=nordic&{more}subid={id}", "", "past",
	},
}

// params are the values that the link and what passes through (encoded, as in a query) put into the location.
func (l worldLink) params(t *testing.T, more string) url.Values {
	t.Helper()
	location, err := url.Parse(strings.NewReplacer("{more}", withAmpersand(more), "{id}", "").Replace(l.location))
	if err != nil {
		t.Fatal(err)
	}
	return location.Query()
}

func withAmpersand(pairs string) string {
	if pairs == "" {
		return ""
	}
	return pairs + "&"
}

// onDays writes days for D, D-1, … in the lines of a file.
func onDays(today time.Time, lines string) string {
	var pairs []string
	for ago, name := range []string{"{D}", "{D-1}", "{D-2}", "{D-3}", "{D-4}", "{D-5}"} {
		pairs = append(pairs, name, today.AddDate(0, 0, -ago).Format(time.DateOnly))
	}
	return strings.NewReplacer(pairs...).Replace(lines)
}

// loadWorld imports it and returns the short URL of each link.
func loadWorld(s *system, today time.Time) map[string]string {
	s.t.Helper()
	for _, file := range []struct{ kind, lines string }{
		{"brands", worldBrands},
		{"domains", worldDomains},
		{"influencers", worldInfluencers},
		{"influencers", worldFollowers},
		{"campaigns", worldCampaigns},
		{"links", worldLinks},
		{"commissions", worldCommissions},
	} {
		s.load(file.kind, onDays(today, file.lines))
	}
	s.eventually("the edge knows all links", func() bool {
		return metrics(s.t, s.admin)["carom_links"] == float64(len(theLinks))
	})
	return s.shortURLs()
}
