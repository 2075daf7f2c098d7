//! Contract suite of the store: tests over `dyn Store` that every database must pass.
//!
//! To add a database, add a constructor and a line at the end of this file. Times are arguments, so
//! no test waits.

mod accounts;
mod audit;
mod changes;
mod codes;
pub mod counters;
pub mod fixture;
mod idempotency;
mod keys;
mod mail_slots;
mod operators;
mod outbox;
mod races;
mod resets;
mod sessions;
pub mod sweep;

use std::any::Any;
use std::sync::Arc;

use sqlx::postgres::PgConnection;
use sqlx::{Connection, Executor};
use user_server::domain::Store;
use user_server::store::{PostgresOptions, PostgresStore, SqliteStore};

use crate::postgres::url_of_a_later_version;
use crate::support::postgres;

/// An empty store, and a guard that keeps its database.
struct Database {
    store: Arc<dyn Store>,
    _guard: Box<dyn Any + Send>,
}

/// Defines the tests of the suite for one database. A function that is not listed here is dead
/// code, which clippy rejects.
macro_rules! suite {
    ($database:ident, $open:path) => {
        suite!($database, $open;
            accounts::a_code_creates_a_user_and_a_session,
            accounts::another_name_can_be_chosen_with_the_code,
            accounts::a_taken_name_leaves_the_code_valid,
            accounts::a_taken_address_uses_up_the_code,
            accounts::one_code_creates_one_user,
            accounts::one_name_belongs_to_one_user,
            accounts::a_session_needs_the_current_password,
            accounts::a_stronger_hash_keeps_the_password,
            accounts::the_least_recently_used_session_is_replaced,
            accounts::deletion_leaves_nothing,
            changes::a_name_is_changed,
            changes::a_taken_name_rejects_the_whole_change,
            changes::a_new_password_ends_other_sessions_and_codes,
            changes::a_stale_proof_of_the_password_is_refused,
            changes::a_login_during_a_password_change_leaves_no_session,
            changes::a_new_address_takes_effect_with_its_code,
            changes::a_newer_change_voids_the_older,
            changes::every_change_increments_the_version_and_is_listed,
            changes::a_new_address_can_be_taken_before_its_confirmation,
            resets::a_reset_ends_all_sessions_and_codes,
            resets::a_reset_without_an_account_is_dead,
            resets::one_code_resets_once,
            codes::parallel_guesses_share_the_limit_of_a_code,
            codes::a_code_is_valid_only_for_its_id_purpose_owner_and_lifetime,
            codes::a_refund_applies_to_its_own_code,
            codes::a_resend_repeats_the_code,
            codes::a_resend_after_expiry_creates_a_new_code,
            codes::a_resend_replaces_a_retired_key,
            codes::parallel_resends_queue_one_email,
            sessions::parallel_refreshes_advance_a_session_once,
            sessions::the_previous_token_is_accepted_in_the_grace_period,
            sessions::an_older_token_ends_the_session,
            sessions::a_counter_that_was_not_issued_is_refused,
            sessions::a_session_has_an_owner_until_it_ends,
            sessions::a_session_ends_once,
            sessions::ending_all_sessions_voids_the_codes,
            sessions::the_revocation_log_is_read_from_a_given_time,
            counters::a_counter_starts_at_zero,
            counters::a_refusal_stores_the_counters_as_decided,
            counters::opening_a_session_settles_its_charge,
            counters::a_charge_of_values_that_were_read_before_loses_nothing,
            counters::concurrent_charges_are_serialized,
            operators::a_disabled_account_opens_no_session,
            operators::accounts_are_listed_by_name,
            operators::accounts_are_found_by_the_start_of_a_name_or_address,
            operators::an_operator_creates_an_account_and_sets_its_address,
            operators::an_import_does_not_replace_existing_users,
            operators::an_export_returns_every_imported_user,
            operators::the_classes_of_hashes_are_listed,
            operators::a_restored_store_ends_all_sessions,
            outbox::the_emails_to_an_address_are_listed_with_their_state,
            outbox::a_failed_email_with_a_void_code_is_listed_as_not_needed,
            outbox::the_variants_of_an_address_are_listed_with_it,
            outbox::an_email_is_claimed_by_one_worker,
            outbox::an_email_is_claimed_again_after_its_lease,
            outbox::an_email_is_claimed_again_after_a_retry,
            outbox::a_used_up_code_is_not_emailed,
            outbox::a_repeated_email_has_the_same_code,
            outbox::the_owner_of_a_known_address_gets_a_notice_instead,
            outbox::the_owner_gets_one_notice_an_hour,
            outbox::refusals_concern_every_email_from_three_domains_and_networks,
            outbox::the_classes_of_emails_take_turns,
            outbox::networks_take_turns,
            outbox::notices_are_merged,
            mail_slots::a_network_has_a_share_of_a_budget,
            mail_slots::a_known_network_has_a_budget_of_its_own,
            codes::what_a_client_sees_does_not_depend_on_the_email,
            codes::a_verification_has_ten_resends,
            codes::a_network_has_a_limit_of_pending_rows,
            mail_slots::an_address_has_a_budget_of_emails,
            mail_slots::mail_slots_are_shared_fairly_among_clients,
            mail_slots::addresses_that_differ_in_a_suffix_share_a_budget,
            mail_slots::each_purpose_has_its_own_budget,
            mail_slots::a_code_that_waits_for_a_day_is_dropped,
            mail_slots::a_voided_code_takes_no_mail_slot,
            sweep::rows_within_their_retention_stay,
            sweep::rows_past_their_retention_are_deleted,
            sweep::a_sweep_keeps_the_email_budgets,
            sweep::a_notice_that_no_worker_took_is_sent_after_a_month,
            sweep::a_sweep_deletes_everything_in_batches,
            sweep::a_store_answers_pings_until_it_is_closed,
            audit::sixteen_workers_seal_each_row_once,
            audit::a_deletion_erases_addresses_and_the_chain_stays_valid,
            audit::old_rows_are_pruned_and_the_rest_stays_valid,
            audit::more_old_rows_than_a_batch_are_pruned,
            audit::rows_are_found_by_user_kind_and_time,
            idempotency::a_key_is_claimed_by_one_and_used_once,
            idempotency::an_expired_claim_changes_nothing,
            idempotency::an_expired_claim_uses_up_no_code,
            idempotency::a_key_is_forgotten_after_a_day,
            idempotency::a_claim_does_not_outlive_its_node,
            keys::a_key_is_retired_once,
            keys::sixteen_operators_retire_a_key_once,
            keys::the_uses_of_a_key_are_counted,
            outbox::the_backlog_is_counted,
            races::writers_of_one_network_do_not_deadlock,
            races::requests_for_one_account_do_not_deadlock,
        );
    };
    ($database:ident, $open:path; $($topic:ident::$test:ident,)*) => {
        mod $database {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $test() {
                    let Some(database) = $open().await else { return };
                    super::$topic::$test(&database.store).await;
                    database.store.close().await;
                }
            )*
        }
    };
}

