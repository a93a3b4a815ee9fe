"""Every bound of the product in one place, units last. A loop, queue, wait or payload without an entry here is a fault."""

from __future__ import annotations

from typing import Final

MICROS_PER_SECOND: Final = 1_000_000

# What a caller may send.
prompt_characters_max: Final = 32_000
negative_prompt_characters_max: Final = 8_000
request_id_characters_max: Final = 64
project_characters_max: Final = 63
image_count_max: Final = 10
variation_max: Final = 1_000_000
labels_count_max: Final = 16
label_key_characters_max: Final = 63
label_value_bytes_max: Final = 128
input_images_count_max: Final = 16
inline_input_bytes_max: Final = 3 * 1024 * 1024
input_image_bytes_max: Final = 20 * 1024 * 1024
input_image_pixels_max: Final = 50_000_000
edge_px_max: Final = 14_142
extra_keys_count_max: Final = 32
extra_bytes_max: Final = 8_192
integer_exact_max: Final = 2**53
wait_seconds_max: Final = 25.0
job_timeout_seconds_max: Final = 24 * 3600
cancel_reason_characters_max: Final = 200

# Requests whose preparation is remembered.
requests_kept_count_max: Final = 4_096
requests_kept_bytes_max: Final = 4_096

# What we answer.
page_size_default: Final = 50
page_size_max: Final = 500
chunk_bytes_max: Final = 256 * 1024
error_status_bytes_max: Final = 6 * 1024
field_violations_count_max: Final = 20
violation_text_bytes_max: Final = 200
watch_heartbeat_seconds: Final = 15.0
watch_poll_seconds: Final = 1.0
watches_open_max: Final = 5_000
report_range_hours_max: Final = 24 * 400
report_rows_max: Final = 10_000
paging_lag_seconds: Final = 60
"""Pages and exports stop this long before now, because commit order is not id order."""

# The store.
batch_commands_max: Final = 256
store_queue_commands_max: Final = 10_000
store_answer_seconds_max: Final = 3.0
batch_retries_max: Final = 3
expire_jobs_count_max: Final = 100
attempts_per_render_max: Final = 3
totals_slots_count: Final = 8
reporting_labels_count_max: Final = 4
asset_check_seconds: Final = 24 * 3600
"""A cached picture that was not seen in the bucket for this long is looked at again before it is promised."""

# Dispatch and results.
send_window_seconds: Final = 5.0
dispatch_post_seconds_max: Final = 30.0
provider_call_seconds_max: Final = 20.0
poll_seconds_min: Final = 0.5
poll_seconds_max: Final = 5.0
progress_seconds_min: Final = 1.0
result_margin_seconds: Final = 60.0
download_seconds_max: Final = 60.0
download_bytes_max: Final = 64 * 1024 * 1024
output_pixels_max: Final = 100_000_000
pending_seconds_max: Final = 3_600.0
renders_running_max: Final = 2_000
results_unstored_max: Final = 500
start_timeout_seconds: Final = 600
result_kept_seconds: Final = 3_600.0
"""As long as every provider keeps a result: what may be paid for is asked for until then."""
cancel_settle_seconds: Final = 900.0
"""So long after a provider was asked to stop its word about the bill is awaited; then the hold is charged as unconfirmed."""
search_span_seconds: Final = 120.0
"""How far from the moment of its dispatch a lost request may stand in the provider's list."""
search_seconds_min: Final = 2.0
search_seconds_max: Final = 60.0
searches_running_max: Final = 4
"""At one provider, by one replica."""
cache_seconds_default: Final = 30 * 24 * 3600

# Replicas.
heartbeat_seconds: Final = 5.0
lease_seconds: Final = 15.0
take_over_count_max: Final = 100
unknown_grace_seconds: Final = 30.0
"""Nobody gives an unanswered dispatch up before its POST can have ended, and this much later."""
owner_seconds_max: Final = 10.0
"""So long after the start of its last successful heartbeat an owner still acts; its lease ends later."""
lease_wait_seconds_max: Final = 3_600.0
"""So long a replica without its lease waits before it leaves a render to whoever owns it by then."""
stray_look_seconds: Final = 2.0
overdue_look_seconds: Final = 60.0
overdue_grace_seconds: Final = 300.0
"""A render taken from a living owner because its next step was overdue is left alone by others for this long."""
unknown_seconds_beyond_run: Final = 15 * 60.0 + 3_600.0
"""So long after the last request that was perhaps sent can have started and run, the search for it has ended."""
accepted_grace_seconds: Final = 3_600.0
"""So long after a request's own time limits its end at the provider is known, or given up."""
storing_seconds_default: Final = 3_600.0
"""How long a result is taken to be kept by its provider, where that is not said."""
storing_grace_seconds: Final = 600.0
ended_seconds_max: Final = 300.0
"""How long a render may stand between the end of an attempt and what follows from it."""
overdue_end_seconds: Final = 3_600.0
"""So long after the limit of its state a render that nobody can go on with is ended."""
end_overdue_count_max: Final = 100
late_count_max: Final = 50
late_search_seconds: Final = 24 * 3600
events_shown_max: Final = 200
event_cause_characters_max: Final = 200

