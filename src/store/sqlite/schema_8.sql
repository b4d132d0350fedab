-- Refresh tokens can be used repeatedly now, so used ones need not be recorded any more.
DROP TABLE spent_tokens;
