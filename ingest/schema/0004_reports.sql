-- +goose Up

-- Two floors. The views named *_facts hold rows with additive measures, states that merge and the keys people write;
-- the views named report_* group them into finished numbers, and `carom report` groups them by what it was asked.

-- Each conversion once: (brand, event, txid) as first received, with its newest status. Unsigned browser pixels are
-- apart (signed = false), so a pixel can neither replace a postback nor count as money.
-- Pending and approved conversions count, rejected ones earn nothing; a refund is no conversion.
CREATE VIEW IF NOT EXISTS conversions_once AS
SELECT
    brand_id, event, txid, signed,
    message.received AS received,
    message.campaign_id AS campaign_id,
    message.influencer_id AS influencer_id,
    message.link_id AS link_id,
    message.click_id AS click_id,
    message.click_ts AS click_ts,
    message.ts AS ts,
    message.ref_txid AS ref_txid,
    message.amount AS amount,
    message.currency AS currency,
    message.customer_id AS customer_id,
    message.status AS first_status,
    status,
    messages,
    signed AND status != 'rejected' AS earns,
    toUInt64(earns AND event != 'refund') AS conversions,
    if(earns AND event != 'refund', amount, 0) AS revenue,
    if(earns AND event = 'refund', amount, 0) AS refunds
FROM
(
    SELECT
        brand_id, event, txid, signed,
        min(first) AS message,
        max(last).status AS status,
        sum(conversions_by_influencer_daily.messages) AS messages
    FROM conversions_by_influencer_daily
    GROUP BY brand_id, event, txid, signed
);

-- The commission rules of a campaign, the most specific first: influencer, then tier, then campaign; among equals
-- the one that starts last. A rule is live from the UTC day it starts to the UTC day it ends, and competes only with
-- rules that pay for the same: an event (percent, cpa), a click (cpc), or once (flat).
CREATE VIEW IF NOT EXISTS campaign_rules AS
SELECT
    campaign_id,
    arrayReverseSort(r -> (r.influencer_id != 0, r.tier != '', r.starts, r.rule_id), groupArray(rule)) AS rules
FROM
(
    SELECT
        campaign_id,
        CAST((rule_id, influencer_id, tier,
            multiIf(model = 'cpc', ('click', ''), model = 'flat', ('once', ''), ('event', event)),
            if(model = 'percent', rate, 0), if(model = 'percent', 0, amount),
            toDate(starts), if(ends = 0, toDate('2149-06-06'), toDate(ends - 1) + 1)),
            'Tuple(rule_id UInt32, influencer_id UInt32, tier String, pays Tuple(String, String),
                rate Decimal(9, 6), amount Decimal(18, 4), starts Date, until Date)') AS rule
    FROM commission_rules FINAL
    WHERE NOT deleted
)
GROUP BY campaign_id;

-- The tier a creator had from a day on; before the first follower count that was stated with a day, the newest.
CREATE VIEW IF NOT EXISTS influencer_tiers AS
SELECT
    influencer_id, day,
    multiIf(followers < 1000, 'unranked', followers < 10000, 'nano', followers < 50000, 'micro',
        followers < 100000, 'mid', followers < 1000000, 'macro', 'mega') AS tier
FROM
(
    SELECT influencer_id, as_of AS day, followers FROM influencer_followers FINAL
    UNION ALL
    SELECT influencer_id, toDate(0) AS day, followers FROM influencers FINAL
);

-- What a creator brought and cost by day, beside clicks: conversions on the day of their click, fee and product on
-- the day the link starts, a flat commission on the first day when both its rule and a link of the creator in the
-- campaign have started. A refund stands under the event it takes back from. Rows of a flat commission name its rule.
CREATE VIEW IF NOT EXISTS influencer_money AS
SELECT
    toDate(click_ts) AS day, brand_id, campaign_id, influencer_id,
    if(event = 'refund', 'sale', event) AS rule_event,
    sum(conversions_once.conversions) AS conversions,
    sum(conversions_once.revenue) AS revenue,
    sum(conversions_once.refunds) AS refunds,
    countIf((brand_id, event, txid) IN
    (
        SELECT brand_id, 'sale', argMin(txid, (ts, received, txid))
        FROM conversions_once
        WHERE earns AND event = 'sale' AND status = 'approved' AND customer_id != ''
        GROUP BY brand_id, customer_id
    )) AS new_customers,
    toDecimal128(0, 4) AS fee,
    toDecimal128(0, 4) AS product_cost,
    toUInt32(0) AS flat_rule
