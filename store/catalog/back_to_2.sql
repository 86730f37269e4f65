-- A catalog of format 3 as format 2 had it, for tests of the way up. What leads to format 3 comes before.
DROP TABLE jobs;
DROP TABLE job_items;
DROP INDEX documents_to_retry;
ALTER TABLE documents DROP COLUMN attempts;
ALTER TABLE documents DROP COLUMN retry_at;
ALTER TABLE passages DROP COLUMN checksum;
ALTER TABLE embeddings DROP COLUMN checksum;
DELETE FROM meta WHERE key = 'checksums';
PRAGMA user_version = 2;
