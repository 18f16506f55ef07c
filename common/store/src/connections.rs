//! Websocket connections in the table.

use super::{
    Item, Key, Record, Store, Versioned, Write,
    table::{self, IndexKey, Shards},
};
use domain::model::{ApiKeyId, Connection};
use error::Result;

/// How long a connection is kept, in seconds: API Gateway ends it after two hours (AWS: "Amazon API Gateway quotas").
const KEPT_SECONDS: f64 = 2.25 * 3_600.0;

crate::json_record!(Connection);

impl Record for Connection {
    const HEAD: &'static [&'static str] = &["id", "opened", "is_authenticated", "key"];

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

    /// Deletes the connection `id`, if there is one.
    pub async fn delete_connection(&self, id: &str) -> Result<()> {
        Ok(self.commit(vec![Write::Delete(table::connection(id))]).await?)
    }

    fn connection_item(&self, connection: &Connection, version: u64) -> Result<Item> {
        let mut item = Item::of(connection, version, self.shards())?;
        item.expires = Some(connection.opened.plus_seconds(KEPT_SECONDS).as_seconds());
        Ok(item)
    }
}
