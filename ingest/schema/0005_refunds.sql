-- +goose Up

-- What a refund takes back. Edges know no conversion but the one they are told of, so it is settled here: refunds count in
-- the order received, together up to what their sale has earned, and not at all while the sale is unknown or rejected. They
-- stand where the sale stands, whatever click they name. So no sale, and no creator's day, ever nets less than nothing.
CREATE VIEW IF NOT EXISTS refunds_once AS
SELECT
    refund.brand_id AS brand_id, refund.txid AS txid, refund.received AS received, refund.messages AS messages,
    refund.currency AS currency, refund.amount AS amount,
    sale.campaign_id AS campaign_id, sale.influencer_id AS influencer_id, sale.click_ts AS click_ts,
    multiIf(sale.txid = '', 'refund without sale', sale.status = 'rejected', 'refund of a rejected sale',
        'refund above its sale') AS excess_kind,
    sum(refund.amount) OVER (PARTITION BY refund.brand_id, refund.ref_txid ORDER BY refund.received, refund.txid
        ROWS UNBOUNDED PRECEDING) AS claimed,
    least(claimed, sale.revenue) - least(claimed - refund.amount, sale.revenue) AS refunds,
    refund.amount - refunds AS excess
FROM
(
    SELECT brand_id, txid, campaign_id, influencer_id, click_ts, status, revenue
    FROM conversions_once
    WHERE signed AND event = 'sale'
) AS sale
RIGHT JOIN
(
    SELECT brand_id, txid, ref_txid, received, messages, currency, amount
    FROM conversions_once
    WHERE earns AND event = 'refund'
) AS refund ON refund.brand_id = sale.brand_id AND refund.ref_txid = sale.txid;

-- As in 0004, with the refunds of refunds_once.
CREATE OR REPLACE VIEW influencer_money AS
SELECT
    day, brand_id, campaign_id, influencer_id, rule_event,
    sum(earned.conversions) AS conversions,
    sum(earned.revenue) AS revenue,
    sum(earned.refunds) AS refunds,
    sum(earned.new_customers) AS new_customers,
    toDecimal128(0, 4) AS fee,
    toDecimal128(0, 4) AS product_cost,
    toUInt32(0) AS flat_rule
FROM
(
    SELECT
        toDate(click_ts) AS day, brand_id, campaign_id, influencer_id, event AS rule_event,
        conversions, toDecimal128(revenue, 4) AS revenue, toDecimal128(0, 4) AS refunds,
        toUInt64((brand_id, event, txid) IN
        (
            SELECT brand_id, 'sale', argMin(txid, (ts, received, txid))
            FROM conversions_once
            WHERE earns AND event = 'sale' AND status = 'approved' AND customer_id != ''
            GROUP BY brand_id, customer_id
        )) AS new_customers
    FROM conversions_once
    WHERE earns AND event != 'refund'
    UNION ALL
    SELECT toDate(click_ts) AS day, brand_id, campaign_id, influencer_id, 'sale' AS rule_event, 0, 0, refunds, 0
    FROM refunds_once
    WHERE refunds > 0
) AS earned
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

ALTER TABLE report_influencers COMMENT COLUMN refunds 'amounts of refunds, positive, up to those of their sales, by day of the sale''s click';
ALTER TABLE report_campaigns COMMENT COLUMN refunds 'amounts of refunds, positive, up to those of their sales, by day of the sale''s click';

-- Whatever was told of a conversion and does not count: another amount for a known txid (a change of status that names no
-- amount is none), and what refunds take beyond their sale.
CREATE VIEW IF NOT EXISTS conversion_conflicts AS
SELECT
    'another amount' AS kind, brand_id, event, txid, signed,
    any(once.amount) AS amount, message.amount AS other_amount, message.currency AS other_currency,
    min(message.received) AS other_received, count() AS times
FROM
(
    SELECT brand_id, event, txid, signed, received, amount, toString(currency) AS currency, status
    FROM conversions
    WHERE (brand_id, event, txid) IN (SELECT brand_id, event, txid FROM conversions_once WHERE messages > 1)
) AS message
INNER JOIN conversions_once AS once USING (brand_id, event, txid, signed)
WHERE (message.amount != once.amount OR message.currency != once.currency)
    AND NOT (message.amount = 0 AND message.status != once.first_status)
GROUP BY brand_id, event, txid, signed, other_amount, other_currency
UNION ALL
SELECT
    excess_kind AS kind, brand_id, 'refund' AS event, txid, true AS signed,
    toDecimal64(refunds, 4) AS amount, toDecimal64(excess, 4) AS other_amount, currency AS other_currency,
    received AS other_received, messages AS times
FROM refunds_once
WHERE excess > 0;

