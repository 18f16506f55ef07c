//! Dead letters in the table.

use domain::model::{DeadLetter, DeadLetterId, Timestamp};
use error::{Error, Result};

use super::{
    CommitError, Item, Key, Record, Store, TableAccess, Versioned, Write,
    backend::{LARGEST_RECORD, text_size},
    commit::retry_on_conflict,
    entity::Each,
    query::{Direction, Range},
    select::{Source, Window},
    table::{self, Collection, Index, IndexKey, Shards},
};

crate::json_record!(DeadLetter);

impl Record for DeadLetter {
    const HEAD: &'static [&'static str] = &["id", "created", "updated", "kind", "reason", "redrive"];

    fn key(&self) -> Key {
        table::dead_letter(self.id)
    }

    fn index_keys(&self, shards: Shards) -> Vec<IndexKey> {
        let pk = shards.of(Collection::DeadLetters, self.id.0);
        vec![IndexKey { index: Index::Lookup, pk, sk: table::sort_with_id(&self.created.sortable(), self.id) }]
    }
}

/// What [`Store::dead_letters`] touches.
pub const PAGE: TableAccess = TableAccess::READS.via(&[Index::Lookup]);

impl Store {
    /// Keeps `letter`; one with the same content is there once, since it was first put aside.
    pub async fn put_aside(&self, letter: DeadLetter) -> Result<()> {
        retry_on_conflict(|| async {
            let found = self.get::<DeadLetter>(&letter.key()).await?;
            let write = match &found {
                None => Write::Insert(self.item(&letter, 1)?),
                Some(Versioned { record, version }) => {
                    self.replace(&DeadLetter { created: record.created, ..letter.clone() }, *version)?
                }
            };
            self.commit(vec![write]).await
        })
        .await
    }

    /// Reads the dead letter `id`.
    pub async fn dead_letter(&self, id: DeadLetterId) -> Result<Option<Versioned<DeadLetter>>> {
        self.get(&table::dead_letter(id)).await
    }

    /// Returns the dead letters within `window`, the last put aside first.
    pub async fn dead_letters(&self, window: Window) -> Result<Vec<DeadLetter>> {
        let all = Range::all(self, Index::Lookup, Collection::DeadLetters).in_direction(Direction::Descending);
        let newest_first = |one: &DeadLetter, other: &DeadLetter| (other.created, other.id).cmp(&(one.created, one.id));
        let every = None::<fn(&DeadLetter) -> bool>;
        self.select(Source::Ordered(all), &mut Each(every), newest_first, window).await
    }

    /// Asks at `now` that the dead letter `id` be tried again; the consumer of the table's stream sees to it.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is none.
    pub async fn redrive_dead_letter(&self, id: DeadLetterId, now: Timestamp) -> Result<DeadLetter> {
        retry_on_conflict(|| async {
            let found = self.dead_letter(id).await?.ok_or_else(|| Error::missing("dead-letter"))?;
            let letter = DeadLetter { redrive: Some(now), ..found.record };
            self.commit(vec![Write::Replace(self.announced(&letter, found.version + 1)?)]).await?;
            Ok(letter)
        })
        .await
    }

    /// Deletes the dead letter `id`, whose work is done or is to be forgotten.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is none.
    pub async fn delete_dead_letter(&self, id: DeadLetterId) -> Result<()> {
        retry_on_conflict(|| async {
            let found = self.dead_letter(id).await?.ok_or_else(|| Error::missing("dead-letter"))?;
            self.commit(vec![Write::DeleteVersion(table::dead_letter(id), found.version)]).await
        })
        .await
    }

    /// Deletes `letter`, which was read so and whose work is done, unless it was put aside again since.
    pub async fn settle_dead_letter(&self, letter: &Versioned<DeadLetter>) -> Result<()> {
        match self.commit(vec![Write::DeleteVersion(letter.record.key(), letter.version)]).await {
            Ok(()) | Err(CommitError::ConditionFailed(_)) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Says whether `letter` is no larger than the store takes.
    pub fn fits(&self, letter: &DeadLetter) -> Result<bool> {
        Ok(text_size(&Item::of(letter, 1, self.shards())?) <= LARGEST_RECORD)
    }
}
