package ingest

import (
	"bytes"
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

func newAgents(t testing.TB) *Agents {
	t.Helper()
	a, err := NewAgents(1 << 10)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// Beginnings that many agents share.
const (
	iPhone  = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
	iPad    = "Mozilla/5.0 (iPad; CPU OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
	webView = "Mozilla/5.0 (Linux; Android 14; SM-S921B Build/UP1A.231005.007; wv) AppleWebKit/537.36 (KHTML, like Gecko) " +
		"Version/4.0 Chrome/126.0.6478.122 Mobile Safari/537.36 "
	pixel   = "Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 (KHTML, like Gecko) "
	windows = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
	mac     = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) "
	linux   = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) "
)

// people is what people's browsers send, with what they are.
var people = []struct {
	device, os, browser, platform string
	agent                         string
}{
	// In-app browsers: what most followers come with.
	{"mobile", "iOS", "In-app", "instagram", iPhone + "Mobile/15E148 Instagram 334.0.4.32.98 (iPhone14,5; iOS 17_5_1; de_DE; de; scale=3.00; 1170x2532; 610100857; IABMV/1)"},
	{"mobile", "iOS", "In-app", "instagram", iPhone + "Mobile/23D127 Instagram 419.0.0.27.74 (iPhone17,2; iOS 26_3; en_US; en; scale=3.00; 1320x2868; IABMV/1; 895010607) Safari/604.1"},
	{"mobile", "Android", "In-app", "instagram", webView + "Instagram 334.0.0.42.95 Android (34/14; 480dpi; 1080x2340; samsung; SM-S921B; e1s; s5e9945; en_GB; 610100857)"},
	{"mobile", "iOS", "In-app", "instagram", iPhone + "Mobile/22G100 Safari/604.1 MetaIAB Instagram"},
	{"mobile", "iOS", "In-app", "threads", iPhone + "Mobile/15E148 Barcelona 337.0.0.23.109 (iPhone14,5; iOS 17_5_1; en_US; en; scale=3.00; 1170x2532; 612345678; IABMV/1)"},
	{"mobile", "Android", "In-app", "threads", webView + "Barcelona 448.0.0.54.85 Android (34/14; 420dpi; 1080x2400; Google/google; Pixel 8; shiba; shiba; en_US; 612345678)"},
	{"mobile", "iOS", "In-app", "facebook", iPhone + "Mobile/15E148 [FBAN/FBIOS;FBAV/468.0.0.45.107;FBBV/612345678;FBDV/iPhone14,5;FBMD/iPhone;FBSN/iOS;FBSV/17.5.1;FBSS/3;FBID/phone;FBLC/en_US;FBOP/5;FBRV/0]"},
	{"mobile", "Android", "In-app", "facebook", webView + "[FB_IAB/FB4A;FBAV/468.1.0.56.78;]"},
	{"mobile", "Android", "In-app", "facebook", webView + "MetaIAB Facebook"},
	{"tablet", "iOS", "In-app", "facebook", iPad + "Mobile/15E148 [FBAN/FBIOS;FBAV/468.0.0.45.107;FBDV/iPad13,4;FBMD/iPad;FBSN/iPadOS;FBSV/17.5;FBID/tablet]"},
	{"mobile", "iOS", "In-app", "messenger", iPhone + "Mobile/15E148 [FBAN/MessengerForiOS;FBAV/460.0.0.36.107;FBBV/612345678;FBDV/iPhone14,5]"},
	{"mobile", "Android", "In-app", "messenger", webView + "[FB_IAB/Orca-Android;FBAV/460.0.0.48.109;]"},
	{"mobile", "iOS", "In-app", "tiktok", iPhone + "Mobile/15E148 musical_ly_34.9.0 JsSdk/2.0 NetType/WIFI Channel/App Store ByteLocale/en Region/US isDarkMode/1 WKWebView/1 RevealType/Dialog BytedanceWebview/d8a21c6"},
	{"mobile", "iOS", "In-app", "tiktok", iPhone + "Mobile/15E148 BytedanceWebview/d8a21c6"},
	{"mobile", "Android", "In-app", "tiktok", webView + "trill_340002 JsSdk/1.0 NetType/WIFI Channel/googleplay AppName/musical_ly app_version/34.0.2 ByteLocale/en ByteFullLocale/en Region/US BytedanceWebview/d8a21c6"},
	{"mobile", "Android", "In-app", "tiktok", webView + "musical_ly_2023400050 JsSdk/1.0 NetType/4G Channel/googleplay AppName/musical_ly app_version/34.0.5"},
	{"mobile", "Android", "In-app", "douyin", webView + "aweme_290300 JsSdk/1.0 NetType/WIFI AppName/aweme app_version/29.3.0 ByteLocale/zh-CN BytedanceWebview/d8a21c6"},
	{"mobile", "iOS", "In-app", "x", iPhone + "Mobile/15E148 Twitter for iPhone/10.44"},
	{"mobile", "Android", "In-app", "x", webView + "TwitterAndroid"},
	{"mobile", "iOS", "In-app", "pinterest", iPhone + "Mobile/15E148 [Pinterest/iOS]"},
	{"mobile", "Android", "In-app", "pinterest", webView + "[Pinterest/Android]"},
	{"mobile", "iOS", "In-app", "snapchat", iPhone + "Mobile/15E148 Snapchat/12.90.0.42 (like Safari/8617.1.17.10.9, panda)"},
	{"mobile", "Android", "In-app", "snapchat", webView + "Snapchat/12.90.0.46 (SM-S921B; Android 14#S921BXXS2AXE3#34; gzip; )"},
	{"mobile", "iOS", "In-app", "linkedin", iPhone + "Mobile/15E148 [LinkedInApp]/9.29.8962"},
	{"mobile", "Android", "In-app", "linkedin", webView + "[LinkedInApp]"},
	{"mobile", "iOS", "In-app", "reddit", iPhone + "Mobile/15E148 Reddit/Version 2024.24.0/Build 616070/iOS Version 17.5.1"},
	{"mobile", "iOS", "In-app", "wechat", iPhone + "Mobile/15E148 MicroMessenger/8.0.49(0x18003137) NetType/WIFI Language/en"},
	{"mobile", "Android", "In-app", "wechat", webView + "XWEB/1260059 MMWEBSDK/20240404 MMWEBID/1234 MicroMessenger/8.0.49.2600(0x28003133) WeChat/arm64 Weixin NetType/WIFI Language/zh_CN ABI/arm64"},
	{"mobile", "iOS", "In-app", "line", iPhone + "Mobile/15E148 Safari Line/14.9.1"},
	{"mobile", "Android", "In-app", "line", webView + "Line/14.9.1/IAB"},
	{"mobile", "iOS", "In-app", "kakaotalk", iPhone + "Mobile/15E148 KAKAOTALK/10.8.3 (INAPP)"},
	{"mobile", "Android", "In-app", "kakaotalk", webView + "KAKAOTALK/10.8.3 (INAPP)"},
	{"mobile", "Android", "In-app", "telegram", webView + "Telegram-Android/10.14.5 (Samsung SM-S921B; Android 14; SDK 34; HIGH)"},
	{"mobile", "Android", "In-app", "whatsapp", webView + "WA4A/2.24.12.78"},
	{"mobile", "iOS", "In-app", "whatsapp", iPhone + "Mobile/15E148 WAiOS/2.24.12"},
	{"mobile", "iOS", "In-app", "whatsapp", iPhone + "Mobile/15E148 WhatsApp/2.24.12"}, // its name in a web view is a person
	{"mobile", "iOS", "In-app", "google", iPhone + "GSA/319.0.638705450 Mobile/15E148 Safari/604.1"},
	{"mobile", "Android", "In-app", "zalo", webView + "Zalo android/12100656 ZaloTheme/light ZaloLanguage/vi"},
	{"mobile", "iOS", "In-app", "", iPhone + "Mobile/15E148"}, // an app that does not say which
	{"mobile", "Android", "In-app", "", webView},

	// Browsers.
	{"mobile", "iOS", "Safari", "", iPhone + "Version/17.5 Mobile/15E148 Safari/604.1"},
	{"tablet", "iOS", "Safari", "", iPad + "Version/17.5 Mobile/15E148 Safari/604.1"},
	{"mobile", "iOS", "Safari", "", strings.Replace(iPhone, "iPhone;", "iPod touch;", 1) + "Version/15.8 Mobile/15E148 Safari/604.1"},
	{"mobile", "iOS", "Chrome", "", iPhone + "CriOS/126.0.6478.54 Mobile/15E148 Safari/604.1"},
	{"mobile", "iOS", "Firefox", "", iPhone + "FxiOS/127.0 Mobile/15E148 Safari/605.1.15"},
	{"mobile", "iOS", "Edge", "", iPhone + "Version/17.0 EdgiOS/125.0.2535.60 Mobile/15E148 Safari/605.1.15"},
	{"mobile", "Android", "Chrome", "", pixel + "Chrome/126.0.0.0 Mobile Safari/537.36"},
	{"tablet", "Android", "Chrome", "", strings.Replace(pixel, "Pixel 8", "SM-X710", 1) + "Chrome/126.0.0.0 Safari/537.36"},
	{"mobile", "Android", "Chrome", "", strings.Replace(pixel, "Pixel 8", "CUBOT NOTE 7", 1) + "Chrome/126.0.0.0 Mobile Safari/537.36"},
	{"mobile", "Android", "Samsung Browser", "", pixel + "SamsungBrowser/25.0 Chrome/121.0.0.0 Mobile Safari/537.36"},
	{"mobile", "Android", "Firefox", "", "Mozilla/5.0 (Android 14; Mobile; rv:127.0) Gecko/127.0 Firefox/127.0"},
	{"tablet", "Android", "Firefox", "", "Mozilla/5.0 (Android 13; Tablet; rv:127.0) Gecko/127.0 Firefox/127.0"},
	{"mobile", "Android", "Edge", "", pixel + "Chrome/126.0.0.0 Mobile Safari/537.36 EdgA/125.0.2535.87"},
	{"mobile", "Android", "Opera", "", pixel + "Chrome/124.0.0.0 Mobile Safari/537.36 OPR/82.5.4342.80402"},
	{"mobile", "Android", "DuckDuckGo", "", "Mozilla/5.0 (Linux; Android 14) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/126.0.0.0 Mobile DuckDuckGo/5 Safari/537.36"},
	{"mobile", "other", "Opera Mini", "", "Opera/9.80 (J2ME/MIDP; Opera Mini/7.1.32052/29.3709; U; en) Presto/2.8.119 Version/11.10"},
	{"tablet", "Android", "Silk", "", "Mozilla/5.0 (Linux; Android 9; KFTRWI) AppleWebKit/537.36 (KHTML, like Gecko) Silk/120.4.1 like Chrome/120.0.6099.199 Safari/537.36"},
	{"desktop", "Windows", "Chrome", "", windows + "Chrome/126.0.0.0 Safari/537.36"},
	{"desktop", "Windows", "Edge", "", windows + "Chrome/126.0.0.0 Safari/537.36 Edg/126.0.0.0"},
	{"desktop", "Windows", "Firefox", "", "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:127.0) Gecko/20100101 Firefox/127.0"},
	{"desktop", "Windows", "Opera", "", windows + "Chrome/125.0.0.0 Safari/537.36 OPR/111.0.0.0"},
	{"desktop", "Windows", "Yandex Browser", "", windows + "Chrome/124.0.0.0 YaBrowser/24.6.0.0 Safari/537.36"},
	{"desktop", "Windows", "Internet Explorer", "", "Mozilla/4.0 (compatible; MSIE 8.0; Windows NT 6.1; Trident/4.0)"},
	{"desktop", "macOS", "Safari", "", mac + "Version/17.5 Safari/605.1.15"},
	{"desktop", "macOS", "Chrome", "", "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36"},
	{"desktop", "macOS", "Firefox", "", "Mozilla/5.0 (Macintosh; Intel Mac OS X 10.15; rv:127.0) Gecko/20100101 Firefox/127.0"},
	{"desktop", "Linux", "Chrome", "", linux + "Chrome/126.0.0.0 Safari/537.36"},
	{"desktop", "Linux", "Firefox", "", "Mozilla/5.0 (X11; Ubuntu; Linux x86_64; rv:127.0) Gecko/20100101 Firefox/127.0"},
	{"desktop", "Linux", "Vivaldi", "", linux + "Chrome/124.0.0.0 Safari/537.36 Vivaldi/6.7.3329.35"},
	{"desktop", "ChromeOS", "Chrome", "", "Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36"},
	{"tv", "Linux", "Chrome", "", "Mozilla/5.0 (Web0S; Linux/SmartTV) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/94.0.4606.128 Safari/537.36 WebAppManager"},
	{"tv", "Android", "Chrome", "", "Mozilla/5.0 (Linux; Android 12; BRAVIA 4K VH2) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/124.0.0.0 Safari/537.36"},
	{"desktop", "Linux", "other", "", linux + "SomethingNew/1.0"}, // a name that is on no list is never stored
}