CREATE VIEW IF NOT EXISTS conflict_facts AS
SELECT
    toDate(once.ts) AS day, kind, brand_id, brand, campaign, influencer, event, txid, once.ref_txid AS ref_txid, signed,
    conflict.amount AS amount, once.currency AS currency, once.received AS received,
    other_amount, other_currency, other_received, times
FROM conversion_conflicts AS conflict
INNER JOIN conversions_once AS once USING (brand_id, event, txid, signed)
LEFT ANY JOIN (SELECT brand_id, brand FROM brands FINAL) AS b USING (brand_id)
LEFT ANY JOIN (SELECT campaign_id, campaign FROM campaigns FINAL) AS c ON c.campaign_id = once.campaign_id
LEFT ANY JOIN (SELECT influencer_id, influencer FROM influencers FINAL) AS i ON i.influencer_id = once.influencer_id;

CREATE OR REPLACE VIEW report_conversion_conflicts
(
    day                Date COMMENT 'UTC, of the conversion',
    kind               String COMMENT 'another amount, refund without sale, refund above its sale, refund of a rejected sale',
    brand              String,
    campaign           String,
    influencer         String,
    event              String,
    txid               String,
    ref_txid           String COMMENT 'the sale that a refund names',
    signed             Bool,
    amount             Decimal(18, 4) COMMENT 'that counts; of a refund, what it takes back from its sale',
    currency           String COMMENT 'that counts',
    received           DateTime64(3, 'UTC') COMMENT 'of the one that counts',
    other_amount       Decimal(18, 4) COMMENT 'that was refused',
    other_currency     String,
    other_received     DateTime64(3, 'UTC') COMMENT 'first of them',
    times              UInt64 COMMENT 'messages with the other amount'
)
AS SELECT
    day, kind, brand, campaign, influencer, event, txid, ref_txid, signed,
    amount, currency, received, other_amount, other_currency, other_received, times
FROM conflict_facts;

-- Every conversion once, on its own day, whatever its status and whether it was signed. Names of unsigned events are anyone's:
-- beyond the hundred most frequent of a brand they are not told apart.
CREATE OR REPLACE VIEW conversion_facts AS
SELECT
    toDate(ts) AS day, brand_id, campaign_id, influencer_id, brand, campaign, influencer,
    if(signed OR event IN ('sale', 'lead', 'install') OR (brand_id, event) IN
    (
        SELECT brand_id, event
        FROM conversions_by_influencer_daily
        WHERE NOT signed
        GROUP BY brand_id, event
        ORDER BY sum(messages) DESC, event
        LIMIT 100 BY brand_id
    ), toString(once.event), '(others)') AS event,
    toString(once.status) AS status, signed, amount,
    toUInt64((brand_id, once.event, txid, signed) IN (SELECT brand_id, event, txid, signed FROM conversion_conflicts)) AS conflicts,
    if(click_id = '', NULL, (toUnixTimestamp64Milli(ts) - toUnixTimestamp64Milli(click_ts)) / 3600000)
        AS hours_to_convert,
    b.currency AS currency
FROM conversions_once AS once
LEFT ANY JOIN (SELECT brand_id, brand, currency FROM brands FINAL) AS b USING (brand_id)
LEFT ANY JOIN (SELECT campaign_id, campaign FROM campaigns FINAL) AS c USING (campaign_id)
LEFT ANY JOIN (SELECT influencer_id, influencer FROM influencers FINAL) AS i USING (influencer_id);

CREATE OR REPLACE VIEW report_conversions
(
    day                     Date COMMENT 'UTC, of the conversion itself',
    brand                   String,
    campaign                String,
    influencer              String,
    event                   String COMMENT 'unsigned ones beyond the hundred most frequent of a brand are (others)',
    status                  String COMMENT 'newest received',
    signed                  Bool COMMENT 'false: unsigned browser pixels, in no other report',
    conversions             UInt64 COMMENT 'each (brand, event, txid) once, refunds and rejected ones included',
    amount                  Decimal(38, 4) COMMENT 'first received; positive for refunds too, whatever of them counts',
    conflicts               UInt64 COMMENT 'how many of the conversions contradict themselves or their sale: see report_conversion_conflicts',
    currency                String COMMENT 'ISO 4217',
    median_hours_to_convert Nullable(Float64) COMMENT 'from click to conversion; NULL where only coupons attribute'
)
AS SELECT
    f.day AS day, f.brand AS brand, f.campaign AS campaign, f.influencer AS influencer,
    f.event AS event, f.status AS status, f.signed AS signed,
    count() AS conversions, sum(f.amount) AS amount, sum(f.conflicts) AS conflicts, f.currency AS currency,
    quantileExactInclusiveOrNull(0.5)(f.hours_to_convert) AS median_hours_to_convert
FROM conversion_facts AS f
GROUP BY day, brand, campaign, influencer, event, status, signed, currency;

-- +goose Down
SELECT 'report views are never dropped by a migration';