FROM conversions_once
WHERE earns
GROUP BY day, brand_id, campaign_id, influencer_id, rule_event
UNION ALL
SELECT
    toDate(starts) AS day, brand_id, campaign_id, influencer_id, '' AS rule_event, 0, 0, 0, 0, fee, product_cost, 0
FROM links FINAL
WHERE fee != 0 OR product_cost != 0
UNION ALL
SELECT
    greatest(min(toDate(links.starts)), toDate(rule.starts)) AS day, brand_id, campaign_id, influencer_id, '' AS rule_event,
    0, 0, 0, 0, 0, 0, rule.rule_id
FROM links FINAL
INNER JOIN
(
    SELECT * FROM commission_rules FINAL WHERE model = 'flat' AND NOT deleted
) AS rule ON rule.campaign_id = links.campaign_id
WHERE rule.influencer_id IN (0, links.influencer_id)
GROUP BY brand_id, campaign_id, influencer_id, rule.rule_id, rule.starts;

-- Creators by day with every additive measure. A conversion stands under the tier that the creator's clicks of that
-- day had, and under the creator's tier of that day where there were none. Commission is rounded here, per row, so
-- that all reports above add up alike: percent of revenue less refunds, cpa per conversion, cpc per billable click.
CREATE VIEW IF NOT EXISTS influencer_facts AS
WITH
    pays -> arrayFirst(r -> r.pays = pays
        AND (r.influencer_id = 0 OR r.influencer_id = facts.influencer_id) AND (r.tier = '' OR r.tier = facts.tier)
        AND day >= r.starts AND day < r.until, rules) AS rule_of,
    rule_of(('event', rule_event)) AS event_rule,
    rule_of(('click', '')) AS click_rule,
    rule_of(('once', '')) AS once_rule
SELECT
    day, brand_id, campaign_id, influencer_id,
    brand, campaign, influencer, tier, platform,
    gross, valid, visitors, billable, previews,
    conversions, revenue, refunds,
    toDecimal128(round((revenue - refunds) * event_rule.rate, 4), 4) + conversions * event_rule.amount
        + billable * click_rule.amount
        + if(flat_rule = 0, 0, once_rule.amount) AS commission,
    fee, product_cost, new_customers, currency
FROM
(
    SELECT
        day, brand_id, campaign_id, influencer_id, tier, '' AS rule_event,
        gross, valid, visitors, billable, previews,
        toUInt64(0) AS conversions, toDecimal128(0, 4) AS revenue, toDecimal128(0, 4) AS refunds,
        toUInt64(0) AS new_customers, toDecimal128(0, 4) AS fee, toDecimal128(0, 4) AS product_cost,
        toUInt32(0) AS flat_rule
    FROM clicks_by_influencer_daily
    UNION ALL
    SELECT
        day, brand_id, campaign_id, influencer_id,
        if(clicked.tier != '', clicked.tier, stated.tier) AS tier, rule_event,
        0, 0, arrayReduce('uniqCombined64State', CAST([], 'Array(UInt64)')), 0, 0,
        conversions, revenue, refunds, new_customers, fee, product_cost, flat_rule
    FROM influencer_money AS money
    ASOF LEFT JOIN influencer_tiers AS stated USING (influencer_id, day)
    LEFT ANY JOIN
    (
        SELECT day, brand_id, campaign_id, influencer_id, max(tier) AS tier
        FROM clicks_by_influencer_daily
        GROUP BY day, brand_id, campaign_id, influencer_id
    ) AS clicked USING (day, brand_id, campaign_id, influencer_id)
) AS facts
LEFT ANY JOIN campaign_rules USING (campaign_id)
LEFT ANY JOIN (SELECT brand_id, brand, currency FROM brands FINAL) AS b USING (brand_id)
LEFT ANY JOIN (SELECT campaign_id, campaign FROM campaigns FINAL) AS c USING (campaign_id)
LEFT ANY JOIN (SELECT influencer_id, influencer, platform FROM influencers FINAL) AS i USING (influencer_id)
WHERE flat_rule = 0 OR flat_rule = once_rule.rule_id;

-- Conversions with the country and UTM of their click, looked up by the primary key of clicks whenever it lands. Where
-- there is none (a coupon, a click past its retention) both stay empty and the conversion still counts. The join names
-- the whole key so that a reader's days and brands narrow the search for clicks, too.
CREATE VIEW IF NOT EXISTS conversion_clicks AS
SELECT
    brand_id, campaign_id, influencer_id, click_ts, conversions, revenue,
    country, region, city, utm_source, utm_medium, utm_campaign, utm_content, utm_term