// programs is what programs send, with the reason and the platform they work for.
var programs = []struct {
	reason   Reasons
	platform string
	agent    string
}{
	{Preview, "facebook", "facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)"},
	{Preview, "facebook", iPhone + "Version/17.5 Mobile/15E148 Safari/604.1 (compatible; facebookexternalhit/1.1)"},
	{Preview, "imessage", "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_11_1) AppleWebKit/601.2.4 (KHTML, like Gecko) Version/9.0.1 Safari/601.2.4 facebookexternalhit/1.1 Facebot Twitterbot/1.0"},
	{Preview, "kakaotalk", "facebookexternalhit/1.1; kakaotalk-scrap/1.0; +https://devtalk.kakao.com/t/scrap/33984"},
	{Preview, "line", "facebookexternalhit/1.1;line-poker/1.0"},
	{Preview, "x", "Twitterbot/1.0"},
	{Preview, "whatsapp", "WhatsApp/2.24.12.78 A"},
	{Preview, "whatsapp", "WhatsApp/2.24.12 i"},
	{Preview, "telegram", "TelegramBot (like TwitterBot)"},
	{Preview, "slack", "Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)"},
	{Preview, "slack", "Slack-ImgProxy (+https://api.slack.com/robots)"},
	{Preview, "discord", "Mozilla/5.0 (compatible; Discordbot/2.0; +https://discordapp.com)"},
	{Preview, "", "Mozilla/5.0 (Macintosh; Intel Mac OS X 11.6; rv:92.0) Gecko/20100101 Firefox/92.0"}, // Discord
	{Preview, "linkedin", "LinkedInBot/1.0 (compatible; Mozilla/5.0; Apache-HttpClient +http://www.linkedin.com)"},
	{Preview, "bluesky", "Mozilla/5.0 (compatible; Bluesky Cardyb/1.1; +mailto:support@bsky.app)"},
	{Preview, "pinterest", "Mozilla/5.0 (compatible; Pinterestbot/1.0; +http://www.pinterest.com/bot.html)"},
	{Preview, "reddit", "Mozilla/5.0 (compatible; redditbot/1.0; +http://www.reddit.com/feedback)"},
	{Preview, "snapchat", "Snap URL Preview Service; bot; snapchat; https://developers.snap.com/robots"},
	{Preview, "viber", "Viber/20.9.0.6"},
	{Preview, "mastodon", "http.rb/5.1.1 (Mastodon/4.2.9; +https://mastodon.social/)"},
	{Preview, "", "Mozilla/5.0 (Windows NT 6.1; WOW64) SkypeUriPreview Preview/0.5"},
	{Preview, "", "Iframely/1.3.1 (+https://iframely.com/docs/about)"},
	{Preview, "instagram", "Instagram 334.0.4.32.98 (iPhone14,5; iOS 17_5_1; en_US; en; scale=3.00; 1170x2532)"}, // the app, not its browser
	{Preview, "tiktok", "com.zhiliaoapp.musically/2023400050 (Linux; U; Android 14; en_US; SM-S921B; Build/UP1A; Cronet/TTNetVersion:1)"},
	{Preview, "x", "TwitterAndroid/10.53.0-release.1 (310530001-r-1) RMX2117/11 (realme;RMX2117;realme;RMX2117;0;;1;2016)"},

	{Bot, "", ""},
	{Bot, "", " "},
	{Bot, "", "-"},
	{Bot, "", "Mozilla/5.0"},
	{Bot, "", "Mozilla/5.0 (compatible)"},
	{Bot, "", "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"},
	{Bot, "", pixel + "Chrome/126.0.6478.61 Mobile Safari/537.36 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"},
	{Bot, "", "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm) Chrome/116.0.1938.76 Safari/537.36"},
	{Bot, "", "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; GPTBot/1.1; +https://openai.com/gptbot"},
	{Bot, "", "Mozilla/5.0 (compatible; ClaudeBot/1.0; +claudebot@anthropic.com)"},
	{Bot, "", "meta-externalagent/1.1 (+https://developers.facebook.com/docs/sharing/webmasters/crawler)"},
	{Bot, "tiktok", "Mozilla/5.0 (Linux; Android 5.0) AppleWebKit/537.36 (KHTML, like Gecko) Mobile Safari/537.36 (compatible; TikTokSpider; ttspider-feedback@tiktok.com)"},
	{Bot, "", "Mozilla/5.0 (Linux; Android 5.0) AppleWebKit/537.36 (KHTML, like Gecko) Mobile Safari/537.36 (compatible; Bytespider; spider-feedback@bytedance.com)"},
	{Bot, "", "Mozilla/5.0 (compatible; AhrefsBot/7.0; +http://ahrefs.com/robot/)"},
	{Bot, "", linux + "HeadlessChrome/126.0.0.0 Safari/537.36"},
	{Bot, "", windows + "Chrome/120.0.0.0 Safari/537.36 Playwright/1.40.0"},
	{Bot, "", linux + "Chrome/126.0.0.0 Safari/537.36 Chrome-Lighthouse"},
	{Bot, "", "Pingdom.com_bot_version_1.4_(http://www.pingdom.com/)"},
	{Bot, "", "Mozilla/5.0 (compatible; UptimeRobot/2.0; http://www.uptimerobot.com/)"},
	{Bot, "", "curl/8.5.0"},
	{Bot, "", "Wget/1.21.4"},
	{Bot, "", "python-requests/2.32.3"},
	{Bot, "", "Go-http-client/2.0"},
	{Bot, "", "axios/1.7.2"},
	{Bot, "", "okhttp/4.12.0"},
	{Bot, "", "Dalvik/2.1.0 (Linux; U; Android 14; SM-S921B Build/UP1A.231005.007)"},
	{Bot, "", "MobileSafari/8618.2.12.11.6 CFNetwork/1496.0.7 Darwin/23.5.0"},
	{Bot, "", "Mozilla/5.0 (compatible; something-new/1.0; +https://example.com/why)"},
	{Bot, "", "\x00\xff\xfe garbage \xc3\x28"},
	{Bot, "", strings.Repeat("A", 10_000)},
}

