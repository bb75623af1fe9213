-- +goose Up

-- Reference data. One control process writes every row here; edges and analysts only read.
-- A change is a new row with a higher version (one counter for the whole installation, never reused);
-- readers take the newest with FINAL. Numeric ids are dense, start at 1 and are never reused.

CREATE TABLE IF NOT EXISTS brands
(
    brand_id          UInt32,
    brand             String COMMENT 'the key people write',
    name              String,
    currency          LowCardinality(String) COMMENT 'ISO 4217; every money column of a report is in it',
    timezone          LowCardinality(String) DEFAULT 'UTC',
    attribution_days  UInt16 DEFAULT 30 COMMENT 'a conversion later than this after its click is refused',
    hold_days         UInt16 DEFAULT 30,
    unsigned_pixel    Bool DEFAULT false COMMENT 'accept browser pixels without a signature, kept apart in reports',
    destination_hosts Array(String) COMMENT 'when not empty, the only hosts a destination may name',
    app_schemes       Array(String) COMMENT 'app URL schemes a destination may use besides http and https',
    deleted           Bool DEFAULT false,
    version           UInt64,
    updated           DateTime64(3, 'UTC')
)
ENGINE = ReplacingMergeTree(version)
ORDER BY brand_id;

CREATE TABLE IF NOT EXISTS domains
(
    domain_id     UInt32,
    host          String COMMENT 'lower case, punycode, no port, no trailing dot',
    brand_id      UInt32,
    home_url      String COMMENT 'answer to /',
    fallback_url  String COMMENT 'answer to an expired or disabled link',
    not_found_url String COMMENT 'answer to an unknown code',
    vanity        Enum8('open' = 0, 'signed' = 1) COMMENT 'signed: a slug needs its ~xxxxxx suffix',
    is_default    Bool DEFAULT false COMMENT 'the brand''s domain where a link names none',
    deleted       Bool DEFAULT false,
    version       UInt64,
    updated       DateTime64(3, 'UTC')
)
ENGINE = ReplacingMergeTree(version)
ORDER BY domain_id;

CREATE TABLE IF NOT EXISTS influencers
(
    influencer_id UInt32,
    influencer    String COMMENT 'the key people write',
    name          String,
    platform      LowCardinality(String) COMMENT 'home platform: instagram, tiktok, youtube, …',
    handle        String,
    followers     UInt64 COMMENT 'newest snapshot; history in influencer_followers',
    country       LowCardinality(String) COMMENT 'ISO 3166-1 alpha-2',
    niche         LowCardinality(String),
    enabled       Bool DEFAULT true COMMENT 'false stops every link of the creator',
    deleted       Bool DEFAULT false,
    version       UInt64,
    updated       DateTime64(3, 'UTC')
)
ENGINE = ReplacingMergeTree(version)
ORDER BY influencer_id;

-- One row per influencer and day on which a follower count was stated.
CREATE TABLE IF NOT EXISTS influencer_followers
(
    influencer_id UInt32,
    as_of         Date,
    followers     UInt64,
    version       UInt64
)
ENGINE = ReplacingMergeTree(version)
ORDER BY (influencer_id, as_of);

CREATE TABLE IF NOT EXISTS campaigns
(
    campaign_id     UInt32,
    campaign        String COMMENT 'the key people write, unique within the brand',
    brand_id        UInt32,
    name            String,
    destination     String COMMENT 'checked absolute URL',
    goal            LowCardinality(String),
    target_audience String,
    niche           LowCardinality(String),
    starts          DateTime('UTC') COMMENT '1970-01-01 = no start',
    ends            DateTime('UTC') COMMENT '1970-01-01 = no end',
    utm_source      String COMMENT 'template: {brand} {campaign} {influencer} {link} {platform} {content_format}',
    utm_medium      String,
    utm_campaign    String,
    utm_content     String,
    utm_term        String,
    click_id_param  LowCardinality(String) DEFAULT 'click_id',
    enabled         Bool DEFAULT true,
    deleted         Bool DEFAULT false,
    version         UInt64,
    updated         DateTime64(3, 'UTC')
)
ENGINE = ReplacingMergeTree(version)
ORDER BY campaign_id;