FROM (SELECT * FROM conversions_once WHERE conversions > 0) AS once
LEFT ANY JOIN
(
    SELECT
        brand_id, campaign_id, influencer_id, ts AS click_ts, toString(clicks.click_id) AS click_id,
        country, region, city, utm_source, utm_medium, utm_campaign, utm_content, utm_term
    FROM clicks
    WHERE (brand_id, campaign_id, influencer_id, ts) IN
    (
        SELECT brand_id, campaign_id, influencer_id, click_ts
        FROM conversions_once
        WHERE conversions > 0 AND click_id != ''
    )
) AS click USING (brand_id, campaign_id, influencer_id, click_ts, click_id);

CREATE VIEW IF NOT EXISTS utm_facts AS
SELECT
    hour, brand_id, campaign_id, influencer_id,
    brand, campaign, influencer, utm_source, utm_medium, utm_campaign, utm_content, utm_term,
    gross, valid, visitors, billable, conversions, revenue, currency
FROM
(
    SELECT
        hour, brand_id, campaign_id, influencer_id, utm_source, utm_medium, utm_campaign, utm_content, utm_term,
        gross, valid, visitors, billable, toUInt64(0) AS conversions, toDecimal64(0, 4) AS revenue
    FROM clicks_by_utm_hourly
    UNION ALL
    SELECT
        toStartOfHour(click_ts) AS hour, brand_id, campaign_id, influencer_id,
        utm_source, utm_medium, utm_campaign, utm_content, utm_term,
        0, 0, arrayReduce('uniqCombined64State', CAST([], 'Array(UInt64)')), 0, conversions, revenue
    FROM conversion_clicks
) AS facts
LEFT ANY JOIN (SELECT brand_id, brand, currency FROM brands FINAL) AS b USING (brand_id)
LEFT ANY JOIN (SELECT campaign_id, campaign FROM campaigns FINAL) AS c USING (campaign_id)
LEFT ANY JOIN (SELECT influencer_id, influencer FROM influencers FINAL) AS i USING (influencer_id);

CREATE VIEW IF NOT EXISTS geo_facts AS
SELECT
    day, brand_id, campaign_id, influencer_id,
    brand, campaign, influencer, country, region, city,
    gross, valid, visitors, billable, conversions, revenue, currency
FROM
(
    SELECT
        day, brand_id, campaign_id, influencer_id, country, region, city,
        gross, valid, visitors, billable, toUInt64(0) AS conversions, toDecimal64(0, 4) AS revenue
    FROM clicks_by_geo_daily
    UNION ALL
    SELECT
        toDate(click_ts) AS day, brand_id, campaign_id, influencer_id, country, region, city,
        0, 0, arrayReduce('uniqCombined64State', CAST([], 'Array(UInt64)')), 0, conversions, revenue
    FROM conversion_clicks
) AS facts
LEFT ANY JOIN (SELECT brand_id, brand, currency FROM brands FINAL) AS b USING (brand_id)
LEFT ANY JOIN (SELECT campaign_id, campaign FROM campaigns FINAL) AS c USING (campaign_id)
LEFT ANY JOIN (SELECT influencer_id, influencer FROM influencers FINAL) AS i USING (influencer_id);

-- Every conversion once, on its own day, whatever its status and whether it was signed.
CREATE VIEW IF NOT EXISTS conversion_facts AS
SELECT
    toDate(ts) AS day, brand_id, campaign_id, influencer_id,
    brand, campaign, influencer, event, toString(once.status) AS status, signed, amount,
    if(click_id = '', NULL, (toUnixTimestamp64Milli(ts) - toUnixTimestamp64Milli(click_ts)) / 3600000)
        AS hours_to_convert,
    b.currency AS currency
FROM conversions_once AS once
LEFT ANY JOIN (SELECT brand_id, brand, currency FROM brands FINAL) AS b USING (brand_id)
LEFT ANY JOIN (SELECT campaign_id, campaign FROM campaigns FINAL) AS c USING (campaign_id)
LEFT ANY JOIN (SELECT influencer_id, influencer FROM influencers FINAL) AS i USING (influencer_id);

