-- Revoked tokens of an account, as a JSON object: {"validFrom": seconds, "ended": {digest: milliseconds}}.
ALTER TABLE users ADD COLUMN sessions TEXT;
