//! `POST /events/count-by/{countable}`: counts the events that match by day, interval, name or resource.

use axum::{extract::State, routing::post};
use common::{
    App, Result,
    event_counts::{Countable, CountsByTime, CountsByValue, EventCount, Interval, TimeUnit},
    filter::EventFilter,
    http::{Body, Json, Path, Route},
    store::event_query,
};
use serde::Deserialize;

/// The contract's `count_account_events`.
pub static ROUTE: Route =
    Route::post("count_account_events", "/events/count-by/{countable}", || post(count)).accessing(event_query::READ);

#[derive(Debug, Deserialize)]
struct By {
    countable: Countable,
}

#[derive(Debug, Deserialize)]
struct CountQuery {
    filter: EventFilter,
    time_unit: TimeUnit,
    time_interval: f64,
}

async fn count(
    State(app): State<App>,
    Path(by): Path<By>,
    Body(query): Body<CountQuery>,
) -> Result<Json<Vec<EventCount>>> {
    let now = app.now();
    let mut filter = query.filter;
    filter.resolve(now);
    let (since, until) = (filter.occurred.since.unwrap_or(now), filter.occurred.until.unwrap_or(now));
    // The unit and the length are refused whatever is counted by.
    let interval = Interval::new(query.time_unit, query.time_interval)?;
    interval.check(since, until)?;
    Ok(Json(match by.countable {
        Countable::Day | Countable::Time => {
            let mut counts = CountsByTime::new(interval, since, until, now);
            if by.countable == Countable::Day {
                counts = counts.numbered_by_day();
            }
            if !app.store.tallied_events_by_time(&filter, &mut counts).await? {
                app.store.times_of_events(&filter, |occurred| counts.add(occurred)).await?;
            }
            counts.into_counts()
        }
        Countable::Event => {
            let mut counts = CountsByValue::default();
            if !app.store.tallied_events_by_name(&filter, &mut counts).await? {
                app.store.heads_of_events(&filter, |event| counts.add_name(event)).await?;
            }
            counts.into_counts()
        }
        Countable::Resource => {
            let mut counts = CountsByValue::default();
            app.store.heads_of_events(&filter, |event| counts.add_resource(event)).await?;
            counts.into_counts()
        }
    }))
}