CREATE VIEW IF NOT EXISTS report_influencers
(
    day             Date COMMENT 'UTC',
    brand           String,
    campaign        String,
    influencer      String,
    tier            String COMMENT 'at click time',
    platform        String COMMENT 'the creator''s own, as the tier; where a click came from stands in clicks_by_device_daily',
    gross           UInt64 COMMENT 'all clicks',
    valid           UInt64 COMMENT 'clicks with no reason but duplicate',
    unique          UInt64 COMMENT 'distinct visitors among the valid, within this row; not additive',
    billable        UInt64 COMMENT 'clicks with no reason at all',
    previews        UInt64 COMMENT 'clicks by link previews',
    conversions     UInt64 COMMENT 'pending and approved, refunds aside, by day of their click',
    revenue         Decimal(38, 4) COMMENT 'their amounts',
    refunds         Decimal(38, 4) COMMENT 'amounts of refunds, positive, by day of their click',
    net_revenue     Decimal(38, 4) COMMENT 'revenue - refunds',
    commission      Decimal(38, 4) COMMENT 'percent of net revenue, cpa per conversion, cpc per billable click, flat once, by the most specific rule live that day',
    fee             Decimal(38, 4) COMMENT 'of links that start that day',
    product_cost    Decimal(38, 4) COMMENT 'of links that start that day',
    cost            Decimal(38, 4) COMMENT 'commission + fee + product_cost',
    roi             Nullable(Float64) COMMENT '(net_revenue - cost) / cost; NULL without cost',
    epc             Nullable(Decimal(38, 4)) COMMENT 'net_revenue per valid click; NULL without valid clicks',
    conversion_rate Nullable(Float64) COMMENT 'conversions per valid click; NULL without valid clicks',
    new_customers   UInt64 COMMENT 'customers whose first approved sale with the brand this is',
    currency        String COMMENT 'ISO 4217, of all money in the row'
)
AS SELECT
    f.day AS day, f.brand AS brand, f.campaign AS campaign, f.influencer AS influencer, f.tier AS tier,
    f.platform AS platform,
    sum(f.gross) AS gross, sum(f.valid) AS valid, uniqCombined64Merge(f.visitors) AS unique,
    sum(f.billable) AS billable, sum(f.previews) AS previews,
    sum(f.conversions) AS conversions, sum(f.revenue) AS revenue, sum(f.refunds) AS refunds,
    revenue - refunds AS net_revenue,
    sum(f.commission) AS commission, sum(f.fee) AS fee, sum(f.product_cost) AS product_cost,
    commission + fee + product_cost AS cost,
    if(cost = 0, NULL, toFloat64(net_revenue - cost) / toFloat64(cost)) AS roi,
    if(valid = 0, NULL, round(toDecimal128(net_revenue, 8) / greatest(valid, 1), 4)) AS epc,
    if(valid = 0, NULL, conversions / valid) AS conversion_rate,
    sum(f.new_customers) AS new_customers,
    f.currency AS currency
FROM influencer_facts AS f
GROUP BY day, brand, campaign, influencer, tier, platform, currency;

CREATE VIEW IF NOT EXISTS report_campaigns
(
    day             Date COMMENT 'UTC',
    brand           String,
    campaign        String,
    gross           UInt64 COMMENT 'all clicks',
    valid           UInt64 COMMENT 'clicks with no reason but duplicate',
    unique          UInt64 COMMENT 'distinct visitors among the valid, within this row; not additive',
    billable        UInt64 COMMENT 'clicks with no reason at all',
    previews        UInt64 COMMENT 'clicks by link previews',
    conversions     UInt64 COMMENT 'pending and approved, refunds aside, by day of their click',
    revenue         Decimal(38, 4) COMMENT 'their amounts',
    refunds         Decimal(38, 4) COMMENT 'amounts of refunds, positive, by day of their click',
    net_revenue     Decimal(38, 4) COMMENT 'revenue - refunds',
    commission      Decimal(38, 4) COMMENT 'percent of net revenue, cpa per conversion, cpc per billable click, flat once, by the most specific rule live that day',
    fee             Decimal(38, 4) COMMENT 'of links that start that day',
    product_cost    Decimal(38, 4) COMMENT 'of links that start that day',
    cost            Decimal(38, 4) COMMENT 'commission + fee + product_cost',
    roi             Nullable(Float64) COMMENT '(net_revenue - cost) / cost; NULL without cost',
    epc             Nullable(Decimal(38, 4)) COMMENT 'net_revenue per valid click; NULL without valid clicks',
    conversion_rate Nullable(Float64) COMMENT 'conversions per valid click; NULL without valid clicks',
    new_customers   UInt64 COMMENT 'customers whose first approved sale with the brand this is',
    currency        String COMMENT 'ISO 4217, of all money in the row'
)
AS SELECT
    f.day AS day, f.brand AS brand, f.campaign AS campaign,
    sum(f.gross) AS gross, sum(f.valid) AS valid, uniqCombined64Merge(f.visitors) AS unique,
    sum(f.billable) AS billable, sum(f.previews) AS previews,
    sum(f.conversions) AS conversions, sum(f.revenue) AS revenue, sum(f.refunds) AS refunds,
    revenue - refunds AS net_revenue,
    sum(f.commission) AS commission, sum(f.fee) AS fee, sum(f.product_cost) AS product_cost,
    commission + fee + product_cost AS cost,
    if(cost = 0, NULL, toFloat64(net_revenue - cost) / toFloat64(cost)) AS roi,
    if(valid = 0, NULL, round(toDecimal128(net_revenue, 8) / greatest(valid, 1), 4)) AS epc,
    if(valid = 0, NULL, conversions / valid) AS conversion_rate,
    sum(f.new_customers) AS new_customers,
    f.currency AS currency