func TestParsePeople(t *testing.T) {
	agents := newAgents(t)
	for _, test := range people {
		want := Agent{Device: test.device, OS: test.os, Browser: test.browser, Platform: test.platform}
		if got := *agents.Parse([]byte(test.agent)); got != want {
			t.Errorf("%s\ngot  %+v\nwant %+v", test.agent, got, want)
		}
	}
}

func TestParsePrograms(t *testing.T) {
	agents := newAgents(t)
	for _, test := range programs {
		want := Agent{Device: "bot", OS: "other", Browser: "other", Platform: test.platform, Reasons: test.reason}
		if got := *agents.Parse([]byte(test.agent)); got != want {
			t.Errorf("%.120s\ngot  %+v\nwant %+v", test.agent, got, want)
		}
	}
}

// listedAgents are agents of the crawlers in the embedded list, by pattern.
func listedAgents(t testing.TB) []string {
	t.Helper()
	raw, err := os.ReadFile("testdata/crawlers.json")
	if err != nil {
		t.Fatal(err)
	}
	var crawlers []struct{ Pattern, Agent string }
	if err := json.Unmarshal(raw, &crawlers); err != nil {
		t.Fatal(err)
	}
	var listed []string
	for _, crawler := range crawlers {
		if crawler.Pattern != "MetaIAB Facebook" { // the list takes Facebook's in-app browser for a program
			listed = append(listed, crawler.Agent)
		}
	}
	if len(listed) < 1_400 {
		t.Fatalf("only %d agents", len(listed))
	}
	return listed
}

