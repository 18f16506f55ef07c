//! Who has asked for what over a websocket, filed where it is looked for ([`domain::interests`]).
//!
//! A note has the whole subscription, so that who pushes reads no connection. The places in which there may be notes
//! are one partition: a process that remembers them reads nothing for what nobody has asked for. A place is taken out
//! by who finds it empty, on the condition that nobody was noted in it since.

use domain::{
    interests::Interest,
    model::{ApiKeyId, Connection, Subscription},
};
use error::Result;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    Item, Key, Record, Store, Write,
    commit::was_written,
    connections::kept_until,
    query::Range,
    table::{self, IndexKey, Shards},
};

/// A note that a connection has asked for something.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Listener {
    /// The gateway's id of the connection.
    pub connection: String,
    /// Where the note is.
    place: String,
    /// What was asked for there.
    asked: String,
    /// The API key that the client has shown, where there are keys.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<ApiKeyId>,
    /// What the client has asked for, without what it has in hand.
    pub subscription: Subscription,
}

crate::json_record!(Listener);

impl Record for Listener {
    const HEAD: &'static [&'static str] = &["connection", "place", "asked", "key"];

    fn key(&self) -> Key {
        table::listener(&self.place, &self.asked, &self.connection)
    }

    fn index_keys(&self, _shards: Shards) -> Vec<IndexKey> {
        Vec::new()
    }
}

/// A place in which connections may be noted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListenedPlace {
    /// The place.
    pub place: String,
    /// Changes whenever a connection is noted there.
    pub token: Uuid,
}

crate::json_record!(ListenedPlace);

impl Record for ListenedPlace {
    const HEAD: &'static [&'static str] = &["place", "token"];

    fn key(&self) -> Key {
        table::listened_place(&self.place)
    }

    fn index_keys(&self, _shards: Shards) -> Vec<IndexKey> {
        Vec::new()
    }
}

impl Store {
    /// Reads the places in which connections may be noted, each with the version of its note.
    pub async fn listened_places(&self) -> Result<Vec<(String, u64)>> {
        let Key { pk, .. } = table::listened_place("");
        let items = self.read_all(Range::partition(pk)).await?;
        let place = |item: &Item| Some((item.readable::<ListenedPlace>()?.place, item.version));
        Ok(items.iter().filter_map(place).collect())
    }

    /// Reads who has asked for what `interest` says.
    pub async fn listeners(&self, interest: &Interest) -> Result<Vec<Listener>> {
        let Key { pk, sk } = table::listener(&interest.place, &interest.asked, "");
        let items = self.read_all(Range::partition(pk).starting_with(sk)).await?;
        let mut listeners: Vec<Listener> = items.iter().filter_map(Item::readable).collect();
        listeners.retain(|listener| listener.asked == interest.asked);
        Ok(listeners)
    }

    /// Reads all who are noted in a place, whatever they have asked for.
    pub async fn listeners_in(&self, place: &str) -> Result<Vec<Listener>> {
        let Key { pk, .. } = table::listener(place, "", "");
        Ok(self.read_all(Range::partition(pk)).await?.iter().filter_map(Item::readable).collect())
    }

    /// Takes out a place of this version if nobody is noted in it.
    pub async fn forget_place(&self, place: &str, version: u64) -> Result<()> {
        let Key { pk, .. } = table::listener(place, "", "");
        if self.read_first(Range::partition(pk)).await?.is_none() {
            let deletion = vec![Write::DeleteVersion(table::listened_place(place), version)];
            was_written(self.commit(deletion).await)?;
        }
        Ok(())
    }

    /// Notes that `connection` has asked for what the `interests` say, for who looks there whatever the places.
    pub async fn list(&self, connection: &Connection, interests: &[Interest]) -> Result<()> {
        for few in interests.chunks(AT_ONCE) {
            self.commit(self.listings(connection, few)?).await?;
        }
        Ok(())
    }

    /// Takes out the notes that the connection `id` has asked for what the `interests` say.
    pub async fn unlist(&self, id: &str, interests: &[Interest]) -> Result<()> {
        let key = |interest: &Interest| table::listener(&interest.place, &interest.asked, id);
        for few in interests.chunks(AT_ONCE) {
            self.commit(few.iter().map(|interest| Write::Delete(key(interest))).collect()).await?;
        }
        Ok(())
    }

    /// Returns the writes that note what `connection` has asked for, and the places in which that is.
    pub(super) fn notes(&self, connection: &Connection, interests: &[Interest]) -> Result<Vec<Write>> {
        let mut writes = self.listings(connection, interests)?;
        let mut places: Vec<&str> = interests.iter().map(|interest| interest.place.as_str()).collect();
        places.sort_unstable();
        places.dedup();
        for place in places {
            let token = Uuid::new_v4();
            // The version is as good as the token: a place that was noted anew is not the one that was found empty.
            let (high, _) = token.as_u64_pair();
            let place = ListenedPlace { place: place.to_owned(), token };
            let item = Item::of(&place, high >> 12, self.shards())?;
            writes.push(Write::Put(Item { expires: Some(expires(connection)), ..item }));
        }
        Ok(writes)
    }

