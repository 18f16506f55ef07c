//! Automations in the table.
//!
//! Beside an automation stand notes under the resources that it has to do with, written and deleted in the transactions
//! that write and delete the automation. So the automations of a resource are one partition.

use budget::Bound;
use domain::{
    filter::{AutomationFilter, AutomationSort},
    model::{Automation, AutomationId, StoredAutomation, Timestamp},
};
use error::Result;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    CommitError, Entity, Item, Key, Record, Store, TableAccess, Versioned, Write,
    commit::retry_on_conflict,
    entity::Each,
    query::Range,
    select::{Source, Window},
    table::{self, Collection, Index, IndexKey, Shards},
};

crate::json_record!(StoredAutomation);

impl Record for StoredAutomation {
    const HEAD: &'static [&'static str] = &["id", "created", "updated", "name", "enabled", "tags"];

    fn key(&self) -> Key {
        table::automation(self.automation.id)
    }

    fn index_keys(&self, shards: Shards) -> Vec<IndexKey> {
        let automation = &self.automation;
        let pk = shards.of(Collection::Automations, automation.id.0);
        vec![
            IndexKey { index: Index::ByName, pk: pk.clone(), sk: table::sort_with_id(&automation.name, automation.id) },
            IndexKey {
                index: Index::Lookup,
                pk,
                sk: table::sort_with_id(&automation.created.sortable(), automation.id),
            },
        ]
    }
}

impl Entity for StoredAutomation {
    type Id = AutomationId;

    fn key_of(id: AutomationId) -> Key {
        table::automation(id)
    }
}

/// A note that an automation has to do with a resource.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RelatedAutomation {
    /// Where the note is: in the partition of the resource.
    #[serde(skip, default = "Key::nowhere")]
    key: Key,
    /// Whether the automation belongs to the resource, and is deleted with it.
    pub is_owned: bool,
}

crate::json_record!(RelatedAutomation);

impl Record for RelatedAutomation {
    const HEAD: &'static [&'static str] = &[];

    fn key(&self) -> Key {
        self.key.clone()
    }

    fn index_keys(&self, _shards: Shards) -> Vec<IndexKey> {
        Vec::new()
    }
}

/// A note that an automation is evaluated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EvaluatedAutomation {
    /// The automation.
    pub automation: AutomationId,
    /// When the automation was last changed.
    pub updated: Timestamp,
}

crate::json_record!(EvaluatedAutomation);

impl Record for EvaluatedAutomation {
    const HEAD: &'static [&'static str] = &["automation", "updated"];

    fn key(&self) -> Key {
        table::evaluated_automation(self.automation)
    }

    fn index_keys(&self, _shards: Shards) -> Vec<IndexKey> {
        Vec::new()
    }
}

/// Which automations are evaluated, as a token that changes with them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EvaluatedAutomations {
    /// The token.
    pub token: Uuid,
}

crate::json_record!(EvaluatedAutomations);

impl Record for EvaluatedAutomations {
    const HEAD: &'static [&'static str] = &["token"];

    fn key(&self) -> Key {
        table::evaluated_automations()
    }

    fn index_keys(&self, _shards: Shards) -> Vec<IndexKey> {
        Vec::new()
    }
}

/// What [`Store::automations`] touches.
pub const FILTER: TableAccess = TableAccess::READS.via(&[Index::ByName, Index::Lookup]);

/// What [`Store::count_automations`] touches.
pub const COUNT: TableAccess = TableAccess::READS.via(&[Index::ByName]);

impl Store {
    /// Adds an automation, and notes it under the resources that it has to do with.
    ///
    /// # Errors
    /// [`Error::Exceeded`] if it goes beyond [`Bound::AutomationBytes`] or [`Bound::AutomationDeployments`].
    pub async fn add_automation(&self, automation: &StoredAutomation) -> Result<()> {
        check_bounds(automation)?;
        let notes = automation.related_resources();
        let notes = notes.iter().map(|resource| self.note(automation, resource)).collect::<Result<Vec<_>>>()?;
        retry_on_conflict(|| async {
            let mut writes = self.additions(automation)?;
            writes.extend(notes.iter().cloned());
            writes.extend(self.evaluation(automation)?);
            match self.commit(writes).await {
                // With our id, the write before was carried out, only its answer was lost.
                Err(CommitError::ConditionFailed(_)) => Ok(()),
                outcome => outcome,
            }
        })
        .await
    }

