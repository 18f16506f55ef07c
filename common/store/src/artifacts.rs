//! Artifacts in the table, and the collection of those of one key.
//!
//! Each artifact with a key is written and deleted in one transaction with the item of its collection, which says which is
//! the latest: so the collection always points to an artifact that is there. What the latest one holds is not copied.
//!
//! A result is kept with its state as well, where every reader of the state finds it, and is changed there together with its
//! artifact: Prefect's states read it from the artifact.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    CommitError, Item, Key, Record, Store, Versioned, Write,
    commit::retry_on_conflict,
    query::{Direction, Range},
    states::HistoricState,
    table::{self, Collection, Index, IndexKey, Shards, Subject},
};
use domain::{
    events::lifecycle,
    model::{
        Artifact, ArtifactCollection, ArtifactCollectionId, ArtifactId, FlowRun, FlowRunId, LatestArtifact, State,
        TaskRun, Timestamp, ToldCollection, artifact::ResultOf,
    },
};
use error::{Error, Result};

crate::json_record!(Artifact);

impl Record for Artifact {
    const HEAD: &'static [&'static str] = &["id", "created", "updated", "key", "type", "flow_run_id", "task_run_id"];

    fn key(&self) -> Key {
        table::artifact(self.id)
    }

    fn index_keys(&self, shards: Shards) -> Vec<IndexKey> {
        let all = shards.of(Collection::Artifacts, self.id.0);
        let created = table::sort_with_id(&self.created.sortable(), self.id);
        let by_key = self.key.as_deref().map_or_else(table::null, str::to_owned);
        let mut index_keys = vec![
            IndexKey { index: Index::ByTime, pk: all.clone(), sk: created.clone() },
            IndexKey { index: Index::ByName, pk: all, sk: table::sort_with_id(&by_key, self.id) },
        ];
        if let Some(run) = self.flow_run_id {
            index_keys.push(IndexKey {
                index: Index::Related,
                pk: table::artifacts_of_flow_run(run),
                sk: created.clone(),
            });
        }
        if let Some(run) = self.task_run_id {
            index_keys.push(IndexKey { index: Index::Lookup, pk: table::artifacts_of_task_run(run), sk: created });
        }
        index_keys
    }
}

crate::json_record!(ArtifactCollection);

impl Record for ArtifactCollection {
    const HEAD: &'static [&'static str] =
        &["id", "created", "updated", "key", "latest_id", "type", "flow_run_id", "task_run_id"];

    fn key(&self) -> Key {
        table::artifact_collection(&self.key)
    }

    fn index_keys(&self, shards: Shards) -> Vec<IndexKey> {
        let all = shards.of(Collection::ArtifactCollections, self.id.0);
        let created = table::sort_with_id(&self.created.sortable(), self.id);
        vec![
            IndexKey { index: Index::ByTime, pk: all.clone(), sk: created },
            IndexKey { index: Index::ByName, pk: all.clone(), sk: table::sort_with_id(&self.key, self.id) },
            IndexKey { index: Index::Lookup, pk: all, sk: self.id.to_string() },
        ]
    }
}

/// Says that an artifact has a key, in the key's own partition, where it is seen as soon as it is written.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct KeyedArtifact {
    key: String,
    created: Timestamp,
    id: ArtifactId,
}

crate::json_record!(KeyedArtifact);

impl Record for KeyedArtifact {
    const HEAD: &'static [&'static str] = &["key", "created", "id"];

    fn key(&self) -> Key {
        table::keyed_artifact(&self.key, self.created, self.id)
    }

    fn index_keys(&self, _shards: Shards) -> Vec<IndexKey> {
        Vec::new()
    }
}

/// Makes `data` the data of `state`, if that is the one whose result is `result`; returns whether it is.
fn put_data(state: Option<&mut State>, result: ResultOf, data: Option<&Value>) -> bool {
    let Some(state) = state.filter(|state| state.id == result.state) else { return false };
    state.data = data.cloned();
    true
}

impl Store {
    /// Reads the artifact `id`.
    pub async fn artifact(&self, id: ArtifactId) -> Result<Option<Versioned<Artifact>>> {
        self.get(&table::artifact(id)).await
    }

    /// Adds `artifact`, as the latest of its key if it has one.
    ///
    /// # Errors
    /// [`Error::TooLarge`] if it is over what the store takes.
    pub async fn add_artifact(&self, artifact: &Artifact) -> Result<()> {
        retry_on_conflict(|| async {
            match self.commit(self.artifact_writes(artifact).await?).await {
                // The artifact is there: an attempt before was carried out, only its answer was lost.
                Err(CommitError::ConditionFailed(0)) => Ok(()),
                outcome => outcome,
            }
        })
        .await
    }

