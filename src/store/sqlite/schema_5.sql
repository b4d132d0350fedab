-- Pending mailed codes, by purpose, as a JSON object: {"login": {"digest", "expires", "failures"}}.
ALTER TABLE users ADD COLUMN codes TEXT;
UPDATE users SET codes = json_object(code_purpose,
    json_object('digest', code_digest, 'expires', code_expires, 'failures', code_failures))
    WHERE code_purpose IS NOT NULL;
ALTER TABLE users DROP COLUMN code_purpose;
ALTER TABLE users DROP COLUMN code_digest;
ALTER TABLE users DROP COLUMN code_expires;
ALTER TABLE users DROP COLUMN code_failures;
