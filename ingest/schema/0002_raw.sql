-- +goose Up

-- Every request that resolves to a link, one row each; none is thrown away for being a bot.
-- Sorted for the reports' filters and for finding the click of a conversion, which knows
-- (brand, campaign, influencer, ts) from the click id alone. Partitions are weeks: few enough for years of
-- history, small enough to rebuild a rollup's week from raw. A batch never crosses one.
CREATE TABLE IF NOT EXISTS clicks
(
    ts                  DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    click_id            FixedString(22) COMMENT '22 base64url characters, as sent to the destination' CODEC(ZSTD(1)),
    link_id             UInt32 CODEC(ZSTD(1)),
    brand_id            UInt32 CODEC(ZSTD(1)),
    campaign_id         UInt32 CODEC(ZSTD(1)),
    influencer_id       UInt32 CODEC(ZSTD(1)),
    host                LowCardinality(String),
    slug                String COMMENT 'vanity path the request used, empty for a signed code' CODEC(ZSTD(1)),
    utm_source          LowCardinality(String),
    utm_medium          LowCardinality(String),
    utm_campaign        LowCardinality(String),
    utm_term            String CODEC(ZSTD(1)),
    utm_content         String CODEC(ZSTD(1)),
    utm_id              String CODEC(ZSTD(1)),
    utm_source_platform LowCardinality(String),
    utm_creative_format LowCardinality(String),
    sub1                String CODEC(ZSTD(1)),
    sub2                String CODEC(ZSTD(1)),
    sub3                String CODEC(ZSTD(1)),
    sub4                String CODEC(ZSTD(1)),
    sub5                String CODEC(ZSTD(1)),
    country             LowCardinality(String) COMMENT 'ISO 3166-1 alpha-2, empty = not known',
    region              LowCardinality(String),
    city                LowCardinality(String),
    asn                 UInt32 CODEC(ZSTD(1)),
    as_org              LowCardinality(String),
    platform            LowCardinality(String) COMMENT 'in-app browser or referrer: instagram, tiktok, …; empty = direct',
    referrer_host       LowCardinality(String),
    device              LowCardinality(String) COMMENT 'mobile, tablet, desktop, tv, bot, other',
    os                  LowCardinality(String),
    browser             LowCardinality(String),
    language            LowCardinality(String) COMMENT 'first of Accept-Language, primary subtag',
    visitor             UInt64 COMMENT 'keyed hash of address and agent, key changes daily and is erased' CODEC(ZSTD(1)),
    ip_prefix           IPv6 COMMENT 'IPv4 /24 (as ::ffff:a.b.c.0) or IPv6 /48' CODEC(ZSTD(1)),
    reasons             UInt32 COMMENT 'bit set, see reason_names' CODEC(ZSTD(1)),
    rule_version        UInt16 CODEC(ZSTD(1)),
    valid               UInt8 COMMENT 'no reason but duplicate' CODEC(ZSTD(1)),
    billable            UInt8 COMMENT 'no reason at all' CODEC(ZSTD(1)),
    tier                LowCardinality(String) COMMENT 'influencer tier at click time',
    content_format      LowCardinality(String) COMMENT 'link format at click time',
    node                UInt16 CODEC(ZSTD(1)),
    batch_id            LowCardinality(String) COMMENT 'the insert this row came in',
    reason_names        Array(String) ALIAS arrayFilter(n -> n != '', [
        if(bitTest(reasons, 0), 'bot', ''), if(bitTest(reasons, 1), 'preview', ''),
        if(bitTest(reasons, 2), 'datacenter', ''), if(bitTest(reasons, 3), 'prefetch', ''),
        if(bitTest(reasons, 4), 'head', ''), if(bitTest(reasons, 5), 'duplicate', ''),
        if(bitTest(reasons, 6), 'expired', ''), if(bitTest(reasons, 7), 'disabled', ''),
        if(bitTest(reasons, 8), 'rate', '')])
)
ENGINE = MergeTree
PARTITION BY toMonday(ts)
ORDER BY (brand_id, campaign_id, influencer_id, ts)
TTL toDateTime(ts) + INTERVAL 400 DAY
SETTINGS non_replicated_deduplication_window = 10000, ttl_only_drop_parts = 1;

-- Every conversion message that was accepted, repeats included; rollups and views count each
-- (brand, event, txid) once, the first received.
CREATE TABLE IF NOT EXISTS conversions
(
    received      DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    ts            DateTime64(3, 'UTC') COMMENT 'when it happened; received where the sender names no time' CODEC(Delta, ZSTD(1)),
    brand_id      UInt32,
    campaign_id   UInt32,
    influencer_id UInt32,
    link_id       UInt32,
    click_id      String COMMENT 'empty where a coupon attributes it' CODEC(ZSTD(1)),
    click_ts      DateTime64(3, 'UTC') COMMENT 'from the click id; ts where a coupon attributes it' CODEC(Delta, ZSTD(1)),
    event         LowCardinality(String),
    txid          String COMMENT 'the click id where the sender names none' CODEC(ZSTD(1)),
    ref_txid      String COMMENT 'the sale that a refund belongs to' CODEC(ZSTD(1)),
    amount        Decimal(18, 4),
    currency      LowCardinality(String) COMMENT 'the brand''s',
    customer_id   String CODEC(ZSTD(1)),
    coupon        String CODEC(ZSTD(1)),
    status        Enum8('pending' = 1, 'approved' = 2, 'rejected' = 3),
    source        Enum8('postback' = 1, 'pixel' = 2, 'import' = 3),
    signed        Bool,
    node          UInt16,
    batch_id      LowCardinality(String)
)
ENGINE = MergeTree
PARTITION BY toMonday(received)
ORDER BY (brand_id, event, txid, received)
TTL toDateTime(received) + INTERVAL 1200 DAY
SETTINGS non_replicated_deduplication_window = 10000, ttl_only_drop_parts = 1;

-- What each node says it did. A row is true at one point, the end of batch `batch`; within one spool and hour the
-- row with the highest `batch` is the newest and its counts are totals since the spool began that hour.
CREATE TABLE IF NOT EXISTS node_ledger
(
    hour     DateTime('UTC') COMMENT 'hour of the clicks counted, not of the writing',
    node     UInt16,
    spool    String COMMENT 'identity of the ring or spool that counted',
    batch    UInt64 COMMENT 'last batch covered',
    written  DateTime64(3, 'UTC'),
    accepted UInt64,
    waiting  UInt64 COMMENT 'accepted, not yet acknowledged by ClickHouse',
    dropped  Map(LowCardinality(String), UInt64) COMMENT 'by reason'
)
ENGINE = ReplacingMergeTree(batch)
PARTITION BY toYYYYMM(hour)
ORDER BY (hour, node, spool)
TTL hour + INTERVAL 1200 DAY
SETTINGS non_replicated_deduplication_window = 10000;

-- +goose Down
SELECT 'raw tables are never dropped by a migration';
