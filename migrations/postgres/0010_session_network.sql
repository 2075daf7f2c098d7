-- The network that the session was opened from, coarse: an IPv4 /24 or an IPv6 /48.
ALTER TABLE sessions ADD COLUMN network text;
