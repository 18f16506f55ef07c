//! Variables in the table.

use std::collections::HashMap;

use domain::{
    filter::{VariableFilter, VariableSort},
    model::{Variable, VariableId},
};
use error::Result;
use serde_json::Value;

use super::{
    By, Entity, Key, Record, Store, TableAccess,
    entity::Each,
    query::Range,
    select::{Source, Window},
    table::{self, Collection, Index, IndexKey, Shards},
};

crate::json_record!(Variable);

impl Record for Variable {
    const HEAD: &'static [&'static str] = &["id", "created", "updated", "name", "tags"];

    fn key(&self) -> Key {
        table::variable(self.id)
    }

    fn index_keys(&self, shards: Shards) -> Vec<IndexKey> {
        let pk = shards.of(Collection::Variables, self.id.0);
        vec![
            IndexKey { index: Index::ByName, pk: pk.clone(), sk: table::sort_with_id(&self.name, self.id) },
            IndexKey { index: Index::Lookup, pk, sk: table::sort_with_id(&self.created.sortable(), self.id) },
        ]
    }
}

impl Entity for Variable {
    type Id = VariableId;

    fn key_of(id: VariableId) -> Key {
        table::variable(id)
    }

    fn claim(&self) -> Option<Key> {
        Some(table::unique_variable_name(&self.name))
    }
}

/// Names the variable called `name`.
pub fn called(name: &str) -> By<VariableId> {
    By::Claim(table::unique_variable_name(name))
}

/// What [`Store::variables`] touches.
pub const FILTER: TableAccess = TableAccess::READS.via(&[Index::ByName, Index::Lookup]);

/// What [`Store::count_variables`] touches.
pub const COUNT: TableAccess = TableAccess::READS.via(&[Index::ByName]);

/// What [`Store::variable_values`] touches.
pub const VALUES: TableAccess = TableAccess::READS;

impl Store {
    /// Reads the values of those of `names` that there are variables of.
    pub async fn variable_values(&self, names: &[String]) -> Result<HashMap<String, Value>> {
        let found = self.find_by_claims::<Variable>(&claims(names)).await?;
        Ok(found.into_iter().map(|found| (found.record.name, found.record.value)).collect())
    }

    /// Returns the variables that `filter` selects, within `window`, in the order of `sort`.
    pub async fn variables(
        &self,
        filter: Option<&VariableFilter>,
        sort: VariableSort,
        window: Window,
    ) -> Result<Vec<Variable>> {
        let source = self.variable_source(filter, sort).await?;
        self.select(source, &mut matcher(filter), |a, b| sort.compare(a, b), window).await
    }

    /// Counts the variables that `filter` selects.
    pub async fn count_variables(&self, filter: Option<&VariableFilter>) -> Result<u64> {
        let source = self.variable_source(filter, VariableSort::default()).await?;
        self.select_count(source, &mut matcher(filter)).await
    }

    async fn variable_source(&self, filter: Option<&VariableFilter>, sort: VariableSort) -> Result<Source> {
        if let Some(ids) = filter.and_then(VariableFilter::ids) {
            return Ok(Source::keys(ids.iter().copied().map(table::variable)));
        }
        if let Some(names) = filter.and_then(VariableFilter::names) {
            return Ok(Source::Keys(self.keys_by_claims::<Variable>(&claims(names)).await?));
        }
        let all = |index| Range::all(self, index, Collection::Variables).in_direction(sort.direction());
        Ok(match sort {
            VariableSort::NameAsc | VariableSort::NameDesc => Source::Ordered(all(Index::ByName)),
            VariableSort::CreatedDesc => Source::Ordered(all(Index::Lookup)),
            VariableSort::UpdatedDesc => Source::Unordered(vec![all(Index::Lookup)]),
        })
    }
}

fn claims(names: &[String]) -> Vec<Key> {
    names.iter().map(|name| table::unique_variable_name(name)).collect()
}

fn matcher(filter: Option<&VariableFilter>) -> Each<impl Fn(&Variable) -> bool> {
    Each(filter.map(|filter| |variable: &Variable| filter.matches(variable)))
}
