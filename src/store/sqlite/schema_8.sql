-- Refresh tokens are good for their whole lifetime, so nobody asks any more which were used.
DROP TABLE spent_tokens;