    /// Returns the writes that add `artifact`, as the latest of its key if it has one; the artifact's own comes first.
    pub async fn artifact_writes(&self, artifact: &Artifact) -> Result<Vec<Write>> {
        let mut writes = vec![self.insert(artifact)?];
        if let Some(key) = &artifact.key {
            let keyed = KeyedArtifact { key: key.clone(), created: artifact.created, id: artifact.id };
            writes.push(Write::Put(self.item(&keyed, 1)?));
            writes.push(match self.get::<ArtifactCollection>(&table::artifact_collection(key)).await? {
                None => {
                    let collection = ArtifactCollection::new(ArtifactCollectionId::new(), key, artifact);
                    Write::Insert(self.announced(&collection, 1)?)
                }
                Some(Versioned { mut record, version }) => {
                    record.follow(artifact, artifact.created);
                    Write::Replace(self.announced(&record, version + 1)?)
                }
            });
        }
        Ok(writes)
    }

    /// Changes the artifact `id`, but neither its key nor its runs.
    ///
    /// Other data becomes the data of the state whose result it is, too. `change` is called again if another request changed
    /// the artifact meanwhile.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is none.
    pub async fn update_artifact(&self, id: ArtifactId, change: impl Fn(&mut Artifact) + Sync) -> Result<()> {
        retry_on_conflict(|| async {
            let before = self.artifact(id).await?.ok_or_else(|| Error::missing("artifact"))?;
            let mut after = before.record.clone();
            change(&mut after);
            let mut writes = vec![self.replace(&after, before.version)?];
            if after.data != before.record.data {
                writes.extend(self.with_result(&after, after.data.as_ref()).await?);
            }
            self.commit(writes).await
        })
        .await
    }

    /// Returns the writes that make `data` the data of the state whose result `artifact` is, if that is still there: in its
    /// run's history, and in the run itself while it is in that state.
    async fn with_result(&self, artifact: &Artifact, data: Option<&Value>) -> Result<Vec<Write>, CommitError> {
        let run = artifact.task_run_id.map(table::task_run).or_else(|| artifact.flow_run_id.map(table::flow_run));
        let Some((result, run)) = artifact.result_of.zip(run) else { return Ok(Vec::new()) };
        let history = table::state(&run, result.entered, result.state);
        let found = self.get_items(&[run.clone(), history.clone()]).await?;
        let Some(found_run) = found.iter().find(|item| item.key == run) else { return Ok(Vec::new()) };
        let (mut writes, version) = (Vec::new(), found_run.version);
        if let Some(apart) = found.iter().find(|item| item.key == history) {
            let mut state = apart.record::<HistoricState>()?.state;
            state.data = data.cloned();
            let due = apart.index_keys.get(&Index::Related.sort()).and_then(|place| table::time_of(place));
            writes.push(self.replace(&HistoricState::new(run, state, due), apart.version)?);
        }
        match Subject::of(&found_run.key) {
            Some(Subject::FlowRun(_)) => {
                let mut run: FlowRun = found_run.record()?;
                let within = run.past.left.iter_mut().find(|state| state.id == result.state);
                if put_data(within.or(run.state.as_mut()), result, data) {
                    writes.push(self.replace(&run, version)?);
                }
            }
            Some(Subject::TaskRun(_)) => {
                let mut run: TaskRun = found_run.record()?;
                let within = run.past.left.iter_mut().find(|state| state.id == result.state);
                if put_data(within.or(run.state.as_mut()), result, data) {
                    writes.push(self.replace(&run, version)?);
                }
            }
            _ => {}
        }
        Ok(writes)
    }

    /// Deletes the artifact `id`; the one created before it becomes the latest of its key, and the state whose result it was
    /// has no data. Returns whether there was one.
    pub async fn delete_artifact(&self, id: ArtifactId, now: Timestamp) -> Result<bool> {
        let deleted = retry_on_conflict(|| async {
            let Some(found) = self.artifact(id).await? else { return Ok(false) };
            let mut writes = vec![Write::DeleteVersion(table::artifact(id), found.version)];
            if let Some(key) = &found.record.key {
                writes.push(Write::Delete(table::keyed_artifact(key, found.record.created, id)));
                writes.extend(self.without(key, found.record.clone(), now).await?);
            }
            writes.extend(self.with_result(&found.record, None).await?);
            self.commit(writes).await?;
            Ok(true)
        })
        .await;
        self.or_unreadable::<Artifact, _>(deleted, &table::artifact(id), true).await
    }