FROM influencer_facts AS f
GROUP BY day, brand, campaign, currency;

CREATE VIEW IF NOT EXISTS report_utm
(
    hour            DateTime('UTC'),
    brand           String,
    campaign        String,
    influencer      String,
    utm_source      String,
    utm_medium      String,
    utm_campaign    String,
    utm_content     String,
    utm_term        String,
    gross           UInt64 COMMENT 'all clicks',
    valid           UInt64 COMMENT 'clicks with no reason but duplicate',
    unique          UInt64 COMMENT 'distinct visitors among the valid, within this row; not additive',
    billable        UInt64 COMMENT 'clicks with no reason at all',
    conversions     UInt64 COMMENT 'pending and approved, refunds aside, by hour and UTM of their click',
    revenue         Decimal(38, 4) COMMENT 'their amounts',
    currency        String COMMENT 'ISO 4217'
)
AS SELECT
    f.hour AS hour, f.brand AS brand, f.campaign AS campaign, f.influencer AS influencer,
    f.utm_source AS utm_source, f.utm_medium AS utm_medium, f.utm_campaign AS utm_campaign,
    f.utm_content AS utm_content, f.utm_term AS utm_term,
    sum(f.gross) AS gross, sum(f.valid) AS valid, uniqCombined64Merge(f.visitors) AS unique,
    sum(f.billable) AS billable, sum(f.conversions) AS conversions, sum(f.revenue) AS revenue,
    f.currency AS currency
FROM utm_facts AS f
GROUP BY hour, brand, campaign, influencer, utm_source, utm_medium, utm_campaign, utm_content, utm_term, currency;

CREATE VIEW IF NOT EXISTS report_geo
(
    day             Date COMMENT 'UTC',
    brand           String,
    campaign        String,
    influencer      String,
    country         String COMMENT 'ISO 3166-1 alpha-2, empty = not known',
    region          String,
    city            String,
    gross           UInt64 COMMENT 'all clicks',
    valid           UInt64 COMMENT 'clicks with no reason but duplicate',
    unique          UInt64 COMMENT 'distinct visitors among the valid, within this row; not additive',
    billable        UInt64 COMMENT 'clicks with no reason at all',
    conversions     UInt64 COMMENT 'pending and approved, refunds aside, by day and place of their click',
    revenue         Decimal(38, 4) COMMENT 'their amounts',
    currency        String COMMENT 'ISO 4217'
)
AS SELECT
    f.day AS day, f.brand AS brand, f.campaign AS campaign, f.influencer AS influencer,
    f.country AS country, f.region AS region, f.city AS city,
    sum(f.gross) AS gross, sum(f.valid) AS valid, uniqCombined64Merge(f.visitors) AS unique,
    sum(f.billable) AS billable, sum(f.conversions) AS conversions, sum(f.revenue) AS revenue,
    f.currency AS currency
FROM geo_facts AS f
GROUP BY day, brand, campaign, influencer, country, region, city, currency;

