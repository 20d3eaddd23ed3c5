//! What every waiting room must do. Each sentence is a function that wants a store nobody has used.
//!
//! The stores under test must read calling windows as the contracts say, on the clocks of IANA zones.

#![expect(clippy::unwrap_used, clippy::panic, reason = "these are tests, run from several test files")]

pub mod changing;
pub mod claiming;
pub mod controlling;
pub mod dialling;
pub mod ending;
pub mod finding;
pub mod intake;
pub mod noting;
pub mod owners;
pub mod publishing;
pub mod recorded;
pub mod repeating;
pub mod scene;
pub mod slots;
pub mod standing;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::model::Timestamp;
use crate::ports::{CampaignStore, Census, RecordingIndex};

/// A store nobody has used, and its time.
#[async_trait]
pub trait StoreWorld: Send + Sync {
    /// The store.
    fn store(&self) -> Arc<dyn CampaignStore>;

    /// The same store, asked for what was recorded.
    fn recordings(&self) -> Arc<dyn RecordingIndex>;

    /// The same store, asked how everybody stands.
    fn census(&self) -> Arc<dyn Census>;

    /// The store's time.
    fn now(&self) -> Timestamp;

    /// Moves the store's time on.
    async fn advance(&self, by: Duration);
}

/// Makes a test of every sentence. The argument makes a world of its own for each.
#[macro_export]
macro_rules! store_conformance {
    ($world:expr) => {
        $crate::store_conformance! { @sentences $world,
            intake: [
                a_request_is_loaded_chunk_by_chunk_and_sealed
                opening_goes_on_where_loading_stopped
                the_same_request_again_is_known_and_loads_nothing_twice
                other_content_under_a_name_is_a_conflict
                a_request_that_is_not_whole_is_not_sealed
                what_no_asking_again_would_change_is_refused
                parts_come_in_any_order_and_nothing_is_dialled_before_all_are_there
                parts_must_agree_on_everything_but_their_content
                parts_that_do_not_come_in_a_day_fail_the_request
                a_request_of_which_nothing_was_sealed_is_forgotten_after_a_day
                a_rejection_is_written_down_and_told
                a_rejection_leaves_an_existing_request_alone
                a_rejected_request_may_come_again_put_right
                a_request_keeps_the_trace_that_it_came_in
                an_empty_request_is_complete_at_once
            ]
            claiming: [
                claims_come_in_file_order_and_never_twice
                a_claim_takes_no_more_than_is_free
                what_others_hold_is_not_free
                malformed_external_use_frees_nothing
                a_claim_is_shared_by_those_at_the_same_place_and_then_the_next_has_its_turn
                weights_divide_the_turns
                an_organisation_without_slots_does_not_stand_in_the_way
                a_claim_is_at_most_one_batch
                higher_priorities_go_first
                requests_of_one_priority_take_turns
                a_late_request_starts_level_with_the_others
                first_come_first_served_if_the_organisation_asks_for_it
                a_schedule_is_waited_for
                a_closed_window_is_waited_for
                each_zone_opens_by_its_own_clock
                a_rate_bounds_what_is_claimed
                no_second_sees_much_more_than_the_rate
                nothing_is_claimed_after_the_expiry_even_if_nobody_swept
                a_claim_given_back_is_claimed_again_in_its_old_place
                giving_back_twice_is_giving_back_once
            ]
            dialling: [
                a_dial_is_committed_to_and_told
                asking_twice_commits_to_one_dial
                the_first_dial_starts_the_request
                a_paused_request_is_not_dialled
                a_cancelled_request_is_not_dialled
                an_expired_request_is_not_dialled
                no_dial_when_the_window_has_closed
                no_dial_over_a_lowered_limit
                no_dial_when_others_took_the_slot
                no_dial_over_the_rate
                a_number_on_the_do_not_call_list_ends_blocked
                the_do_not_call_list_can_be_read_and_put_right
                a_dialled_call_is_not_given_back
                checkpoints_are_appended_once
                a_checkpoint_with_a_gap_is_not_written
            ]
            ending: [
                an_answered_call_completes_and_frees_its_slot
                an_end_with_a_gap_is_not_written
                ending_twice_is_ending_once
                ending_twice_does_not_free_the_next_attempts_slot
                a_retry_comes_first_when_it_is_due
                no_retry_after_the_expiry
                a_refused_claim_fails_undialled
                a_refill_is_of_the_same_organisation
                the_last_call_completes_the_request
                an_ended_request_is_kept_for_its_retention
                every_claim_is_a_new_attempt_and_dials_are_counted_apart
            ]
            recorded: [
                what_was_recorded_is_found_by_its_attempt_and_by_its_age
                recordings_of_one_moment_are_gone_through_one_by_one
                a_recording_outlives_its_request
                organisations_that_had_work_are_named
            ]
            standing: [
                whoever_waits_is_due_and_whoever_is_called_is_not
                who_is_paused_or_over_is_not_due
                schedules_retries_and_windows_that_come_soon_count
                whoever_is_claimed_is_left_out_once_whatever_was_claimed
                no_more_are_due_than_the_rate_allows
                figures_of_very_many_requests_are_of_the_right_size
                whoever_has_nothing_any_more_is_known_all_the_same
            ]
            slots: [
                a_second_leg_takes_a_slot
                a_granted_slot_is_taken_back_when_asked_for_again_over_a_lowered_limit
                a_second_leg_waits_in_line_before_new_dials
                those_who_wait_are_served_in_order
                whoever_waits_no_longer_frees_the_slot_for_a_dial
                a_leg_that_the_flow_has_no_more_gives_its_slot_back
                a_checkpoint_that_comes_late_takes_no_slot_back
                the_dead_do_not_keep_a_free_slot_waiting
                the_end_of_a_call_frees_all_its_slots
            ]
            owners: [
                renewed_leases_do_not_expire
                an_expired_lease_still_counts
                whoever_does_not_renew_is_suspect
                an_adopted_call_goes_on_where_it_stood
                whoever_adopts_after_an_adopter_listens_in_the_name_that_dialled
                adopting_twice_is_adopting_once
                a_live_call_is_not_adopted
                a_claimed_call_is_adopted_undialled_and_given_back
                an_earlier_owner_is_fenced_everywhere
                only_one_listens_in_the_name_of_a_worker
                a_name_that_is_let_go_is_anybodys
                a_call_that_is_handed_over_is_adopted_at_once
                whoever_hands_a_call_over_is_fenced_everywhere
                what_is_anothers_is_not_handed_over
                whoever_handed_a_call_over_does_not_adopt_it_by_asking_late
                a_claim_that_is_handed_over_is_given_back_by_whoever_adopts_it
                calls_of_a_request_that_was_hung_up_are_named_at_every_renewal_and_adoption
                a_live_call_has_an_owner
                calls_in_hands_are_shown_with_whoever_holds_them
            ]
            controlling: [
                pausing_and_resuming_is_told_once
                cancelling_ends_what_waits
                cancelling_lets_live_calls_end_and_then_rests
                a_cancelled_call_is_not_tried_again
                a_claim_given_back_after_a_cancel_is_cancelled
                expiry_ends_what_waits
                expiry_after_a_dial_completes
                an_unconfigured_organisation_has_the_defaults
                settings_take_effect_at_once
                settings_that_somebody_else_has_changed_are_left_alone
                a_change_that_keeps_the_limit_neither_minds_nor_writes_it
                waking_follows_whatever_may_have_freed_something
                calls_are_shown_in_order_page_by_page
                a_page_runs_through_parts_and_chunks_whatever_became_of_each_call
                what_does_not_exist_is_not_found
            ]
            changing: [
                a_change_of_settings_is_told_once_with_who_made_it_and_what_it_changed
                a_limit_that_others_write_is_no_change_of_whoever_keeps_it
                what_becomes_of_the_do_not_call_list_is_told_without_the_number
                a_change_is_told_again_the_same_until_it_is_confirmed
                however_many_changes_wait_to_be_told_they_keep_no_call_and_nobody_else_waiting
                what_cannot_be_told_is_not_done
            ]
            finding: [
                a_request_that_is_kept_no_more_is_not_queued_either
                what_a_request_follows_from_is_kept_with_it
                a_calls_id_leads_to_its_request_for_as_long_as_that_is_kept
                an_id_that_no_call_has_leads_nowhere
                requests_are_listed_newest_first_page_by_page
                what_comes_meanwhile_changes_no_later_page
                requests_are_listed_by_status
                a_request_is_listed_once_it_is_acknowledged_and_while_it_is_kept
                a_refused_request_that_is_put_right_is_listed_where_it_was_accepted
            ]
            noting: [
                the_last_disposition_of_a_call_is_the_one_that_counts
                what_is_said_of_a_customer_is_added_to_what_was
                notes_are_kept_from_before_the_dial_for_as_long_as_the_request
                nothing_is_noted_about_what_is_no_call
                what_is_noted_under_an_id_is_noted_once_and_told_with_who_noted_it
            ]
            repeating: [
                a_command_that_comes_again_changes_nothing_more
                an_event_is_told_again_with_its_command_until_it_is_confirmed
                a_hang_up_that_comes_again_names_who_is_live_then
                an_id_is_one_commands_of_one_organisation_for_a_day
                what_a_command_expects_is_looked_at_where_it_is_carried_out
                what_is_asked_once_is_known_again_with_its_answer
                what_was_answered_is_recalled_by_whoever_does_not_know_what_was_asked
                that_a_request_is_queued_is_forgotten_when_it_is_opened_or_rejected
                of_several_who_ask_at_once_one_is_the_first
                ids_and_answers_are_bounded
                what_a_command_does_is_told_with_its_name_its_id_and_who_gave_it
            ]
            publishing: [
                what_is_not_confirmed_is_found_again
                what_is_confirmed_is_not
                what_is_held_is_left_to_its_owner
                a_suspects_events_are_found
                a_claim_tells_how_many_events_of_its_call_are_confirmed
                confirming_again_or_less_changes_nothing
                a_requests_own_events_are_found_in_order
                a_retry_that_is_claimed_is_its_owners_again
            ]
        }
    };
    (@sentences $world:expr, $($chapter:ident: [$($sentence:ident)*])*) => {
        $(mod $chapter {
            use super::*;
            $(#[tokio::test]
            async fn $sentence() {
                let world = $world;
                $crate::conformance::store::$chapter::$sentence(&world).await;
            })*
        })*
    };
}
