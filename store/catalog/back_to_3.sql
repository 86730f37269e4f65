-- A catalog of format 4 as format 3 had it, for tests of the way up.
ALTER TABLE documents DROP COLUMN checksum;
ALTER TABLE passages DROP COLUMN place_checksum;
PRAGMA user_version = 3;
