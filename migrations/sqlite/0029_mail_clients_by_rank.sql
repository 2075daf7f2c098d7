CREATE INDEX mail_clients_by_rank ON mail_clients (rank);