    fn listings(&self, connection: &Connection, interests: &[Interest]) -> Result<Vec<Write>> {
        let Some(subscription) = &connection.subscription else { return Ok(Vec::new()) };
        let listing = |Interest { place, asked }: &Interest| {
            let listener = Listener {
                connection: connection.id.clone(),
                place: place.clone(),
                asked: asked.clone(),
                key: connection.key,
                subscription: subscription.without_hand(),
            };
            let item = Item::of(&listener, 1, self.shards())?;
            Ok(Write::Put(Item { expires: Some(expires(connection)), ..item }))
        };
        interests.iter().map(listing).collect()
    }
}

fn expires(connection: &Connection) -> i64 {
    kept_until(connection).as_seconds()
}

/// For how many interests notes are written in one transaction.
const AT_ONCE: usize = 40;

#[cfg(test)]
mod tests {
    use aws_sdk_dynamodb::Client;
    use embedded::EmbeddedDatabase;
    use serde_json::json;

    use super::*;
    use domain::{
        interests,
        model::{ReceivedEvent, Socket, Timestamp},
    };

    async fn store() -> Store {
        let config = EmbeddedDatabase::in_memory().unwrap().sdk_config();
        let store = Store::new(Client::from_conf(config), "proctor-records", Shards(3));
        store.create_table().await.unwrap();
        store
    }

    fn event(name: &str, resource: &str) -> ReceivedEvent {
        serde_json::from_value(json!({
            "occurred": "2026-01-31T09:30:00Z", "event": name, "resource": {"prefect.resource.id": resource},
            "id": Uuid::new_v4(), "received": "2026-01-31T09:30:01Z",
        }))
        .unwrap()
    }

    async fn listen(store: &Store, id: &str, filter: serde_json::Value) -> Connection {
        let now = Timestamp::now();
        store.add_connection(&Connection::new(id, now, Socket::EventsOut)).await.unwrap();
        let found = store.connection(id).await.unwrap().unwrap();
        let filter = Box::new(serde_json::from_value(filter).unwrap());
        let subscription = Subscription::Events(domain::model::EventSubscription {
            filter,
            asked: now,
            backfill: false,
            live_from: now,
        });
        store.subscribe(&found, subscription).await.unwrap().record
    }

    async fn told(store: &Store, event: &ReceivedEvent) -> Vec<String> {
        let mut told = Vec::new();
        for interest in interests::of_event(event) {
            told.extend(store.listeners(&interest).await.unwrap().into_iter().map(|listener| listener.connection));
        }
        told.sort();
        told
    }

    #[tokio::test]
    async fn who_asks_for_something_is_found_by_it_until_the_connection_ends() {
        let store = store().await;
        let all = listen(&store, "all", json!({})).await;
        let one = listen(&store, "one", json!({"resource": {"id": ["kettle"]}})).await;
        listen(&store, "other", json!({"event": {"prefix": ["tea."]}})).await;
        assert_eq!(told(&store, &event("kettle.boiled", "kettle")).await, ["all", "one"]);
        assert_eq!(told(&store, &event("tea.ready", "pot")).await, ["all", "other"]);
        store.end_connection(&one, &[]).await.unwrap();
        store.end_connection(&all, &[]).await.unwrap();
        assert_eq!(told(&store, &event("kettle.boiled", "kettle")).await, [""; 0]);
        assert!(store.connection("one").await.unwrap().is_none());
    }

    #[tokio::test]
    async fn a_place_goes_when_it_is_empty_unless_somebody_was_noted_since() {
        let store = store().await;
        let connection = listen(&store, "all", json!({})).await;
        let [(place, version)] = &store.listened_places().await.unwrap()[..] else { panic!("one place") };
        store.forget_place(place, *version).await.unwrap();
        assert_eq!(store.listened_places().await.unwrap().len(), 1, "somebody is there");
        store.end_connection(&connection, &[]).await.unwrap();
        let again = listen(&store, "again", json!({})).await;
        store.end_connection(&again, &[]).await.unwrap();
        store.forget_place(place, *version).await.unwrap();
        assert_eq!(store.listened_places().await.unwrap().len(), 1, "it was noted anew");
        let [(place, version)] = &store.listened_places().await.unwrap()[..] else { panic!("one place") };
        store.forget_place(place, *version).await.unwrap();
        assert_eq!(store.listened_places().await.unwrap(), []);
    }
}