func TestEveryListedCrawlerIsFound(t *testing.T) {
	agents := newAgents(t)
	for _, text := range listedAgents(t) {
		if got := agents.Parse([]byte(text)); got.Reasons != Bot && got.Reasons != Preview {
			t.Errorf("%q is %+v", text, *got)
		}
	}
}

// An exception for an app is worth something only while the list has that pattern.
func TestAppPatternsAreInTheList(t *testing.T) {
	for _, pattern := range appPatterns {
		quoted, err := json.Marshal(pattern)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Contains(crawlersJSON, append([]byte(`"pattern":`), quoted...)) {
			t.Errorf("%s is not in the list of crawlers", pattern)
		}
	}
}

// The one pass over literals finds what the patterns find one by one.
func TestSignsAgreeWithPatterns(t *testing.T) {
	var crawlers []struct {
		Pattern string
		Tags    []string
	}
	if err := json.Unmarshal(crawlersJSON, &crawlers); err != nil {
		t.Fatal(err)
	}
	patterns := make([]*regexp.Regexp, len(crawlers))
	for i, crawler := range crawlers {
		patterns[i] = regexp.MustCompile(crawler.Pattern)
	}
	signs, err := newSigns()
	if err != nil {
		t.Fatal(err)
	}
	listed := listedAgents(t)
	for i := 0; i < len(listed); i += 10 { // one in ten: patterns are slow
		text := listed[i]
		var want Reasons
		for i, pattern := range patterns {
			app := slices.Contains(appPatterns, crawlers[i].Pattern) && strings.Contains(text, "AppleWebKit/")
			if app || !pattern.MatchString(text) {
				continue
			}
			if slices.Equal(crawlers[i].Tags, []string{previewTag}) {
				want |= Preview
			} else {
				want |= Bot
			}
		}
		for _, own := range ownSigns {
			if strings.Contains(text, own.token) {
				want |= own.reason
			}
		}
		if want&Preview != 0 {
			want = Preview
		}
		if _, got := signs.read(text); got != want {
			t.Errorf("%q is %v, the patterns say %v", text, got, want)
		}
	}
}