async fn sqlite_store() -> Option<Database> {
    crate::plans::record_statements();
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&folder.path().join("users.db")).await.unwrap();
    Some(Database { store: Arc::new(store), _guard: Box::new(folder) })
}

/// Opens a database that a later version of the server has migrated to its own schema.
async fn sqlite_ahead_store() -> Option<Database> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("users.db");
    SqliteStore::migrate(&path).await.unwrap();
    crate::upgrades::later_schema::expand(&path).await;
    let store = SqliteStore::open(&path).await.unwrap();
    Some(Database { store: Arc::new(store), _guard: Box::new(folder) })
}

async fn postgres_store() -> Option<Database> {
    let options = PostgresOptions::parse(&postgres()?.database(), 8, false).unwrap();
    PostgresStore::migrate(&options).await.unwrap();
    Some(Database { store: Arc::new(PostgresStore::open(&options)), _guard: Box::new(()) })
}

/// Like [`sqlite_ahead_store`].
async fn postgres_ahead_store() -> Option<Database> {
    let options = PostgresOptions::parse(&url_of_a_later_version().await?, 8, false).unwrap();
    PostgresStore::migrate(&options).await.unwrap();
    Some(Database { store: Arc::new(PostgresStore::open(&options)), _guard: Box::new(()) })
}

/// Makes the stored functions of a database refuse every change.
pub async fn refuse_functions(url: &str) {
    let mut connection = PgConnection::connect(url).await.unwrap();
    let refuse = connection.execute(
        "DO $do$
         DECLARE name text;
         BEGIN
             FOR name IN SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace
                     AND pg_get_function_arguments(oid) = 'call jsonb'
                     AND prorettype = 'jsonb'::regtype
             LOOP
                 EXECUTE format('CREATE OR REPLACE FUNCTION %I(call jsonb) RETURNS jsonb
                     LANGUAGE plpgsql AS $$
                     BEGIN RAISE EXCEPTION ''not today'' USING ERRCODE = ''US001''; END $$', name);
             END LOOP;
         END $do$",
    );
    refuse.await.unwrap();
}

/// Opens a database in which every stored function refuses, as it does when a request collides with
/// another one, so that each change is made by separate statements.
async fn postgres_refusing_store() -> Option<Database> {
    let url = postgres()?.database();
    let options = PostgresOptions::parse(&url, 8, false).unwrap();
    PostgresStore::migrate(&options).await.unwrap();
    refuse_functions(&url).await;
    Some(Database { store: Arc::new(PostgresStore::open(&options)), _guard: Box::new(()) })
}

suite!(sqlite, super::sqlite_store);
suite!(sqlite_ahead, super::sqlite_ahead_store);
suite!(postgres, super::postgres_store);
suite!(postgres_ahead, super::postgres_ahead_store);
suite!(postgres_refusing, super::postgres_refusing_store);