    /// Changes the automation `id`, and where it is noted, and writes `beside` together with it.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is none, those of [`Self::add_automation`], and those of `change`.
    pub async fn update_automation(
        &self,
        id: AutomationId,
        change: impl Fn(&mut StoredAutomation) -> Result<()> + Sync,
        beside: &[Write],
    ) -> Result<StoredAutomation> {
        let within_bounds = |automation: &mut StoredAutomation| {
            change(automation)?;
            check_bounds(automation)
        };
        self.update_with(id, within_bounds, |before: &StoredAutomation, after| {
            let (old, new) = (before.related_resources(), after.related_resources());
            let mut writes: Vec<Write> = old.difference(&new).map(|resource| denote(before, resource)).collect();
            for resource in new.difference(&old) {
                writes.push(self.note(after, resource)?);
            }
            writes.extend(self.evaluation(after)?);
            writes.extend_from_slice(beside);
            Ok(writes)
        })
        .await
    }

    /// Deletes the automation `id`, and where it is noted.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is none.
    pub async fn delete_automation(&self, id: AutomationId) -> Result<()> {
        self.delete_with(id, |automation| {
            let mut writes = denotes(automation);
            writes.extend(self.no_evaluation(id).into_iter().flatten());
            writes
        })
        .await
    }

    /// Reads the automations that have to do with a resource, such as `prefect.deployment.<id>`, by their ids.
    pub async fn automations_related_to(&self, resource: &str) -> Result<Vec<StoredAutomation>> {
        let notes = self.read_all(Range::partition(table::automations_of(resource))).await?;
        Ok(self.noted(&notes).await?.into_iter().map(|found| found.record).collect())
    }

    /// Deletes the automations that belong to a resource and were created up to `until`.
    ///
    /// No event tells of it, as in Prefect.
    pub async fn delete_automations_owned_by(&self, resource: &str, until: Timestamp) -> Result<()> {
        let mut notes = self.read_all(Range::partition(table::automations_of(resource))).await?;
        notes.retain(|note| note.readable::<RelatedAutomation>().is_some_and(|note| note.is_owned));
        for found in self.noted(&notes).await? {
            let id = found.record.automation.id;
            if found.record.automation.created > until {
                continue;
            }
            retry_on_conflict(|| async {
                let Some(found) = self.find::<StoredAutomation>(id).await? else { return Ok(()) };
                let mut writes = vec![Write::DeleteVersion(found.record.key(), found.version)];
                writes.extend(denotes(&found.record));
                writes.extend(self.no_evaluation(id)?);
                self.commit(writes).await
            })
            .await?;
        }
        Ok(())
    }

    /// Reads the token that changes whenever an automation is added, changed or deleted; none if there never was one.
    pub async fn evaluated_automations_token(&self) -> Result<Option<Uuid>> {
        let found = self.get::<EvaluatedAutomations>(&table::evaluated_automations()).await?;
        Ok(found.map(|found| found.record.token))
    }

    /// Reads which automations are evaluated, strongly consistent and in no order.
    pub async fn evaluated_automations(&self) -> Result<Vec<EvaluatedAutomation>> {
        let first = table::evaluated_automation(AutomationId(Uuid::nil()));
        let range = Range::partition(first.pk).starting_with("automation#");
        let notes = self.read_all(range).await?;
        Ok(notes.iter().filter_map(Item::readable).collect())
    }

    /// Reads automations by their ids, without those that are not there.
    pub async fn automations_by_id(&self, ids: &[AutomationId]) -> Result<Vec<StoredAutomation>> {
        let keys: Vec<Key> = ids.iter().copied().map(table::automation).collect();
        Ok(self.get_many(&keys).await?.into_iter().map(|found| found.record).collect())
    }

