//! An event happens to a resource, and again and again after no more than some time (`FreshnessSla` of Prefect Cloud).

use super::{GRACE, Verdict, events, events::Party, frequency};
use domain::{
    filter::{
        EventFilter,
        event::{EventNameFilter, EventOccurredFilter, EventResourceFilter},
        sort::EventOrder,
    },
    model::{
        Timestamp,
        deployment::{ExpectedEvent, ServiceLevelAgreement},
        event::RESOURCE_ID,
    },
};
use error::Result;
use store::event_query::Counting;

use crate::{App, event_ingestion};

/// How many events one look goes along, before it leaves the rest to the next.
const STEPS: usize = 20;

/// How long after a look that found nothing the next one comes at the earliest, in seconds.
const LEAST_WAIT: f64 = 60.0;

/// When the event was last seen, and when to look again; nothing of either if it is not known since when to look.
type Seen = Option<(Timestamp, Timestamp)>;

/// Goes along the expected events since the last that was `seen`, and tells of every one that came too late.
///
/// Events are not followed as they come: one look in the time that may pass between two of them is enough.
pub(super) async fn look(
    app: &App,
    agreement: &ServiceLevelAgreement,
    expected: &ExpectedEvent,
    party: &Party,
    seen: Option<Timestamp>,
    now: Timestamp,
) -> Result<Seen> {
    let Some(mut last) = seen.max(agreement.since) else { return Ok(None) };
    for _ in 0..STEPS {
        let deadline = match frequency::verdict(Some(last), None, expected.within, None, now.plus_seconds(-GRACE)) {
            Verdict::Violated { since } => since,
            Verdict::Open { deadline } => return Ok(Some((last, deadline.plus_seconds(GRACE)))),
            Verdict::Kept | Verdict::Resolved { .. } => return Ok(None),
        };
        if let Some(in_time) = happened(app, expected, (last, deadline), EventOrder::Desc).await? {
            last = in_time;
            continue;
        }
        let late = happened(app, expected, (deadline, now), EventOrder::Asc).await?;
        let verdict =
            late.map_or(Verdict::Violated { since: deadline }, |until| Verdict::Resolved { since: deadline, until });
        let told = events::of(agreement, party, &last.sortable(), verdict)?;
        event_ingestion::receive(app, told).await?;
        match late {
            Some(late) => last = late,
            None => return Ok(Some((last, now.plus_seconds(expected.within.as_f64().max(LEAST_WAIT))))),
        }
    }
    Ok(Some((last, now)))
}

/// Returns when the first or last expected event happened after `window.0` and until `window.1`.
async fn happened(
    app: &App,
    expected: &ExpectedEvent,
    window: (Timestamp, Timestamp),
    order: EventOrder,
) -> Result<Option<Timestamp>> {
    let ids = expected.resource.get(RESOURCE_ID).map(|ids| ids.as_slice().to_vec());
    let filter = EventFilter {
        occurred: EventOccurredFilter { since: Some(window.0.plus_seconds(1e-6)), until: Some(window.1) },
        event: Some(EventNameFilter { name: Some(vec![expected.event.clone()]), ..EventNameFilter::default() }),
        resource: Some(EventResourceFilter {
            id: ids,
            labels: Some(expected.resource.clone()),
            ..EventResourceFilter::default()
        }),
        order,
        ..EventFilter::default()
    };
    let found = app.store.read_events(&filter, None, 1, Counting::PageOnly).await?;
    Ok(found.events.first().map(|event| event.occurred))
}