# Webhooks.
webhook_bytes_max: Final = 1024 * 1024
webhook_age_seconds_max: Final = 300
webhook_answer_seconds_max: Final = 3.0
webhook_keys_seconds: Final = 24 * 3600
webhooks_running_max: Final = 64
poll_with_webhooks_seconds: Final = 30.0
"""With webhooks on, polling is only a safety net."""

# Providers' own books.
find_pages_max: Final = 50
"""Of a provider's request list, in one search."""
bills_span_seconds_max: Final = 90 * 24 * 3600
bills_asked_count_max: Final = 50
webhook_keys_call_seconds_max: Final = 2.5
"""Shorter than an answer to a webhook may take."""
webhook_keys_pace_seconds: Final = 60.0
"""So rarely the keys are asked for again because none fits."""

# Operators.
switches_look_seconds: Final = 1.0
operator_reason_characters_max: Final = 200
switches_count_max: Final = 500
operator_amount_nanos_max: Final = 10**15
"""A million dollars for one attempt is a slip of the pen."""

# Retention.
prune_rows_max: Final = 500
"""In one transaction."""
prune_rounds_max: Final = 20
"""In one look."""
prune_look_seconds: Final = 60.0
prune_margin_seconds: Final = 3_600.0
"""A render is removed only so long after it could last answer a request."""
retention_content_days_default: Final = 30
retention_events_days_default: Final = 90
retention_jobs_days_default: Final = 400
retention_renders_days_min: Final = 400
"""A bill may be corrected so long after its use: without content, a render stays at least so long."""
retention_jobs_days_min: Final = 30
"""A request_id is kept as long as its job, and at least this long."""

# The books.
alert_percents_count_max: Final = 10
budget_name_characters_max: Final = 400
"""Project, label, value and window, with what stands between them."""
export_page_rows: Final = 2_000
hold_days_max: Final = 7
"""No hold lives longer: every state has its limit. What was held at an instant is looked for this far back."""
reconcile_seconds: Final = 3_600.0
reconcile_look_seconds: Final = 300.0
"""How often it is asked whether the next comparison is due, and so how long after a start the first one is."""
reconcile_days_count: Final = 5
"""Today and the days before it are compared again and again, as long as `absence_on_bill_seconds` asks for; older by hand."""
reconcile_days_max: Final = 400
"""By hand."""
reconcile_page_rows: Final = 200
"""Compared in one go, while nothing else is done."""
reconcile_attempts_max: Final = 1_000_000
bill_pages_max: Final = 200
bill_edge_seconds: Final = 2 * 3_600
"""A bill may lie so far on the other side of midnight."""
bill_settle_seconds: Final = 24 * 3_600
"""So long after its end a day's bills are taken to be complete."""
absence_on_bill_seconds: Final = 72 * 3_600
"""So old an unconfirmed attempt has to be before its absence from a complete bill proves that it cost nothing."""
roll_look_seconds: Final = 3_600.0
roll_settle_seconds: Final = 3_600
"""So long after its end a day of booking is summed: every transaction that took its time on that day has surely ended."""
roll_days_max: Final = 7
"""Summed in one transaction."""
accrual_look_seconds: Final = 3_600.0
accrual_days_count: Final = 3
"""So many days that have ended are charged for storage if nobody did it yet."""
drift_days_count: Final = 31
"""So many days' comparisons make the drift that metrics show."""
verify_look_seconds: Final = 600.0
verify_first_seconds: Final = 3_600.0
"""So long after its start a replica checks the books for the first time: a restart is a bad moment to read all of them."""
verify_seconds: Final = 24 * 3_600.0
invoice_rows_max: Final = 1_000_000
invoice_bytes_max: Final = 256 * 1024 * 1024

# What if, and prices that change.
whatif_range_hours_max: Final = 24 * 31
whatif_renders_max: Final = 100_000
whatif_page_rows: Final = 500
whatif_running_max: Final = 1
"""By one replica: each takes a thread, and time from the others."""
whatif_busy_seconds: Final = 5.0
whatif_causes_count_max: Final = 20
whatif_causes_shown: Final = 3
whatif_cause_characters_max: Final = 200
price_news_look_seconds: Final = 3_600.0
price_news_days_count: Final = 30
price_news_renders_max: Final = 100_000
"""Of one route: more are not counted, and that is said."""
price_news_events_max: Final = 200
catalog_file_bytes_max: Final = 256 * 1024
catalog_nodes_max: Final = 50_000
"""Of one catalog file, with every alias written out."""
