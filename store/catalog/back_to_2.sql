-- Downgrades a catalog of format 3 to format 2, for upgrade tests. back_to_3.sql runs first.
DROP TABLE jobs;
DROP TABLE job_items;
DROP INDEX documents_to_retry;
ALTER TABLE documents DROP COLUMN attempts;
ALTER TABLE documents DROP COLUMN retry_at;
ALTER TABLE passages DROP COLUMN checksum;
ALTER TABLE embeddings DROP COLUMN checksum;
DELETE FROM meta WHERE key = 'checksums';
PRAGMA user_version = 2;