    /// Returns what becomes of the collection of `key` without the artifact `gone`.
    ///
    /// Its item is written in any case: so no other request can make `gone` the latest meanwhile.
    async fn without(&self, key: &str, gone: Artifact, now: Timestamp) -> Result<Vec<Write>, CommitError> {
        let collection = self.get::<ArtifactCollection>(&table::artifact_collection(key)).await?;
        let Some(Versioned { record: mut collection, version }) = collection else { return Ok(Vec::new()) };
        if collection.latest_id != gone.id {
            return Ok(vec![self.replace(&collection, version)?]);
        }
        let Some(before) = self.newest_but(key, gone.id).await? else {
            let event = lifecycle::deleted(&ToldCollection::new(collection, Some(gone)), version, now)?;
            let item = table::artifact_collection(key);
            let tombstone = self.bury(&item, vec![event])?;
            return Ok(vec![Write::DeleteVersion(item, version), tombstone]);
        };
        // It was deleted between two reads, so the collection has changed as well.
        let before = self.artifact(before).await?.ok_or(CommitError::Contended)?.record;
        collection.created = before.created;
        collection.follow(&before, now);
        Ok(vec![Write::Replace(self.announced(&collection, version + 1)?)])
    }

    /// Finds the artifact of `key` that was created last, other than `id`.
    async fn newest_but(&self, key: &str, id: ArtifactId) -> Result<Option<ArtifactId>> {
        let newest_first = artifacts_of_key(key).in_direction(Direction::Descending);
        let mut reader = self.read(newest_first, 2);
        while let Some(items) = reader.more().await? {
            for found in items.iter().filter_map(Item::readable::<KeyedArtifact>) {
                if found.id != id {
                    return Ok(Some(found.id));
                }
            }
        }
        Ok(None)
    }

    /// Finds the artifacts of `key`, the first created first.
    pub(super) async fn artifacts_with_key(&self, key: &str) -> Result<Vec<ArtifactId>> {
        let items = self.read_all(artifacts_of_key(key)).await?;
        Ok(items.iter().filter_map(|item| Some(item.readable::<KeyedArtifact>()?.id)).collect())
    }

    /// Reads the latest artifact of `key`.
    pub async fn latest_artifact(&self, key: &str) -> Result<Option<LatestArtifact>> {
        let Some(found) = self.get::<ArtifactCollection>(&table::artifact_collection(key)).await? else {
            return Ok(None);
        };
        Ok(self.with_latest(vec![found.record]).await?.pop())
    }

    /// Joins each collection with its latest artifact.
    ///
    /// Another one may have become the latest meanwhile, when the one before was deleted: then it is looked up again.
    pub(super) async fn with_latest(&self, collections: Vec<ArtifactCollection>) -> Result<Vec<LatestArtifact>> {
        let keys: Vec<Key> = collections.iter().map(|collection| table::artifact(collection.latest_id)).collect();
        let mut found = self.get_many::<Artifact>(&keys).await?.into_iter().map(|found| found.record).peekable();
        let mut joined = Vec::with_capacity(collections.len());
        for collection in collections {
            if let Some(latest) = found.next_if(|artifact| artifact.id == collection.latest_id) {
                joined.push(LatestArtifact::new(collection, latest));
            } else {
                joined.extend(self.latest_again(&collection.key).await?);
            }
        }
        Ok(joined)
    }

    async fn latest_again(&self, key: &str) -> Result<Option<LatestArtifact>> {
        retry_on_conflict(|| async {
            let found = self.get::<ArtifactCollection>(&table::artifact_collection(key)).await?;
            let Some(Versioned { record: collection, .. }) = found else { return Ok(None) };
            let latest = self.artifact(collection.latest_id).await?.ok_or(CommitError::Contended)?;
            Ok(Some(LatestArtifact::new(collection, latest.record)))
        })
        .await
    }

    /// Returns where the artifacts of a flow run are found, the first created first.
    pub fn artifacts_of_flow_run(id: FlowRunId) -> Range {
        Range::of_index(Index::Related, table::artifacts_of_flow_run(id))
    }
}

fn artifacts_of_key(key: &str) -> Range {
    Range::partition(table::artifacts_of_key(key)).starting_with(table::KEYED_ARTIFACTS)
}
