-- Which tokens of an account were ended, as a JSON object: {"validFrom": seconds, "ended": {digest: milliseconds}}.
ALTER TABLE users ADD COLUMN sessions TEXT;
