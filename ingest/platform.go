package ingest

import "strings"

// platforms are the apps and sites that followers come from: the platform's name, the same for agents, referrers and
// imported creators; what its app writes into the agent of its in-app browser or of its own requests; its sites and
// the packages of its apps. Of several platforms whose tokens an agent contains, the first in this list has it:
// Instagram, Threads and Messenger also write Facebook's tokens, and others name Facebook's fetcher of previews.
var platforms = []struct {
	name   string
	tokens []string
	sites  []string
}{
	{"threads", []string{"Barcelona ", "MetaIAB Threads"}, []string{"threads.net", "threads.com", "com.instagram.barcelona"}},
	{"instagram", []string{"Instagram"}, []string{"instagram.com", "ig.me", "com.instagram.android"}},
	{
		"messenger",
		[]string{"MessengerForiOS", "MessengerLiteForiOS", "Orca-Android", "FB_IAB/MESSENGER", "MetaIAB Messenger"},
		[]string{"messenger.com", "m.me", "com.facebook.orca"},
	},
	{"imessage", []string{"Facebot Twitterbot"}, nil},
	{"line", []string{" Line/", "line-poker"}, []string{"line.me", "jp.naver.line.android"}},
	{"kakaotalk", []string{"KAKAOTALK", "kakaotalk-scrap"}, []string{"com.kakao.talk"}},
	{
		"facebook",
		[]string{"FBAN/", "FBAV/", "FB_IAB/", "MetaIAB", "facebookexternalhit"},
		[]string{"facebook.com", "fb.com", "fb.me", "fb.watch", "com.facebook.katana", "com.facebook.lite"},
	},
	{"douyin", []string{"aweme"}, []string{"douyin.com", "com.ss.android.ugc.aweme"}},
	{
		"tiktok",
		[]string{"musical_ly", "zhiliaoapp.musically", "trill_", "ugc.trill", "BytedanceWebview", "ByteLocale/", "TikTok"},
		[]string{"tiktok.com", "com.zhiliaoapp.musically", "com.ss.android.ugc.trill"},
	},
	{"x", []string{"TwitterAndroid", "Twitter for iP", "Twitterbot"}, []string{"x.com", "t.co", "twitter.com", "com.twitter.android"}},
	{"pinterest", []string{"Pinterest"}, []string{
		"pinterest.com", "pin.it", "com.pinterest", "pinterest.at", "pinterest.ca", "pinterest.ch", "pinterest.cl", "pinterest.co.kr",
		"pinterest.co.uk", "pinterest.com.au", "pinterest.com.mx", "pinterest.de", "pinterest.dk", "pinterest.es", "pinterest.fr",
		"pinterest.ie", "pinterest.it", "pinterest.jp", "pinterest.nz", "pinterest.ph", "pinterest.pt", "pinterest.se",
	}},
	{"snapchat", []string{"Snapchat", "SnapURLPreview", "Snap URL Preview"}, []string{"snapchat.com", "com.snapchat.android"}},
	{
		"youtube",
		[]string{"com.google.android.youtube", "com.google.ios.youtube"},
		[]string{"youtube.com", "youtu.be", "com.google.android.youtube"},
	},
	{"linkedin", []string{"LinkedInApp", "com.linkedin.", "LinkedInBot"}, []string{"linkedin.com", "lnkd.in", "com.linkedin.android"}},
	{"reddit", []string{"Reddit/", "RedditAndroid", "redditbot"}, []string{"reddit.com", "redd.it", "com.reddit.frontpage"}},
	{"whatsapp", []string{"WhatsApp", "WAiOS/", "WA4A/"}, []string{"whatsapp.com", "wa.me", "com.whatsapp"}},
	{"telegram", []string{"Telegram"}, []string{"t.me", "telegram.org", "telegram.me", "org.telegram.messenger"}},
	{"discord", []string{"Discord"}, []string{"discord.com", "discord.gg", "discordapp.com", "com.discord"}},
	{"twitch", []string{"TwitchApp", "tv.twitch."}, []string{"twitch.tv", "tv.twitch.android.app"}},
	{"bluesky", []string{"Bluesky"}, []string{"bsky.app", "xyz.blueskyweb.app"}},
	{"mastodon", []string{"Mastodon"}, []string{"mastodon.social", "joinmastodon.org"}},
	{"slack", []string{"Slackbot", "Slack-ImgProxy"}, []string{"slack.com", "com.slack"}},
	{"wechat", []string{"MicroMessenger"}, []string{"weixin.qq.com", "wechat.com", "com.tencent.mm"}},
	{"qq", []string{" QQ/"}, []string{"qq.com", "com.tencent.mobileqq"}},
	{"weibo", []string{"__weibo__", " Weibo ("}, []string{"weibo.com", "weibo.cn", "com.sina.weibo"}},
	{"kuaishou", []string{"Kwai"}, []string{"kuaishou.com", "kwai.com", "com.kwai.video"}},
	{"vk", []string{"VKAndroidApp", "com.vk."}, []string{"vk.com", "vk.ru", "com.vkontakte.android"}},
	{"viber", []string{"Viber"}, []string{"viber.com", "com.viber.voip"}},
	{"zalo", []string{"Zalo "}, []string{"zalo.me", "com.zing.zalo"}},
	{"tumblr", []string{"Tumblr"}, []string{"tumblr.com", "com.tumblr"}},
	{"quora", []string{"Quora "}, []string{"quora.com", "com.quora.android"}},
	{"spotify", []string{"Spotify/"}, []string{"spotify.com", "com.spotify.music"}},
	{"google", []string{"GSA/"}, []string{"com.google.android.googlequicksearchbox"}}, // GSA is the Google app
	{"gmail", nil, []string{"mail.google.com", "com.google.android.gm"}},

	// Pages of links that creators put into their profiles.
	{"linktree", nil, []string{"linktr.ee"}},
	{"beacons", nil, []string{"beacons.ai"}},
	{"bio-link", nil, []string{"bio.link"}},
	{"bio-site", nil, []string{"bio.site"}},
	{"campsite", nil, []string{"campsite.bio"}},
	{"komi", nil, []string{"komi.io"}},
	{"later", nil, []string{"later.com", "linkin.bio"}},
	{"lnk-bio", nil, []string{"lnk.bio"}},
	{"ltk", nil, []string{"shopltk.com", "liketoknow.it"}},
	{"milkshake", nil, []string{"msha.ke"}},
	{"stan", nil, []string{"stan.store"}},
	{"patreon", nil, []string{"patreon.com"}},
	{"substack", nil, []string{"substack.com"}},
}

// platformOther is the platform of a referrer that is on no list. An empty platform is a direct visit.
const platformOther = "other"

// sourceNames are the sources of the embedded list of sites that platforms calls otherwise.
var sourceNames = map[string]string{"Twitter": "x", "Vkontakte": "vk"}

// platformOf is the platform of a source in the embedded list of sites: its name in lower case, with hyphens for
// everything but letters and digits.
func platformOf(source string) string {
	if name, ok := sourceNames[source]; ok {
		return name
	}
	words := strings.FieldsFunc(strings.ToLower(source), func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9')
	})
	return strings.Join(words, "-")
}
