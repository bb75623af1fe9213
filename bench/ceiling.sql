INSERT INTO clicks
(
    ts, click_id, link_id, brand_id, campaign_id, influencer_id, host, utm_source, utm_medium, utm_campaign, utm_content,
    country, platform, referrer_host, device, os, browser, language, visitor, ip_prefix, reasons, rule_version,
    valid, billable, tier, content_format, node, batch_id
)
WITH 1 + rand64(1) % {links} AS link, rand64(2) AS visitor, 1 + rand(3) % 12 AS agent
SELECT
    now64(3) + toIntervalMillisecond(intDiv(number, 100)), leftPad(toString(number), 22, 'A'), link, 1,
    (link - 1) % 100 + 1, intDiv(link - 1, 10) + 1, 'go.bench.example', 'instagram', 'influencer',
    concat('campaign-', leftPad(toString((link - 1) % 100 + 1), 3, '0')),
    concat('creator-', leftPad(toString(intDiv(link - 1, 10) + 1), 6, '0')),
    substring('USUSUSUSUSUSUSUSUSUSUSUSUSUSUSUSUSUSCNCNCNCNCNCNJPJPJPGBGBDEDEKRKRFRFRBRBRCACAITITAUNLRUTWINESMXSEPLZACHVN',
        1 + 2 * (rand(4) % 53), 2),
    ['instagram', 'instagram', 'tiktok', 'facebook', 'youtube', '', 'snapchat', 'pinterest', 'x', '', 'instagram', ''][agent],
    ['l.instagram.com', '', 'www.tiktok.com', 'lm.facebook.com', 'www.youtube.com', '', 'linktr.ee', 't.co'][1 + rand(5) % 8],
    ['mobile', 'mobile', 'mobile', 'mobile', 'mobile', 'desktop', 'mobile', 'mobile', 'mobile', 'desktop', 'tablet', 'bot'][agent],
    ['ios', 'android', 'ios', 'android', 'ios', 'windows', 'ios', 'ios', 'android', 'macos', 'ios', 'other'][agent],
    ['in-app', 'in-app', 'in-app', 'in-app', 'safari', 'chrome', 'in-app', 'in-app', 'chrome', 'safari', 'safari', 'other'][agent],
    ['en', 'en', 'de', 'fr', 'es', 'pt'][1 + rand(6) % 6], visitor,
    toIPv6(concat('::ffff:', toString(IPv4NumToString(toUInt32(bitAnd(visitor, 0xFFFFFF00)))))),
    agent = 12, 1, agent != 12, agent != 12, ['nano', 'micro', 'mid', 'macro', 'mega'][1 + rand(7) % 5], 'reel', 0,
    '{batch}'
FROM numbers({rows})
