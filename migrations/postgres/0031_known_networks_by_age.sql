CREATE INDEX known_networks_by_age ON known_networks (opened_at);
