-- +goose Up

-- Which batches a rollup holds. The block that carries a batch into a rollup carries its mark in the first row: they are in
-- one part, there together or not at all. A mark is xxh3(batch_id), its complement takes one back; 8 bytes for each
-- batch and rollup. It comes from the deduplication token, '<batch_id>[-…]', as a default of the column, so that the
-- views stay as they are: after MODIFY QUERY a view would forget the tokens of its inserts, and again when the server restarts.
ALTER TABLE clicks_by_influencer_daily ADD COLUMN IF NOT EXISTS
    batches SimpleAggregateFunction(groupArrayArray, Array(UInt64))
    DEFAULT if(rowNumberInAllBlocks() = 0, [xxh3(extract(getSetting('insert_deduplication_token'), '^[^-]+-[^-]+'))], [])
    COMMENT 'marks of the batches in here, each in any one row' CODEC(ZSTD(1));
ALTER TABLE clicks_by_utm_hourly ADD COLUMN IF NOT EXISTS
    batches SimpleAggregateFunction(groupArrayArray, Array(UInt64))
    DEFAULT if(rowNumberInAllBlocks() = 0, [xxh3(extract(getSetting('insert_deduplication_token'), '^[^-]+-[^-]+'))], [])
    COMMENT 'marks of the batches in here, each in any one row' CODEC(ZSTD(1));
ALTER TABLE clicks_by_geo_daily ADD COLUMN IF NOT EXISTS
    batches SimpleAggregateFunction(groupArrayArray, Array(UInt64))
    DEFAULT if(rowNumberInAllBlocks() = 0, [xxh3(extract(getSetting('insert_deduplication_token'), '^[^-]+-[^-]+'))], [])
    COMMENT 'marks of the batches in here, each in any one row' CODEC(ZSTD(1));
ALTER TABLE clicks_by_device_daily ADD COLUMN IF NOT EXISTS
    batches SimpleAggregateFunction(groupArrayArray, Array(UInt64))
    DEFAULT if(rowNumberInAllBlocks() = 0, [xxh3(extract(getSetting('insert_deduplication_token'), '^[^-]+-[^-]+'))], [])
    COMMENT 'marks of the batches in here, each in any one row' CODEC(ZSTD(1));
ALTER TABLE clicks_by_batch ADD COLUMN IF NOT EXISTS
    batches SimpleAggregateFunction(groupArrayArray, Array(UInt64))
    DEFAULT if(rowNumberInAllBlocks() = 0, [xxh3(extract(getSetting('insert_deduplication_token'), '^[^-]+-[^-]+'))], [])
    COMMENT 'marks of the batches in here, each in any one row' CODEC(ZSTD(1));
ALTER TABLE conversions_by_influencer_daily ADD COLUMN IF NOT EXISTS
    batches SimpleAggregateFunction(groupArrayArray, Array(UInt64))
    DEFAULT if(rowNumberInAllBlocks() = 0, [xxh3(extract(getSetting('insert_deduplication_token'), '^[^-]+-[^-]+'))], [])
    COMMENT 'marks of the batches in here, each in any one row' CODEC(ZSTD(1));

-- Batches that are in a raw table and may be missing, or twice, in its rollups: an insert of theirs ended without an answer.
-- Edges report them, the control process puts the rollups right and says so.
CREATE TABLE IF NOT EXISTS doubtful_batches
(
    source   LowCardinality(String) COMMENT 'the raw table',
    batch_id String,
    week     Date COMMENT 'Monday of its partition',
    told     DateTime64(3, 'UTC') DEFAULT now64(3) COMMENT 'when this was said; the newest word holds',
    checked  Bool COMMENT 'every rollup holds it once',
    mended   Array(String) COMMENT 'rollups that held it not exactly once'
)
ENGINE = ReplacingMergeTree(told)
ORDER BY (source, batch_id);

-- Batches of before have no marks: they pass for checked, for good.
INSERT INTO doubtful_batches (source, batch_id, week, told, checked)
SELECT DISTINCT 'clicks', batch_id, toMonday(ts), '2200-01-01 00:00:00.000', true FROM clicks;
INSERT INTO doubtful_batches (source, batch_id, week, told, checked)
SELECT DISTINCT 'conversions', batch_id, toMonday(received), '2200-01-01 00:00:00.000', true FROM conversions;

-- +goose Down
SELECT 'marks and doubts are never dropped by a migration';
