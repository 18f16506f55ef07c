//! The events that tell of records that are made, changed and deleted: one file a kind of record makes them.

use super::{Failures, concurrency_limit_events, deployment_events, flow_events};
use crate::{api::Api, intake, model::ReceivedEvent, store::Item};

/// Keeps the events of the changes in `written`.
pub(super) async fn emit(api: &Api, written: &[(usize, &Item)], failures: &mut Failures) {
    let mut events: Vec<ReceivedEvent> = Vec::new();
    let mut places = Vec::new();
    for (place, item) in written {
        for event_of in [flow_events::event_of, deployment_events::event_of, concurrency_limit_events::event_of] {
            match event_of(item) {
                Ok(None) => {}
                Ok(Some(event)) => {
                    events.push(event.receive(api.now()));
                    places.push(*place);
                }
                Err(error) => tracing::error!(key = item.key.pk, %error, "a record can't be read from the stream"),
            }
        }
    }
    if let Err(error) = intake::keep(api, &events).await {
        failures.add_all(places, &error);
    }
}
