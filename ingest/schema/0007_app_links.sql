-- +goose Up

-- Files by which phones learn that an app opens the links of a short domain.
ALTER TABLE domains ADD COLUMN IF NOT EXISTS
    apple_app_site_association String COMMENT 'JSON, answer to /.well-known/apple-app-site-association; empty = none' AFTER vanity;
ALTER TABLE domains ADD COLUMN IF NOT EXISTS
    assetlinks String COMMENT 'JSON, answer to /.well-known/assetlinks.json; empty = none' AFTER apple_app_site_association;

-- +goose Down
SELECT 'columns of reference tables are never dropped by a migration';
