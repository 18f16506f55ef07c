//! The change that measures how far the stream's consumer is behind: one item.

use super::{
    CommitError, Item, Key, Record, Store, TableAccess, Versioned, Write,
    table::{self, IndexKey, Shards},
};
use domain::model::{StreamProbe, Timestamp};
use error::Result;

crate::json_record!(StreamProbe);

impl Record for StreamProbe {
    const HEAD: &'static [&'static str] = &["sent", "seen"];

    fn key(&self) -> Key {
        table::stream_probe()
    }

    fn index_keys(&self, _shards: Shards) -> Vec<IndexKey> {
        Vec::new()
    }
}

/// What [`Store::probe_stream`] touches.
pub const PROBE: TableAccess = TableAccess::WRITES;

impl Store {
    /// Makes the next probe of the stream, if it is time for one at `now`; returns the one that there is then.
    pub async fn probe_stream(&self, now: Timestamp) -> Result<StreamProbe> {
        let found = self.get::<StreamProbe>(&table::stream_probe()).await?;
        let (probe, write) = match found {
            None => {
                let probe = StreamProbe::first(now);
                (probe, Write::Insert(Item::of(&probe, 1, self.shards())?))
            }
            Some(Versioned { record, version }) => match record.next(now) {
                None => return Ok(record),
                Some(probe) => (probe, self.replace(&probe, version)?),
            },
        };
        self.written_or_overtaken(write).await?;
        Ok(probe)
    }

    /// Notes at `now` that the consumer came to the `probe`, whose item has this `version`.
    pub async fn see_stream_probe(&self, probe: StreamProbe, version: u64, now: Timestamp) -> Result<()> {
        let seen = StreamProbe { seen: Some(now), ..probe };
        let write = self.replace(&seen, version)?;
        self.written_or_overtaken(write).await
    }

    /// Writes, unless somebody else has written since: one probe at a time is enough, and is seen once.
    async fn written_or_overtaken(&self, write: Write) -> Result<()> {
        match self.commit(vec![write]).await {
            Ok(()) | Err(CommitError::ConditionFailed(_)) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use embedded::EmbeddedDatabase;

    use super::*;

    #[tokio::test]
    async fn a_probe_is_written_when_it_is_due_and_seen_once() {
        let client = aws_sdk_dynamodb::Client::from_conf(EmbeddedDatabase::in_memory().unwrap().sdk_config());
        let store = Store::new(client, "proctor-records", Shards(2));
        store.create_table().await.unwrap();
        let now = Timestamp::now();
        let first = store.probe_stream(now).await.unwrap();
        assert_eq!(store.probe_stream(now.plus_seconds(60.0)).await.unwrap(), first, "it waits");

        store.see_stream_probe(first, 1, now.plus_seconds(1.0)).await.unwrap();
        // The stream may tell of a change again.
        store.see_stream_probe(first, 1, now.plus_seconds(9.0)).await.unwrap();
        let seen = StreamProbe { seen: Some(now.plus_seconds(1.0)), ..first };
        assert_eq!(store.probe_stream(now.plus_seconds(5.0)).await.unwrap(), seen);

        let second = store.probe_stream(now.plus_seconds(20.0)).await.unwrap();
        assert_eq!((second.sent, second.before.unwrap().sent), (now.plus_seconds(20.0), now));
        assert_eq!(store.probe_stream(now.plus_seconds(20.0)).await.unwrap(), second, "it is stored");
    }
}