CREATE VIEW IF NOT EXISTS report_conversions
(
    day                     Date COMMENT 'UTC, of the conversion itself',
    brand                   String,
    campaign                String,
    influencer              String,
    event                   String,
    status                  String COMMENT 'newest received',
    signed                  Bool COMMENT 'false: unsigned browser pixels, in no other report',
    conversions             UInt64 COMMENT 'each (brand, event, txid) once, refunds and rejected ones included',
    amount                  Decimal(38, 4) COMMENT 'first received; positive for refunds too',
    currency                String COMMENT 'ISO 4217',
    median_hours_to_convert Nullable(Float64) COMMENT 'from click to conversion; NULL where only coupons attribute'
)
AS SELECT
    f.day AS day, f.brand AS brand, f.campaign AS campaign, f.influencer AS influencer,
    f.event AS event, f.status AS status, f.signed AS signed,
    count() AS conversions, sum(f.amount) AS amount, f.currency AS currency,
    quantileExactInclusiveOrNull(0.5)(f.hours_to_convert) AS median_hours_to_convert
FROM conversion_facts AS f
GROUP BY day, brand, campaign, influencer, event, status, signed, currency;

-- A known txid that came again with another amount: the first stands. A change of status that names no amount is none.
CREATE VIEW IF NOT EXISTS report_conversion_conflicts
(
    brand              String,
    campaign           String,
    influencer         String,
    event              String,
    txid               String,
    signed             Bool,
    amount             Decimal(18, 4) COMMENT 'that stands',
    currency           String COMMENT 'that stands',
    received           DateTime64(3, 'UTC') COMMENT 'of the one that stands',
    other_amount       Decimal(18, 4) COMMENT 'that was refused',
    other_currency     String,
    other_received     DateTime64(3, 'UTC') COMMENT 'first of them',
    times              UInt64 COMMENT 'messages with the other amount'
)
AS SELECT
    brand, campaign, influencer, event, txid, signed,
    any(once.amount) AS amount, any(once.currency) AS currency, any(once.received) AS received,
    message.amount AS other_amount, message.currency AS other_currency, min(message.received) AS other_received,
    count() AS times
FROM conversions AS message
INNER JOIN conversions_once AS once USING (brand_id, event, txid, signed)
LEFT ANY JOIN (SELECT brand_id, brand FROM brands FINAL) AS b USING (brand_id)
LEFT ANY JOIN (SELECT campaign_id, campaign FROM campaigns FINAL) AS c ON c.campaign_id = once.campaign_id
LEFT ANY JOIN (SELECT influencer_id, influencer FROM influencers FINAL) AS i ON i.influencer_id = once.influencer_id
WHERE (message.amount != once.amount OR message.currency != once.currency)
    AND NOT (message.amount = 0 AND message.status != once.first_status)
GROUP BY brand, campaign, influencer, event, txid, signed, other_amount, other_currency;

-- The account of each node and hour, true at the last batch that its ledger rows name.
CREATE VIEW IF NOT EXISTS report_ledger
(
    hour            DateTime('UTC') COMMENT 'of the clicks',
    node            UInt16,
    accepted        UInt64 COMMENT 'clicks the node took',
    stored          UInt64 COMMENT 'rows ClickHouse holds of them, up to the batch the ledger names',
    waiting         UInt64 COMMENT 'not yet acknowledged by ClickHouse',
    dropped         UInt64,
    dropped_reasons Map(String, UInt64),
    balanced        Bool COMMENT 'accepted = stored + waiting + dropped'
)
AS SELECT
    hour, node,
    sum(account.accepted) AS accepted, sum(account.stored) AS stored, sum(account.waiting) AS waiting,
    arraySum(mapValues(dropped_reasons)) AS dropped,
    sumMap(account.dropped) AS dropped_reasons,
    toBool(accepted = stored + waiting + dropped) AS balanced
FROM
(
    SELECT
        hour, node, spool, any(said.accepted) AS accepted, any(said.waiting) AS waiting, any(said.dropped) AS dropped,
        sumIf(held.rows, held.batch <= said.batch) AS stored
    FROM (SELECT * FROM node_ledger FINAL) AS said
    LEFT JOIN
    (
        SELECT
            hour, node, substring(batch_id, 1, 16) AS spool, toUInt64OrZero(substring(batch_id, 18)) AS batch,
            sum(clicks_by_batch.rows) AS rows
        FROM clicks_by_batch
        GROUP BY hour, node, spool, batch
    ) AS held USING (hour, node, spool)
    GROUP BY hour, node, spool
) AS account
GROUP BY hour, node;

-- +goose Down
SELECT 'report views are never dropped by a migration';