func TestTriggers(t *testing.T) {
	for pattern, want := range map[string][]string{
		`Googlebot\/`:                       {"Googlebot/"},
		`S[eE][mM]rushBot`:                  {"rushBot"},
		`(^| )PTST\/`:                       {"PTST/"},
		`Automaton|Newsify Feed Fetcher`:    {"Automaton", "Newsify Feed Fetcher"},
		`ContextualBot[\s\S]*outcomes\.net`: {"ContextualBot"},
		`^curl`:                             {"curl"},
	} {
		if got, _, err := triggersOf(pattern); err != nil || !slices.Equal(got, want) {
			t.Errorf("triggers of %s are %q, want %q (%v)", pattern, got, want, err)
		}
	}
}

func TestParseIsTheSameFromTheCache(t *testing.T) {
	agents, err := NewAgents(2) // so small that everything is thrown out all the time
	if err != nil {
		t.Fatal(err)
	}
	big := newAgents(t)
	for range 3 {
		for _, test := range people {
			if a, b := agents.Parse([]byte(test.agent)), big.Parse([]byte(test.agent)); *a != *b {
				t.Errorf("%s: %+v and %+v", test.agent, *a, *b)
			}
		}
	}
}

func TestAgentsWithOneHashAreToldApart(t *testing.T) {
	agents := newAgents(t)
	human, bot := []byte(people[0].agent), []byte("curl/8.5.0")
	const hash = 42
	for range 2 {
		if got := agents.ParseHashed(hash, bot); got.Reasons != Bot {
			t.Errorf("the bot is %+v", *got)
		}
		if got := agents.ParseHashed(hash, human); got.Reasons != 0 {
			t.Errorf("the human is %+v", *got)
		}
	}
}

