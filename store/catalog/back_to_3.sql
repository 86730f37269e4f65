-- Downgrades a catalog of format 4 to format 3, for upgrade tests.
ALTER TABLE documents DROP COLUMN checksum;
ALTER TABLE passages DROP COLUMN place_checksum;
PRAGMA user_version = 3;