CREATE TABLE IF NOT EXISTS links
(
    link_id           UInt32 COMMENT '30 bits, the number inside the signed code',
    link              String COMMENT 'the key people write, unique within the brand',
    brand_id          UInt32,
    campaign_id       UInt32 COMMENT 'never changes',
    influencer_id     UInt32 COMMENT 'never changes',
    domain_id         UInt32 COMMENT 'never changes',
    key_id            UInt8 COMMENT 'signing key slot 0-3, fixed when minted',
    slug              String COMMENT 'vanity path, empty = none',
    coupon            String,
    destination       String COMMENT 'empty = the campaign''s',
    utm_source        String COMMENT 'empty = the campaign''s template, as the four below',
    utm_medium        String,
    utm_campaign      String,
    utm_content       String,
    utm_term          String,
    content_format    LowCardinality(String),
    integration_style LowCardinality(String),
    has_cta           Bool DEFAULT false,
    faceless          Bool DEFAULT false,
    deal              LowCardinality(String),
    fee               Decimal(18, 4) COMMENT 'counts once, on the day the link starts',
    product_cost      Decimal(18, 4),
    currency          LowCardinality(String),
    post_url          String,
    rules             String,
    starts            DateTime('UTC') COMMENT 'never 1970: the day the link was minted where the file names none',
    expires           DateTime('UTC') COMMENT '1970-01-01 = never',
    fallback_url      String,
    enabled           Bool DEFAULT true,
    deleted           Bool DEFAULT false,
    version           UInt64,
    updated           DateTime64(3, 'UTC'),
    INDEX link_version version TYPE minmax GRANULARITY 1,
    INDEX link_key link TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX link_slug slug TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX link_campaign campaign_id TYPE set(64) GRANULARITY 1
)
ENGINE = ReplacingMergeTree(version)
ORDER BY link_id;

-- How a creator earns. The most specific live rule wins: influencer, then tier, then campaign.
CREATE TABLE IF NOT EXISTS commission_rules
(
    rule_id       UInt32,
    campaign_id   UInt32,
    influencer_id UInt32 COMMENT '0 = any',
    tier          LowCardinality(String) COMMENT 'empty = any',
    event         LowCardinality(String) DEFAULT 'sale',
    model         Enum8('percent' = 1, 'cpa' = 2, 'cpc' = 3, 'tiered' = 4, 'flat' = 5),
    rate          Decimal(9, 6) COMMENT 'percent and tiered: 0.10 = 10 %',
    amount        Decimal(18, 4) COMMENT 'cpa, cpc, flat: money per event, click, or once',
    currency      LowCardinality(String),
    threshold     Decimal(18, 4) COMMENT 'tiered: net revenue from which rate holds',
    starts        DateTime('UTC'),
    ends          DateTime('UTC') COMMENT '1970-01-01 = no end',
    deleted       Bool DEFAULT false,
    version       UInt64,
    updated       DateTime64(3, 'UTC')
)
ENGINE = ReplacingMergeTree(version)
ORDER BY rule_id;

-- What a creator's post itself earned, imported: one row per link and day on which it was stated.
CREATE TABLE IF NOT EXISTS posts
(
    link_id     UInt32,
    as_of       Date,
    likes       UInt64,
    comments    UInt64,
    shares      UInt64,
    reach       UInt64,
    impressions UInt64,
    version     UInt64
)
ENGINE = ReplacingMergeTree(version)
ORDER BY (link_id, as_of);

-- Sealed secrets (AES-256-GCM under the cluster secret file). No analyst may read this table.
CREATE TABLE IF NOT EXISTS keys
(
    brand_id UInt32 COMMENT '0 = the cluster''s',
    kind     Enum8('code' = 1, 'postback' = 2, 'click_id' = 3, 'visitor' = 4),
    key_id   String COMMENT 'code: slot 0-3',
    sealed   String,
    state    Enum8('active' = 1, 'verify' = 2, 'retired' = 3) COMMENT 'active mints, verify only checks, retired is unknown',
    created  DateTime('UTC'),
    version  UInt64,
    updated  DateTime64(3, 'UTC')
)
ENGINE = ReplacingMergeTree(version)
ORDER BY (brand_id, kind, key_id);

-- API tokens, SHA-256 of the token only.
CREATE TABLE IF NOT EXISTS tokens
(
    token_id String,
    hash     String,
    name     String,
    brands   Array(UInt32) COMMENT 'empty = all',
    role     Enum8('admin' = 1, 'editor' = 2, 'analyst' = 3),
    created  DateTime('UTC'),
    revoked  Bool DEFAULT false,
    version  UInt64
)
ENGINE = ReplacingMergeTree(version)
ORDER BY token_id;

-- +goose Down
SELECT 'reference tables are never dropped by a migration';
