//! Websocket connections in the table.

use super::{
    Item, Key, Record, Store, Versioned, Write,
    commit::was_written,
    table::{self, IndexKey, Shards},
};
use domain::{
    interests::Interest,
    model::{ApiKeyId, Connection, Subscription, Timestamp, is_relayed},
};
use error::Result;

/// How long a connection is kept, in seconds: API Gateway ends it after two hours (AWS: "Amazon API Gateway quotas").
const KEPT_SECONDS: f64 = 2.25 * 3_600.0;

/// How long a connection of the relay is kept, in seconds, which has no end: longer than a machine runs.
///
/// What a relay leaves that died is gone when somebody sends to it.
const RELAYED_KEPT_SECONDS: f64 = 400.0 * 86_400.0;

/// Returns until when `connection` is kept.
pub(super) fn kept_until(connection: &Connection) -> Timestamp {
    let seconds = if is_relayed(&connection.id) { RELAYED_KEPT_SECONDS } else { KEPT_SECONDS };
    connection.opened.plus_seconds(seconds)
}

crate::json_record!(Connection);

impl Record for Connection {
    const HEAD: &'static [&'static str] = &["id", "opened", "is_authenticated", "key", "socket"];

    fn key(&self) -> Key {
        table::connection(&self.id)
    }

    fn index_keys(&self, _shards: Shards) -> Vec<IndexKey> {
        Vec::new()
    }
}

impl Store {
    /// Reads the connection `id`.
    pub async fn connection(&self, id: &str) -> Result<Option<Versioned<Connection>>> {
        self.get(&table::connection(id)).await
    }

    /// Reads the connections of these `ids`, in their order and without those that are gone.
    pub async fn connections(&self, ids: &[String]) -> Result<Vec<Versioned<Connection>>> {
        let keys: Vec<Key> = ids.iter().map(|id| table::connection(id)).collect();
        self.get_many(&keys).await
    }

    /// Adds `connection`; again, if the gateway tells of it again.
    pub async fn add_connection(&self, connection: &Connection) -> Result<()> {
        Ok(self.commit(vec![Write::Put(self.connection_item(connection, 1)?)]).await?)
    }

    /// Notes that the client of `connection` has shown what the server asks for, and with which key.
    ///
    /// # Errors
    /// [`error::Error::Conflict`] if the connection is gone.
    pub async fn let_in(&self, connection: Versioned<Connection>, key: Option<ApiKeyId>) -> Result<()> {
        let Versioned { mut record, version } = connection;
        record.is_authenticated = true;
        record.key = key;
        Ok(self.commit(vec![Write::Replace(self.connection_item(&record, version + 1)?)]).await?)
    }

    /// Notes what the client of `connection` has asked for, there and where it is looked for.
    ///
    /// # Errors
    /// [`error::Error::Conflict`] if the connection has changed, or is gone.
    pub async fn subscribe(
        &self,
        connection: &Versioned<Connection>,
        subscription: Subscription,
    ) -> Result<Versioned<Connection>> {
        let record = Connection { subscription: Some(subscription), ..connection.record.clone() };
        let interests = record.subscription.as_ref().map(Subscription::interests).unwrap_or_default();
        let version = connection.version + 1;
        let mut writes = vec![Write::Replace(self.connection_item(&record, version)?)];
        writes.extend(self.notes(&record, &interests)?);
        self.commit(writes).await?;
        Ok(Versioned { record, version })
    }

    /// Changes a connection of this version, and writes `beside` together with it; returns whether it was still that.
    pub async fn change_connection(&self, connection: &Connection, version: u64, beside: Vec<Write>) -> Result<bool> {
        let mut writes = vec![Write::Replace(self.connection_item(connection, version + 1)?)];
        writes.extend(beside);
        was_written(self.commit(writes).await)
    }

    /// Deletes the connection `id`, if there is one.
    pub async fn delete_connection(&self, id: &str) -> Result<()> {
        Ok(self.commit(vec![Write::Delete(table::connection(id))]).await?)
    }

    /// Deletes `connection`, and where it is looked for: under what it has asked for, and under `others`.
    pub async fn end_connection(&self, connection: &Connection, others: &[Interest]) -> Result<()> {
        let mut interests = connection.subscription.as_ref().map(Subscription::interests).unwrap_or_default();
        interests.extend_from_slice(others);
        // The connection goes last: what is left of it by a process that dies is found again as long as it is there.
        self.unlist(&connection.id, &interests).await?;
        self.delete_connection(&connection.id).await
    }

    pub(super) fn connection_item(&self, connection: &Connection, version: u64) -> Result<Item> {
        let mut item = Item::of(connection, version, self.shards())?;
        item.expires = Some(kept_until(connection).as_seconds());
        Ok(item)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::model::Socket;

    #[test]
    fn a_connection_of_the_relay_outlives_those_of_api_gateway() {
        let opened = Timestamp::now();
        let kept = |id: &str| kept_until(&Connection::new(id, opened, Socket::EventsOut)).seconds_since(opened);
        assert!(kept("L0SM9cOFvHcCIhw=") < 3.0 * 3_600.0);
        assert!(kept("relay.00000000000000000000000000000000") > 365.0 * 86_400.0);
    }
}