func TestAgentIsKeptWhenItsTextIsOverwritten(t *testing.T) {
	agents := newAgents(t)
	text := []byte(people[0].agent)
	got := agents.Parse(text)
	want := *got
	clear(text)
	agents.Parse(text)
	if *got != want {
		t.Errorf("became %+v", *got)
	}
	if again := agents.Parse([]byte(people[0].agent)); again != got {
		t.Error("the same agent is not the same pointer")
	}
}

// closed lists what the fields of an Agent may be.
func closed() (devices, oses, browsers, names []string) {
	devices = []string{"mobile", "tablet", "desktop", "tv", "bot", "other"}
	oses, browsers, names = []string{agentOther}, []string{agentOther, inApp, silk}, []string{""}
	for _, os := range osNames {
		oses = append(oses, os)
	}
	for _, browser := range browserNames {
		browsers = append(browsers, browser)
	}
	for _, platform := range platforms {
		names = append(names, platform.name)
	}
	return devices, oses, browsers, names
}

func FuzzParseAgent(f *testing.F) {
	for _, test := range people {
		f.Add([]byte(test.agent))
	}
	for _, test := range programs {
		f.Add([]byte(test.agent))
	}
	agents, err := NewAgents(1 << 6)
	if err != nil {
		f.Fatal(err)
	}
	devices, oses, browsers, names := closed()
	f.Fuzz(func(t *testing.T, text []byte) {
		got := *agents.Parse(text)
		if !slices.Contains(devices, got.Device) || !slices.Contains(oses, got.OS) ||
			!slices.Contains(browsers, got.Browser) || !slices.Contains(names, got.Platform) {
			t.Errorf("%q: %+v is not from the closed lists", text, got)
		}
		if got.Reasons != 0 && got.Reasons != Bot && got.Reasons != Preview {
			t.Errorf("%q: reasons %v", text, got.Reasons)
		}
		if (got.Device == "bot") != (got.Reasons != 0) {
			t.Errorf("%q: %+v", text, got)
		}
	})
}

func TestPlatformsAreNamedOnce(t *testing.T) {
	seen := map[string]string{}
	for _, platform := range platforms {
		for _, key := range append([]string{"name " + platform.name}, platform.sites...) {
			if other, ok := seen[key]; ok {
				t.Errorf("%s belongs to %s and to %s", key, other, platform.name)
			}
			seen[key] = platform.name
			if !utf8.ValidString(key) || key != strings.ToLower(key) {
				t.Errorf("%q is not lower case", key)
			}
		}
	}
}
