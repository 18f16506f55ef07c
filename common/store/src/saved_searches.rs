//! Saved searches in the table.

use domain::{
    filter::NamedSort,
    model::{SavedSearch, SavedSearchId},
};
use error::Result;

use super::{
    By, Entity, Key, Record, Store, TableAccess,
    entity::Each,
    query::Range,
    select::{Source, Window},
    table::{self, Collection, Index, IndexKey, Shards},
};

crate::json_record!(SavedSearch);

impl Record for SavedSearch {
    const HEAD: &'static [&'static str] = &["id", "created", "updated", "name"];

    fn key(&self) -> Key {
        table::saved_search(self.id)
    }

    fn index_keys(&self, shards: Shards) -> Vec<IndexKey> {
        let pk = shards.of(Collection::SavedSearches, self.id.0);
        vec![IndexKey { index: Index::ByName, pk, sk: table::sort_with_id(&self.name, self.id) }]
    }
}

impl Entity for SavedSearch {
    type Id = SavedSearchId;

    fn key_of(id: SavedSearchId) -> Key {
        table::saved_search(id)
    }

    fn claim(&self) -> Option<Key> {
        Some(table::unique_saved_search_name(&self.name))
    }
}

/// Names the saved search called `name`.
pub fn called(name: &str) -> By<SavedSearchId> {
    By::Claim(table::unique_saved_search_name(name))
}

/// What [`Store::saved_searches`] touches.
pub const PAGE: TableAccess = TableAccess::READS.via(&[Index::ByName]);

impl Store {
    /// Returns the saved searches within `window`, by name.
    pub async fn saved_searches(&self, window: Window) -> Result<Vec<SavedSearch>> {
        let all = Range::all(self, Index::ByName, Collection::SavedSearches);
        let by_name = |a: &SavedSearch, b: &SavedSearch| NamedSort::NameAsc.compare(a, b);
        self.select(Source::Ordered(all), &mut Each::all(), by_name, window).await
    }
}
