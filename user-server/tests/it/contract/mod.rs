//! What every database owes the services: one suite over `dyn Store`, run by each database
//! unchanged.
//!
//! A database joins with a constructor and a line at the end of this file. Times are arguments, so
//! nothing here waits.

mod accounts;
mod audit;
mod changes;
mod codes;
mod counters;
pub mod fixture;
mod idempotency;
mod keys;
mod operators;
mod outbox;
mod resets;
mod sessions;
mod sweep;
mod turns;

use std::any::Any;
use std::sync::Arc;

use user_server::domain::Store;
use user_server::store::{PostgresOptions, PostgresStore, SqliteStore};

use crate::postgres::url_of_a_later_version;
use crate::support::postgres;

/// An empty database, and what has to live as long as it does.
struct Database {
    store: Arc<dyn Store>,
    _keep: Box<dyn Any + Send>,
}

/// The tests of the suite for one database. A function that is not listed here is dead code, which
/// clippy refuses.
macro_rules! suite {
    ($database:ident, $open:path) => {
        suite!($database, $open;
            accounts::a_code_makes_a_user_and_a_session,
            accounts::another_name_may_be_given_with_the_code,
            accounts::a_taken_name_leaves_the_code_good,
            accounts::a_taken_address_spends_the_code,
            accounts::one_code_makes_one_user,
            accounts::one_name_makes_one_user,
            accounts::a_session_needs_the_password_of_now,
            accounts::a_stronger_hash_is_the_same_password,
            accounts::the_longest_unused_session_makes_room,
            accounts::deletion_leaves_nothing,
            changes::a_name_is_changed,
            changes::a_taken_name_undoes_the_whole_change,
            changes::a_new_password_ends_the_rest,
            changes::what_was_proved_before_no_longer_counts,
            changes::a_login_in_a_race_with_a_new_password_leaves_no_session,
            changes::a_new_address_waits_for_its_code,
            changes::a_newer_change_voids_the_older,
            changes::every_change_is_a_version_that_is_told,
            changes::a_new_address_can_be_taken_meanwhile,
            resets::a_reset_ends_everything,
            resets::a_reset_of_nobody_is_dead,
            resets::one_code_resets_once,
            codes::a_code_has_its_guesses_in_parallel,
            codes::a_code_is_only_what_it_is,
            codes::a_refund_is_for_its_own_code,
            codes::a_resend_repeats_the_code,
            codes::a_resend_after_its_end_makes_a_new_code,
            codes::a_resend_gives_up_a_key_that_is_no_more,
            codes::parallel_resends_queue_one_mail,
            sessions::a_refresh_token_moves_on_once,
            sessions::the_one_before_is_good_for_the_grace,
            sessions::an_older_one_ends_the_session,
            sessions::a_number_from_the_future_is_refused,
            sessions::a_session_has_an_owner_until_it_ends,
            sessions::a_session_ends_once,
            sessions::all_sessions_end_with_the_codes,
            sessions::the_log_is_read_from_a_time_on,
            counters::a_counter_starts_at_nothing,
            counters::a_refusal_changes_nothing,
            counters::a_session_settles_its_charge,
            counters::nobody_else_counts_meanwhile,
            operators::a_disabled_account_opens_no_session,
            operators::accounts_are_listed_by_name,
            operators::an_import_takes_nobody_elses_place,
            operators::what_is_exported_can_be_imported,
            operators::the_classes_of_hashes_are_known,
            operators::a_store_that_was_put_back_forgets_sessions,
            outbox::a_mail_is_held_by_one_worker,
            outbox::a_mail_comes_again_when_its_worker_has_gone,
            outbox::a_mail_comes_again_when_it_was_given_back,
            outbox::a_spent_code_is_not_mailed,
            outbox::a_code_of_a_mail_that_comes_again_is_the_same,
            outbox::an_owner_is_told_instead,
            outbox::an_owner_is_told_once_an_hour,
            turns::an_address_has_its_budget,
            turns::clients_take_turns,
            turns::a_suffix_is_the_same_address,
            turns::a_purpose_has_a_budget_of_its_own,
            turns::patience_ends,
            turns::a_voided_mail_takes_no_turn,
            sweep::young_rows_stay,
            sweep::old_rows_go,
            sweep::a_budget_outlives_its_sweep,
            sweep::the_store_answers,
            audit::sixteen_workers_seal_each_row_once,
            audit::a_deletion_erases_and_the_chain_holds,
            audit::old_rows_are_pruned_and_the_rest_holds,
            audit::rows_are_found_by_user_kind_and_time,
            idempotency::a_key_is_claimed_by_one_and_used_once,
            idempotency::a_claim_runs_out_and_its_holder_changes_nothing,
            idempotency::a_key_is_forgotten_after_a_day,
            keys::a_key_is_retired_once_and_for_good,
            keys::sixteen_retire_a_key_once,
            keys::what_hangs_on_a_key_is_counted,
            outbox::what_waits_is_counted,
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
    crate::plans::note_statements();
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&folder.path().join("users.db")).await.unwrap();
    Some(Database { store: Arc::new(store), _keep: Box::new(folder) })
}

async fn postgres_store() -> Option<Database> {
    let options = PostgresOptions::parse(&postgres()?.database(), 8, false).unwrap();
    PostgresStore::migrate(&options).await.unwrap();
    Some(Database { store: Arc::new(PostgresStore::open(&options)), _keep: Box::new(()) })
}

/// A database that a later version has brought up to its own schema.
async fn postgres_ahead_store() -> Option<Database> {
    let options = PostgresOptions::parse(&url_of_a_later_version().await?, 8, false).unwrap();
    PostgresStore::migrate(&options).await.unwrap();
    Some(Database { store: Arc::new(PostgresStore::open(&options)), _keep: Box::new(()) })
}

suite!(sqlite, super::sqlite_store);
suite!(postgres, super::postgres_store);
suite!(postgres_ahead, super::postgres_ahead_store);
