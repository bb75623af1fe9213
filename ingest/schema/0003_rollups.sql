-- +goose Up

-- Rollups: aggregate states that merge, kept by materialized views as clicks and conversions arrive. A row is a
-- partial sum: readers always group. Partitions are the weeks of the raw table, so a week can be rebuilt from raw
-- alone. Every rollup remembers the tokens of its last inserts: a batch sent twice counts once here as in raw.
-- The views run as the user who made them: an edge may insert clicks without the right to read them.
--
-- What a view costs is its number of distinct groups per inserted block. Seconds of CPU per million rows in blocks of
-- 100 000, for 1 000 creators and for 100 000 links hit evenly; the raw table alone takes 0.9:
--   clicks_by_influencer_daily 0.14, 0.41; without unique 0.05, 0.21
--   clicks_by_utm_hourly       0.21, 0.69
--   clicks_by_geo_daily        0.24, 0.74; without unique 0.13, 0.42
--   clicks_by_device_daily     0.14, 0.14; per creator instead of per campaign 0.28, 0.48
--   clicks_by_batch            0.05, 0.05
--   all                        0.79, 2.4
-- That is with optimize_on_insert = 0, since a view's block holds each group once; without it all take 0.97 and 3.3.
-- Tried and left out: the daily view fed by the hourly one (0.30 for both against 0.34 apart, but 1.27 against 1.0
-- where groups are no fewer than rows); uniq instead of uniqCombined64 (up to 0.07 more); a precision of 12 bits
-- (nothing at insert); a hash of the texts as the key (0.1 to 0.4 more).

CREATE TABLE IF NOT EXISTS clicks_by_influencer_daily
(
    day           Date,
    brand_id      UInt32,
    campaign_id   UInt32,
    influencer_id UInt32,
    tier          LowCardinality(String) COMMENT 'at click time',
    gross         SimpleAggregateFunction(sum, UInt64) COMMENT 'all clicks',
    valid         SimpleAggregateFunction(sum, UInt64) COMMENT 'no reason but duplicate',
    billable      SimpleAggregateFunction(sum, UInt64) COMMENT 'no reason at all',
    previews      SimpleAggregateFunction(sum, UInt64) COMMENT 'fetched by a link preview',
    visitors      AggregateFunction(uniqCombined64, UInt64) COMMENT 'distinct visitors among the valid'
)
ENGINE = AggregatingMergeTree
PARTITION BY toMonday(day)
ORDER BY (brand_id, campaign_id, influencer_id, day, tier)
SETTINGS non_replicated_deduplication_window = 10000;

CREATE MATERIALIZED VIEW IF NOT EXISTS clicks_by_influencer_daily_mv TO clicks_by_influencer_daily
DEFINER = CURRENT_USER SQL SECURITY DEFINER AS
SELECT
    toDate(ts) AS day, brand_id, campaign_id, influencer_id, tier,
    count() AS gross,
    sum(clicks.valid) AS valid,
    sum(clicks.billable) AS billable,
    countIf(bitTest(reasons, 1)) AS previews,
    uniqCombined64StateIf(visitor, clicks.valid) AS visitors
FROM clicks
GROUP BY day, brand_id, campaign_id, influencer_id, tier;

CREATE TABLE IF NOT EXISTS clicks_by_utm_hourly
(
    hour          DateTime('UTC'),
    brand_id      UInt32,
    campaign_id   UInt32,
    influencer_id UInt32,
    utm_source    LowCardinality(String),
    utm_medium    LowCardinality(String),
    utm_campaign  LowCardinality(String),
    utm_content   String,
    utm_term      String,
    gross         SimpleAggregateFunction(sum, UInt64),
    valid         SimpleAggregateFunction(sum, UInt64),
    billable      SimpleAggregateFunction(sum, UInt64),
    visitors      AggregateFunction(uniqCombined64, UInt64)
)
ENGINE = AggregatingMergeTree
PARTITION BY toMonday(hour)
ORDER BY (brand_id, campaign_id, influencer_id, hour, utm_source, utm_medium, utm_campaign, utm_content, utm_term)
SETTINGS non_replicated_deduplication_window = 10000;

CREATE MATERIALIZED VIEW IF NOT EXISTS clicks_by_utm_hourly_mv TO clicks_by_utm_hourly
DEFINER = CURRENT_USER SQL SECURITY DEFINER AS
SELECT
    toStartOfHour(ts) AS hour, brand_id, campaign_id, influencer_id,
    utm_source, utm_medium, utm_campaign, utm_content, utm_term,
    count() AS gross,
    sum(clicks.valid) AS valid,
    sum(clicks.billable) AS billable,
    uniqCombined64StateIf(visitor, clicks.valid) AS visitors
FROM clicks
GROUP BY hour, brand_id, campaign_id, influencer_id, utm_source, utm_medium, utm_campaign, utm_content, utm_term;

CREATE TABLE IF NOT EXISTS clicks_by_geo_daily
(
    day           Date,
    brand_id      UInt32,
    campaign_id   UInt32,
    influencer_id UInt32,
    country       LowCardinality(String),
    region        LowCardinality(String),
    city          LowCardinality(String),
    gross         SimpleAggregateFunction(sum, UInt64),
    valid         SimpleAggregateFunction(sum, UInt64),
    billable      SimpleAggregateFunction(sum, UInt64),
    visitors      AggregateFunction(uniqCombined64, UInt64)
)
ENGINE = AggregatingMergeTree
PARTITION BY toMonday(day)
ORDER BY (brand_id, campaign_id, influencer_id, day, country, region, city)
SETTINGS non_replicated_deduplication_window = 10000;

