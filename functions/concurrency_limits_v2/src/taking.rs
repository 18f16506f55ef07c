//! Taking slots of limits: what is refused, what is answered, and how long to wait where too few are free.

use axum::{
    http::{StatusCode, header::RETRY_AFTER},
    response::{IntoResponse, Response},
};
use common::{
    App, Error, Result,
    http::Json,
    model::{ConcurrencyLimit, ConcurrencyLimitId, Lease},
    orchestration::jitter::{DEFAULT_CLAMPING_FACTOR, clamped_poisson_interval},
    store::concurrency_limits::Taking,
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;

/// What slots are taken for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Mode {
    /// They are given back.
    Concurrency,
    /// They decay.
    RateLimit,
}

/// The slots that a client wants.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct WantedSlots {
    pub(crate) slots: i64,
    pub(crate) names: Vec<String>,
    pub(crate) mode: Mode,
}

/// A limit of which slots were taken or given back (contract schema `MinimalConcurrencyLimitResponse`).
#[derive(Clone, Debug, Serialize)]
pub(crate) struct TakenLimit {
    id: ConcurrencyLimitId,
    name: String,
    limit: i64,
}

impl From<ConcurrencyLimit> for TakenLimit {
    fn from(limit: ConcurrencyLimit) -> Self {
        Self { id: limit.id, name: limit.name, limit: limit.limit }
    }
}

/// Takes the slots, with a lease if there is one; answers what `answer` makes of the limits, or that they are full.
pub(crate) async fn take<A: Serialize>(
    app: &App,
    wanted: &WantedSlots,
    lease: Option<&Lease>,
    answer: impl FnOnce(Vec<TakenLimit>) -> A,
) -> Result<Response> {
    let (slots, longest) = (wanted.slots, app.settings.longest_waits);
    let judge = |limits: &[ConcurrencyLimit]| wanted.judge(limits);
    match app.store.take_slots(&wanted.names, slots, lease, app.now(), longest, judge).await? {
        Taking::Taken(limits) => Ok(Json(answer(limits.into_iter().map(Into::into).collect())).into_response()),
        Taking::Full(limits) => {
            let active: Vec<_> = limits.into_iter().filter(|limit| limit.active).collect();
            let ids: Vec<_> = active.iter().map(|limit| limit.id).collect();
            app.store.deny_slots(&ids, slots, app.now(), longest).await?;
            let blocking = active.iter().max_by(|a, b| a.blocking_slots(slots).total_cmp(&b.blocking_slots(slots)));
            let average = blocking.map_or(0.0, |limit| limit.average_wait(slots, longest));
            let wait = clamped_poisson_interval(average, DEFAULT_CLAMPING_FACTOR, Uuid::new_v4());
            Ok((StatusCode::LOCKED, [(RETRY_AFTER, wait.to_string())], Json(json!({"detail": "Locked"})))
                .into_response())
        }
    }
}

impl WantedSlots {
    /// Refuses what can never be had.
    fn judge(&self, limits: &[ConcurrencyLimit]) -> Result<()> {
        let active = || limits.iter().filter(|limit| limit.active);
        if active().any(|limit| limit.limit < self.slots) {
            return Err(Error::Unprocessable("Slots requested is greater than the limit".into()));
        }
        let lasting: Vec<&str> =
            active().filter(|limit| limit.slot_decay_per_second == 0.0).map(|limit| limit.name.as_str()).collect();
        if self.mode == Mode::RateLimit && !lasting.is_empty() {
            return Err(Error::Unprocessable(format!(
                "Only concurrency limits with slot decay can be used for rate limiting. The following limits do not have \
                 a decay configured: '{}'",
                lasting.join(",")
            )));
        }
        Ok(())
    }
}