    /// Returns the automations that `filter` selects, within `window`, in the order of `sort`.
    pub async fn automations(
        &self,
        filter: Option<&AutomationFilter>,
        sort: AutomationSort,
        window: Window,
    ) -> Result<Vec<StoredAutomation>> {
        let source = self.automation_source(filter, sort);
        self.select(source, &mut matcher(filter), |a, b| sort.compare(a, b), window).await
    }

    /// Counts the automations that `filter` selects.
    pub async fn count_automations(&self, filter: Option<&AutomationFilter>) -> Result<u64> {
        let source = self.automation_source(filter, AutomationSort::default());
        self.select_count(source, &mut matcher(filter)).await
    }

    fn automation_source(&self, filter: Option<&AutomationFilter>, sort: AutomationSort) -> Source {
        if let Some(ids) = filter.and_then(AutomationFilter::ids) {
            return Source::keys(ids.iter().copied().map(table::automation));
        }
        let all = |index| Range::all(self, index, Collection::Automations).in_direction(sort.direction());
        match sort {
            AutomationSort::NameAsc | AutomationSort::NameDesc => Source::Ordered(all(Index::ByName)),
            AutomationSort::CreatedDesc => Source::Ordered(all(Index::Lookup)),
            AutomationSort::UpdatedDesc => Source::Unordered(vec![all(Index::Lookup)]),
        }
    }

    /// Reads the automations that are noted.
    async fn noted(&self, notes: &[Item]) -> Result<Vec<Versioned<StoredAutomation>>> {
        let ids = notes.iter().filter_map(|note| note.key.sk.parse::<AutomationId>().ok());
        self.get_many(&ids.map(table::automation).collect::<Vec<_>>()).await
    }

    /// Returns the writes that note whether an automation is evaluated, and that this has changed.
    fn evaluation(&self, automation: &StoredAutomation) -> Result<Vec<Write>> {
        let Automation { id, enabled, updated, .. } = automation.automation;
        if !enabled {
            return self.no_evaluation(id);
        }
        let note = EvaluatedAutomation { automation: id, updated };
        Ok(vec![Write::Put(Item::of(&note, 1, self.shards())?), self.new_token()?])
    }

    /// Returns the writes that note that an automation is not evaluated, and that this has changed.
    fn no_evaluation(&self, id: AutomationId) -> Result<Vec<Write>> {
        Ok(vec![Write::Delete(table::evaluated_automation(id)), self.new_token()?])
    }

    fn new_token(&self) -> Result<Write> {
        Ok(Write::Put(Item::of(&EvaluatedAutomations { token: Uuid::new_v4() }, 1, self.shards())?))
    }

    /// Returns the write that notes an automation under a resource.
    fn note(&self, automation: &StoredAutomation, resource: &str) -> Result<Write> {
        let note = RelatedAutomation {
            key: table::related_automation(resource, automation.automation.id),
            is_owned: automation.owner_resource.as_deref() == Some(resource),
        };
        Ok(Write::Put(Item::of(&note, 1, self.shards())?))
    }
}

/// Returns the writes that delete where an automation is noted.
fn denotes(automation: &StoredAutomation) -> Vec<Write> {
    automation.related_resources().iter().map(|resource| denote(automation, resource)).collect()
}

fn denote(automation: &StoredAutomation, resource: &str) -> Write {
    Write::Delete(table::related_automation(resource, automation.automation.id))
}

fn check_bounds(automation: &StoredAutomation) -> Result<()> {
    let owners = usize::from(automation.owner_resource.is_some());
    Bound::AutomationDeployments.check(automation.related_resources().len().saturating_sub(owners))?;
    Bound::AutomationBytes.check(serde_json::to_vec(automation)?.len())?;
    Ok(())
}

fn matcher(filter: Option<&AutomationFilter>) -> Each<impl Fn(&StoredAutomation) -> bool> {
    Each(filter.map(|filter| |automation: &StoredAutomation| filter.matches(&automation.automation)))
}

#[cfg(test)]
mod tests {
    use embedded::EmbeddedDatabase;
    use serde_json::{Value, json};

    use super::*;
    use domain::model::automation::TriggerId;
    use error::Error;

    const MINE: &str = "prefect.deployment.aaaaaaaa-0000-4000-8000-000000000001";

