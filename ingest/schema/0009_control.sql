-- +goose Up

-- Who writes reference data. Term n+1 is claimed by an insert under the deduplication token 'term-<n+1>': ClickHouse takes one
-- insert of a token and drops the others, which is a compare-and-set (package control/lease has the protocol). Rows of past terms
-- are merged away, the newest is always there. The window may forget a token only when a hundred later terms have been taken.
CREATE TABLE IF NOT EXISTS control_lease
(
    term    UInt64,
    holder  String COMMENT 'one run of a control process, empty = given back',
    address String COMMENT 'where its API is',
    lasts   UInt32 COMMENT 'milliseconds; whoever has seen no later term for so long may claim the next',
    since   DateTime64(3, 'UTC') DEFAULT now64(3) COMMENT 'for people; nothing is decided by it'
)
ENGINE = ReplacingMergeTree(term)
ORDER BY tuple()
SETTINGS non_replicated_deduplication_window = 100;

-- Who changed what. A row is written before the change it tells of, and again with stored = true after it: no change is stored without
-- its row. What has only a row with stored = false was begun, and the control process ended or lost the lease before it knew.
CREATE TABLE IF NOT EXISTS audit
(
    id       UInt64 COMMENT 'ascending in the order of changes',
    at       DateTime64(3, 'UTC'),
    version  UInt64 COMMENT 'of the rows that were written; 0 where what was written has none',
    token_id LowCardinality(String) COMMENT 'empty = the control process itself',
    token    LowCardinality(String) COMMENT 'name of the token, or local',
    role     LowCardinality(String),
    action   LowCardinality(String) COMMENT 'create, update, delete, enable, disable, new, rotate, retire, revoke',
    object   LowCardinality(String) COMMENT 'what was changed: brands, links, keys, …',
    key      String COMMENT 'of the object where it is one, otherwise empty',
    brand_id UInt32 COMMENT '0 = none, or all',
    rows     UInt32 COMMENT 'how many objects',
    columns  Array(String) COMMENT 'what changed, where one object was updated',
    before   Array(String) COMMENT 'their values before',
    after    Array(String) COMMENT 'and after',
    stored   Bool
)
ENGINE = ReplacingMergeTree(stored)
ORDER BY id
TTL toDateTime(at) + INTERVAL 2 YEAR;

-- Answers of the API to requests with an Idempotency-Key, to be given again. No analyst may read this table.
CREATE TABLE IF NOT EXISTS kept_answers
(
    token_id String,
    key      String,
    request  String COMMENT 'SHA-256 of method, path, query, If-Match and body, in hex',
    status   UInt16,
    headers  Map(String, String),
    body     String CODEC(ZSTD(1)),
    whole    Bool COMMENT 'false: the body is not kept, since it held a secret or was too long',
    at       DateTime64(6, 'UTC') DEFAULT now64(6)
)
ENGINE = ReplacingMergeTree(at)
ORDER BY (token_id, key)
TTL toDateTime(at) + INTERVAL 1 DAY;

-- +goose Down
SELECT 'what the control process keeps is never dropped by a migration';
