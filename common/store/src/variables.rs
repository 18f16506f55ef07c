//! Variables in the table.

use std::{collections::HashMap, time::Duration};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    CommitError, Item, Key, Record, Store, Versioned, Write,
    query::Range,
    select::{Matcher, Source, Window},
    table::{self, Collection, Index, IndexKey, Shards},
};
use domain::{
    filter::{VariableFilter, VariableSort},
    model::{Timestamp, Variable, VariableId},
};
use error::{Error, Result};

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

impl Store {
    /// Reads the variable `id`.
    pub async fn variable(&self, id: VariableId) -> Result<Option<Versioned<Variable>>> {
        self.get(&table::variable(id)).await
    }

    /// Reads the variable called `name`.
    pub async fn variable_by_name(&self, name: &str) -> Result<Option<Versioned<Variable>>> {
        match self.owner(&table::unique_variable_name(name)).await? {
            Some(id) => self.variable(id.into()).await,
            None => Ok(None),
        }
    }

    /// Reads the values of those of `names` that there are variables of.
    pub async fn variable_values(&self, names: &[String]) -> Result<HashMap<String, Value>> {
        let keys = self.variable_keys(names).await?;
        let found = self.get_many::<Variable>(&keys).await?;
        Ok(found.into_iter().map(|found| (found.record.name, found.record.value)).collect())
    }

    async fn variable_keys(&self, names: &[String]) -> Result<Vec<Key>> {
        let claims: Vec<Key> = names.iter().map(|name| table::unique_variable_name(name)).collect();
        Ok(self.owners(&claims).await?.into_iter().map(|id| table::variable(id.into())).collect())
    }

    /// Returns the variables that `filter` selects, within `window`, in the order of `sort`.
    pub async fn variables(
        &self,
        filter: Option<&VariableFilter>,
        sort: VariableSort,
        window: Window,
    ) -> Result<Vec<Variable>> {
        let source = self.variable_source(filter, sort).await?;
        self.select(source, &mut VariableMatcher(filter), |a, b| sort.compare(a, b), window).await
    }

    /// Counts the variables that `filter` selects.
    pub async fn count_variables(&self, filter: Option<&VariableFilter>) -> Result<u64> {
        let source = self.variable_source(filter, VariableSort::default()).await?;
        self.select_count(source, &mut VariableMatcher(filter)).await
    }

    async fn variable_source(&self, filter: Option<&VariableFilter>, sort: VariableSort) -> Result<Source> {
        let named = if let Some(ids) = filter.and_then(VariableFilter::ids) {
            Some(ids.iter().copied().map(table::variable).collect())
        } else if let Some(names) = filter.and_then(VariableFilter::names) {
            Some(self.variable_keys(names).await?)
        } else {
            None
        };
        if let Some(mut keys) = named {
            keys.sort();
            keys.dedup();
            return Ok(Source::Keys(keys));
        }
        let all = |index| Range::all(self, index, Collection::Variables).in_direction(sort.direction());
        Ok(match sort {
            VariableSort::NameAsc | VariableSort::NameDesc => Source::Ordered(all(Index::ByName)),
            VariableSort::CreatedDesc => Source::Ordered(all(Index::Lookup)),
            VariableSort::UpdatedDesc => Source::Unordered(vec![all(Index::Lookup)]),
        })
    }

    /// Adds `variable`.
    ///
    /// # Errors
    /// [`Error::Conflict`] if there is one of its name.
    pub async fn add_variable(&self, variable: &Variable) -> Result<()> {
        let claim = self.claim(table::unique_variable_name(&variable.name), variable.id)?;
        match self.commit(vec![self.insert(variable)?, claim]).await {
            Ok(()) => Ok(()),
            // With our id, the write before was carried out, only its answer was lost.
            Err(CommitError::ConditionFailed(_)) if self.variable(variable.id).await?.is_some() => Ok(()),
            Err(CommitError::ConditionFailed(_)) => Err(Error::integrity_conflict()),
            Err(error) => Err(error.into()),
        }
    }

    /// Replaces a variable that was read as `found`.
    ///
    /// # Errors
    /// [`CommitError::Failed`] with [`Error::Conflict`] if another variable has the new name.
    pub async fn update_variable(&self, found: &Versioned<Variable>, after: &Variable) -> Result<(), CommitError> {
        let mut writes = vec![self.replace(after, found.version)?];
        if found.record.name != after.name {
            writes.push(self.claim(table::unique_variable_name(&after.name), after.id)?);
            writes.push(Write::Delete(table::unique_variable_name(&found.record.name)));
        }
        match self.commit(writes).await {
            Err(CommitError::ConditionFailed(1)) => Err(Error::integrity_conflict().into()),
            outcome => outcome,
        }
    }

    /// Deletes a variable that was read at its version.
    ///
    /// The event of its deletion is emitted by the consumer of the table's stream.
    pub async fn delete_variable(&self, found: Versioned<Variable>) -> Result<(), CommitError> {
        let Versioned { record: variable, version } = found;
        let claim = Write::Delete(table::unique_variable_name(&variable.name));
        let key = table::variable(variable.id);
        let deleted = DeletedVariable { variable, deleted: Timestamp::now() };
        let mut notice = Item::of(&deleted, 1, self.shards())?;
        notice.expires = Some(deleted.deleted.plus(NOTICE_KEPT).as_seconds());
        self.commit(vec![Write::DeleteVersion(key, version), claim, Write::Put(notice)]).await
    }
}

/// Decides which variables match.
struct VariableMatcher<'f>(Option<&'f VariableFilter>);

impl Matcher<Variable> for VariableMatcher<'_> {
    fn matches_all(&self) -> bool {
        self.0.is_none()
    }

    async fn keep(&mut self, _store: &Store, mut variables: Vec<Variable>) -> Result<Vec<Variable>> {
        variables.retain(|variable| self.0.is_none_or(|filter| filter.matches(variable)));
        Ok(variables)
    }
}

/// How long a deleted variable is remembered: as long as DynamoDB keeps what its stream has to tell.
const NOTICE_KEPT: Duration = Duration::from_hours(24);

/// What is kept of a deleted variable for the stream's consumer, because the stream tells no more of it than its key.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DeletedVariable {
    /// The variable as it was last.
    pub variable: Variable,
    /// When it was deleted.
    pub deleted: Timestamp,
}

impl Record for DeletedVariable {
    const HEAD: &'static [&'static str] = &["deleted"];

    fn key(&self) -> Key {
        table::deleted_variable(self.variable.id)
    }

    fn index_keys(&self, _shards: Shards) -> Vec<IndexKey> {
        Vec::new()
    }
}