    async fn store() -> Store {
        let config = EmbeddedDatabase::in_memory().unwrap().sdk_config();
        let store = Store::new(aws_sdk_dynamodb::Client::from_conf(config), "proctor-records", Shards(1));
        store.create_table().await.unwrap();
        store
    }

    fn runs(deployment: u32) -> Value {
        let id = format!("aaaaaaaa-0000-4000-8000-{deployment:012}");
        json!({"type": "run-deployment", "source": "selected", "deployment_id": id})
    }

    fn automation(actions: &Value, owner: Option<&str>) -> StoredAutomation {
        let record = json!({
            "name": "mine", "trigger": {"type": "event", "id": TriggerId::new(), "posture": "Reactive"},
            "actions": actions, "id": AutomationId::new(), "created": Timestamp::now(), "updated": Timestamp::now(),
            "owner_resource": owner,
        });
        serde_json::from_value(record).unwrap()
    }

    async fn related(store: &Store, deployment: u32) -> usize {
        let resource = format!("prefect.deployment.aaaaaaaa-0000-4000-8000-{deployment:012}");
        store.automations_related_to(&resource).await.unwrap().len()
    }

    #[tokio::test]
    async fn is_found_by_the_resources_that_it_has_to_do_with_at_last() {
        let store = store().await;
        let made = automation(&json!([runs(1), runs(2)]), None);
        store.add_automation(&made).await.unwrap();
        assert_eq!(store.automations_related_to(MINE).await.unwrap(), std::slice::from_ref(&made));
        let actions: Vec<_> = serde_json::from_value(json!([runs(2), runs(3)])).unwrap();
        let change = |automation: &mut StoredAutomation| {
            automation.automation.actions.clone_from(&actions);
            Ok(())
        };
        store.update_automation(made.automation.id, change, &[]).await.unwrap();
        assert_eq!([related(&store, 1).await, related(&store, 2).await, related(&store, 3).await], [0, 1, 1]);
        store.delete_automation(made.automation.id).await.unwrap();
        assert_eq!([related(&store, 2).await, related(&store, 3).await], [0, 0]);
    }

    #[tokio::test]
    async fn only_what_a_resource_owned_before_is_deleted_with_it() {
        let store = store().await;
        let owned = automation(&json!([runs(1), runs(2)]), Some(MINE));
        let related_only = automation(&json!([runs(1)]), Some("other"));
        for automation in [&owned, &related_only] {
            store.add_automation(automation).await.unwrap();
        }
        let before = owned.automation.created.plus_seconds(-1.0);
        store.delete_automations_owned_by(MINE, before).await.unwrap();
        assert_eq!(related(&store, 1).await, 2);
        store.delete_automations_owned_by(MINE, Timestamp::now()).await.unwrap();
        assert_eq!(store.automations_related_to(MINE).await.unwrap(), [related_only]);
        assert_eq!(related(&store, 2).await, 0);
        assert_eq!(store.count_automations(None).await.unwrap(), 1);
    }

    #[tokio::test]
    async fn what_is_too_much_is_not_stored() {
        let store = store().await;
        let many = |count| automation(&(0..count).map(runs).collect::<Vec<_>>().into(), Some("other"));
        store.add_automation(&many(45)).await.unwrap();
        assert!(matches!(store.add_automation(&many(46)).await, Err(Error::Exceeded(_))));
        let mut long = automation(&json!([]), None);
        long.automation.description = "x".repeat(200 * 1024);
        assert!(matches!(store.add_automation(&long).await, Err(Error::Exceeded(_))));
        assert_eq!(store.count_automations(None).await.unwrap(), 1);
        // All the resources change at once.
        let id = store.automations(None, AutomationSort::default(), Window { offset: 0, limit: 1 }).await.unwrap()[0]
            .automation
            .id;
        let others: Vec<_> = serde_json::from_value((100..145).map(runs).collect::<Vec<_>>().into()).unwrap();
        let change = |automation: &mut StoredAutomation| {
            automation.automation.actions.clone_from(&others);
            Ok(())
        };
        store.update_automation(id, change, &[]).await.unwrap();
        store.delete_automation(id).await.unwrap();
    }
}