CREATE MATERIALIZED VIEW IF NOT EXISTS clicks_by_geo_daily_mv TO clicks_by_geo_daily
DEFINER = CURRENT_USER SQL SECURITY DEFINER AS
SELECT
    toDate(ts) AS day, brand_id, campaign_id, influencer_id, country, region, city,
    count() AS gross,
    sum(clicks.valid) AS valid,
    sum(clicks.billable) AS billable,
    uniqCombined64StateIf(visitor, clicks.valid) AS visitors
FROM clicks
GROUP BY day, brand_id, campaign_id, influencer_id, country, region, city;

-- Per campaign: what one creator's followers use is read from clicks, whose order serves it.
CREATE TABLE IF NOT EXISTS clicks_by_device_daily
(
    day         Date,
    brand_id    UInt32,
    campaign_id UInt32,
    platform    LowCardinality(String) COMMENT 'in-app browser or referrer',
    device      LowCardinality(String),
    os          LowCardinality(String),
    browser     LowCardinality(String),
    gross       SimpleAggregateFunction(sum, UInt64),
    valid       SimpleAggregateFunction(sum, UInt64),
    billable    SimpleAggregateFunction(sum, UInt64)
)
ENGINE = AggregatingMergeTree
PARTITION BY toMonday(day)
ORDER BY (brand_id, campaign_id, day, platform, device, os, browser)
SETTINGS non_replicated_deduplication_window = 10000;

CREATE MATERIALIZED VIEW IF NOT EXISTS clicks_by_device_daily_mv TO clicks_by_device_daily
DEFINER = CURRENT_USER SQL SECURITY DEFINER AS
SELECT
    toDate(ts) AS day, brand_id, campaign_id, platform, device, os, browser,
    count() AS gross,
    sum(clicks.valid) AS valid,
    sum(clicks.billable) AS billable
FROM clicks
GROUP BY day, brand_id, campaign_id, platform, device, os, browser;

-- What ClickHouse holds of each batch: the ledger's `stored`, which outlives the raw rows.
CREATE TABLE IF NOT EXISTS clicks_by_batch
(
    hour     DateTime('UTC'),
    node     UInt16,
    batch_id LowCardinality(String) COMMENT '<spool, 16 hex characters>-<batch number, decimal>',
    rows     SimpleAggregateFunction(sum, UInt64)
)
ENGINE = AggregatingMergeTree
PARTITION BY toMonday(hour)
ORDER BY (batch_id, hour, node)
SETTINGS non_replicated_deduplication_window = 10000;

CREATE MATERIALIZED VIEW IF NOT EXISTS clicks_by_batch_mv TO clicks_by_batch
DEFINER = CURRENT_USER SQL SECURITY DEFINER AS
SELECT toStartOfHour(ts) AS hour, node, batch_id, count() AS rows
FROM clicks
GROUP BY hour, node, batch_id;

-- What is known of each conversion, by creator and day received. Money cannot be summed at insert, for a repeat may
-- come in any batch, from any node, under another creator: `first` is the message that stands, the earliest
-- received, `last` the newest word on its status. What is newest, the time of sending says, which the signature covers: an
-- older message that comes again, late or replayed, changes nothing. Of two words of one second the worse for the
-- creator holds. Both are whole tuples compared from the left, so any order of merging gives the same answer. Readers group by (brand_id, event, txid, signed), as the
-- view conversions_once does.
CREATE TABLE IF NOT EXISTS conversions_by_influencer_daily
(
    day           Date COMMENT 'day received',
    brand_id      UInt32,
    campaign_id   UInt32,
    influencer_id UInt32,
    event         LowCardinality(String),
    txid          String,
    signed        Bool,
    first         SimpleAggregateFunction(min, Tuple(
        received      DateTime64(3, 'UTC'),
        campaign_id   UInt32,
        influencer_id UInt32,
        link_id       UInt32,
        click_id      String,
        click_ts      DateTime64(3, 'UTC'),
        ts            DateTime64(3, 'UTC'),
        ref_txid      String,
        amount        Decimal(18, 4),
        currency      String,
        customer_id   String,
        status        Enum8('pending' = 1, 'approved' = 2, 'rejected' = 3))),
    last          SimpleAggregateFunction(max, Tuple(
        sent          DateTime64(3, 'UTC'),
        status        Enum8('pending' = 1, 'approved' = 2, 'rejected' = 3),
        received      DateTime64(3, 'UTC'))),
    messages      SimpleAggregateFunction(sum, UInt64) COMMENT 'repeats included'
)
ENGINE = AggregatingMergeTree
PARTITION BY toMonday(day)
ORDER BY (brand_id, campaign_id, influencer_id, day, event, txid, signed)
SETTINGS non_replicated_deduplication_window = 10000;

CREATE MATERIALIZED VIEW IF NOT EXISTS conversions_by_influencer_daily_mv TO conversions_by_influencer_daily
DEFINER = CURRENT_USER SQL SECURITY DEFINER AS
SELECT
    toDate(received) AS day, brand_id, campaign_id, influencer_id, event, txid, signed,
    min((received, campaign_id, influencer_id, link_id, click_id, click_ts, ts, ref_txid, amount, currency,
        customer_id, status)) AS first,
    max((if(source = 'import', received, ts), status, received)) AS last,
    count() AS messages
FROM conversions
GROUP BY day, brand_id, campaign_id, influencer_id, event, txid, signed;

-- +goose Down
SELECT 'rollups are never dropped by a migration';
