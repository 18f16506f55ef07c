//! Looks at every item of the table, finds what can't be read, and mends what can be mended for certain.
//!
//! It reads the whole table, so no request does it: the command `proctor check` does. Every repair has the condition that
//! nobody wrote the item meanwhile, so that a server may go on beside it.

use std::fmt;

use super::{
    Item, Key, Store, Write,
    backend::BodyPart,
    commit::was_written,
    schema::{EntityKind, Piece},
    table,
    unique::Claim,
};
use domain::model::Timestamp;
use error::Result;

/// How long a part of a text may wait for the item that names it, in seconds, before it is taken to be nobody's.
const PART_MAY_WAIT: f64 = 3_600.0;

/// How many items one page of the walk holds at most.
const PAGE: usize = 500;

/// What is wrong with an item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    /// Its key is of no kind that there is.
    UnknownKind,
    /// Its record can't be read.
    Unreadable(String),
    /// A time in it lies beyond the calendar.
    BeyondCalendar,
    /// It claims a name or key for a record that is gone.
    ClaimOfNobody,
    /// It is a part of a text that no item names.
    PartOfNothing,
}

impl Problem {
    /// Returns the problem's name, by which programs know it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::UnknownKind => "unknown_kind",
            Self::Unreadable(_) => "unreadable",
            Self::BeyondCalendar => "beyond_calendar",
            Self::ClaimOfNobody => "claim_of_nobody",
            Self::PartOfNothing => "part_of_nothing",
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownKind => formatter.write_str("its key is of no kind that there is"),
            Self::Unreadable(error) => write!(formatter, "it can't be read: {error}"),
            Self::BeyondCalendar => formatter.write_str("a time in it lies beyond the years 1 to 9999"),
            Self::ClaimOfNobody => formatter.write_str("it claims a name for a record that is gone"),
            Self::PartOfNothing => formatter.write_str("it is a part of a text that no item names"),
        }
    }
}

/// An item with which something is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The item's key.
    pub key: Key,
    /// What is wrong with it.
    pub problem: Problem,
    /// Whether it is right now.
    pub is_mended: bool,
}

/// What happens while the table is looked at.
#[derive(Clone, Copy, Debug)]
pub enum Step<'a> {
    /// So many more items are about to be looked at.
    Read(usize),
    /// Something is wrong with an item.
    Found(&'a Finding),
}

/// What a walk over the table has seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Checked {
    /// Items that were read.
    pub items: u64,
    /// Items with which something was wrong.
    pub found: u64,
    /// Those of them that are right now.
    pub mended: u64,
}

impl Store {
    /// Reads every item of the table and tells `tell` each step and what is wrong; mends that if `repairs`.
    ///
    /// It takes the right to scan the table, which no function has.
    ///
    /// # Errors
    /// Those of the store; what was mended before stays so.
    pub async fn check(&self, repairs: bool, mut tell: impl FnMut(Step<'_>)) -> Result<Checked> {
        let (mut checked, mut start) = (Checked::default(), None);
        loop {
            let (page, _) = self.backend.walk(start, PAGE).await?;
            tell(Step::Read(page.items.len()));
            for item in page.items {
                checked.items += 1;
                let Some(problem) = self.problem_of(&item).await? else { continue };
                let is_mended = repairs && self.mend(&item, &problem).await?;
                checked.found += 1;
                checked.mended += u64::from(is_mended);
                tell(Step::Found(&Finding { key: item.key, problem, is_mended }));
            }
            start = page.next;
            if start.is_none() {
                return Ok(checked);
            }
        }
    }

    async fn problem_of(&self, item: &Item) -> Result<Option<Problem>> {
        if item.key.is_tombstone() {
            return Ok(None);
        }
        let Some((kind, read)) = table::read_as_its_kind(item) else { return Ok(Some(Problem::UnknownKind)) };
        if mended(item).is_some() {
            return Ok(Some(Problem::BeyondCalendar));
        }
        if let Err(error) = read {
            return Ok(Some(Problem::Unreadable(error.to_string())));
        }
        if kind.name == "body_part" {
            let is_anybodys = self.is_named(item).await?;
            return Ok(if is_anybodys { None } else { Some(Problem::PartOfNothing) });
        }
        let Some(claimed) = claimed(kind) else { return Ok(None) };
        let owner = claimed.key_of(&item.record::<Claim>()?.owner.to_string());
        let is_there = self.get_item(&owner).await?.is_some() || self.get_item(&item.key).await?.as_ref() != Some(item);
        Ok(if is_there { None } else { Some(Problem::ClaimOfNobody) })
    }

    /// Says whether an item names the part `item`, or may be about to, or did until a moment ago.
    async fn is_named(&self, item: &Item) -> Result<bool> {
        let part: BodyPart = item.record()?;
        if Timestamp::now().seconds_since(part.created) < PART_MAY_WAIT {
            return Ok(true);
        }
        Ok(self.backend.named_parts(&part.of).await?.contains(&item.key))
    }

    /// Mends `item`; returns whether that could be done.
    async fn mend(&self, item: &Item, problem: &Problem) -> Result<bool> {
        let remove = Write::DeleteVersion(item.key.clone(), item.version);
        let writes = match problem {
            Problem::UnknownKind | Problem::Unreadable(_) => return Ok(false),
            Problem::ClaimOfNobody | Problem::PartOfNothing => vec![remove],
            Problem::BeyondCalendar => match mended(item) {
                None => return Ok(false),
                Some(mended) if mended.key == item.key => {
                    vec![Write::Replace(Item { version: item.version + 1, ..mended })]
                }
                Some(mended) => vec![remove, Write::Insert(Item { version: 1, announced: None, ..mended })],
            },
        };
        // If somebody wrote it meanwhile, what is there now is found by the next check.
        was_written(self.commit(writes).await)
    }
}

/// Returns `item` with its times within the calendar, where it can't be read or found as it is and can be then.
fn mended(item: &Item) -> Option<Item> {
    let (kind, read) = table::read_as_its_kind(item)?;
    let mended = item.mended(kind, read.is_ok())?;
    let (_, read) = table::read_as_its_kind(&mended)?;
    read.is_ok().then_some(mended)
}

/// Returns the kind of the records whose names or keys items of `kind` claim, if they claim any.
fn claimed(kind: &EntityKind) -> Option<&'static EntityKind> {
    match (kind.name.starts_with("unique_"), kind.partition) {
        (true, [_, Piece::Word(word), ..]) => table::ENTITIES.iter().find(|kind| kind.name == *word),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use aws_sdk_dynamodb::Client;
    use embedded::EmbeddedDatabase;
    use uuid::Uuid;

    use super::*;
    use crate::states::HistoricState;
    use crate::{Shards, table::Index};
    use domain::filter::{FlowSort, RunFilters};
    use domain::model::{Flow, FlowId, FlowRun, FlowRunId, State, StateId, StateType, Timestamp};
    use error::Error;

    async fn store() -> Store {
        let config = EmbeddedDatabase::in_memory().unwrap().sdk_config();
        let store = Store::new(Client::from_conf(config), "proctor-records", Shards(1));
        store.create_table().await.unwrap();
        store
    }

    async fn check(store: &Store, repairs: bool) -> (Checked, Vec<Finding>) {
        let (mut found, mut read) = (Vec::new(), 0);
        let seen = |step: Step<'_>| match step {
            Step::Read(items) => read += items as u64,
            Step::Found(finding) => found.push(finding.clone()),
        };
        let checked = store.check(repairs, seen).await.unwrap();
        assert_eq!(read, checked.items);
        found.sort_by(|one, other| one.key.cmp(&other.key));
        (checked, found)
    }

    async fn put(store: &Store, item: Item) {
        store.commit(vec![Write::Put(item)]).await.unwrap();
    }

    #[test]
    fn every_claim_is_on_a_record_of_some_kind() {
        for kind in table::ENTITIES.iter().filter(|kind| kind.name.starts_with("unique_")) {
            assert!(claimed(kind).is_some(), "{}", kind.name);
        }
    }

    #[tokio::test]
    async fn what_an_older_version_wrote_beyond_the_calendar_is_mended() {
        let store = store().await;
        let (flow, _) = store.add_flow(Flow::new(FlowId::new(), "a flow", Timestamp::now())).await.unwrap();
        let run = FlowRun::new(FlowRunId::new(), flow.id, "late", Timestamp::now());
        let mut item = store.item(&run, 1).unwrap();
        item.head =
            item.head.map(|head| head.replacen('{', r#"{"next_scheduled_start_time":"+10000-01-01T00:00:14Z","#, 1));
        item.index_keys.insert(Index::Related.sort(), "+10000-01-01T00:00:14.000000Z#x".into());
        item.index_keys.insert(Index::Related.partition(), "timers#0".into());
        put(&store, item).await;
        let (early, of) = (State::new(StateId::new(), StateType::Running, Timestamp::MIN), table::flow_run(run.id));
        let mut state = store.item(&HistoricState::new(of, early, None), 1).unwrap();
        let before = |text: String| text.replace("0001-01-01T00:00:00", "-0001-01-01T00:00:00");
        (state.key.sk, state.head, state.tail) = (before(state.key.sk), state.head.map(before), state.tail.map(before));
        put(&store, state).await;

        let read = store.flow_run(run.id).await.unwrap().unwrap().record;
        assert_eq!(read.next_scheduled_start_time, Some(Timestamp::MAX), "it can be read before it is mended");
        let (checked, found) = check(&store, false).await;
        assert_eq!((checked.found, checked.mended), (2, 0), "{found:?}");
        assert!(found.iter().all(|finding| finding.problem == Problem::BeyondCalendar));
        assert_eq!(check(&store, true).await.0.mended, 2);
        assert_eq!(check(&store, true).await.0.found, 0);
        assert_eq!(store.flow_run_states(run.id).await.unwrap()[0].timestamp, Timestamp::MIN);
        let mended = store.get_item(&table::flow_run(run.id)).await.unwrap().unwrap();
        assert_eq!(mended.index_keys[&Index::Related.sort()], "9999-12-31T23:59:59.999999Z#x");
        assert_eq!(mended.version, 2);
    }

    #[tokio::test]
    async fn what_cannot_be_read_is_told_of_left_out_of_pages_and_deleted() {
        let store = store().await;
        let (good, _) = store.add_flow(Flow::new(FlowId::new(), "good", Timestamp::now())).await.unwrap();
        let (bad, _) = store.add_flow(Flow::new(FlowId::new(), "bad", Timestamp::now())).await.unwrap();
        let mut item = store.get_item(&table::flow(bad.id)).await.unwrap().unwrap();
        item.head = Some(r#"{"id":7}"#.into());
        put(&store, item).await;
        put(
            &store,
            Item { key: Key::new("nonsense", "x"), index_keys: BTreeMap::default(), ..store.item(&good, 1).unwrap() },
        )
        .await;

        let window = crate::select::Window { offset: 0, limit: 10 };
        let (flows, cost) =
            crate::cost::measured(store.flows(&RunFilters::default(), FlowSort::default(), window)).await;
        assert_eq!(flows.unwrap().into_iter().map(|flow| flow.id).collect::<Vec<_>>(), [good.id]);
        assert_eq!(cost.unreadable, 1);
        assert!(matches!(store.flow(bad.id).await, Err(Error::Unreadable(_))));
        let (checked, found) = check(&store, true).await;
        assert_eq!((checked.found, checked.mended), (2, 0));
        assert!(matches!(found[0].problem, Problem::Unreadable(_)) && found[1].problem == Problem::UnknownKind);

        store.delete::<Flow>(bad.id).await.unwrap();
        assert!(store.flow(bad.id).await.unwrap().is_none());
        let (checked, found) = check(&store, true).await;
        assert_eq!(found[1].problem, Problem::ClaimOfNobody, "the claim on its name was left");
        assert_eq!(checked.mended, 1);
        store.add_flow(Flow::new(FlowId::new(), "bad", Timestamp::now())).await.unwrap();
        let name = "0000-01-01T00:00:00Z";
        store.add_flow(Flow::new(FlowId::new(), name, Timestamp::now())).await.unwrap();
        assert_eq!(check(&store, true).await.0.found, 1, "a name that looks like a time is a name");
        let other = Claim::new(table::unique_variable_name("x"), Uuid::new_v4());
        put(&store, store.item(&other, 1).unwrap()).await;
        assert_eq!(check(&store, true).await.0.mended, 1);
    }

    #[tokio::test]
    async fn a_part_that_no_item_names_is_found_when_it_may_not_be_about_to_be_named() {
        let config = EmbeddedDatabase::in_memory().unwrap().sdk_config();
        let client = Client::from_conf(config);
        let store = Store::new(client.clone(), "proctor-records", Shards(1));
        store.create_table().await.unwrap();
        let mut flow = Flow::new(FlowId::new(), "large", Timestamp::now());
        flow.tags = (0..4_000).map(|_| Uuid::new_v4().to_string()).collect();
        store.add_flow(flow.clone()).await.unwrap();
        assert_eq!(check(&store, true).await.0, Checked { items: 3, found: 0, mended: 0 });

        let age = |hours: f64| Timestamp::now().plus_seconds(-3_600.0 * hours);
        let part = |created| BodyPart::new(Uuid::new_v4(), 0, table::flow(flow.id), created);
        for part in [part(age(0.5)), part(age(2.0))] {
            put(&store, store.item(&part, 1).unwrap()).await;
        }
        let (checked, found) = check(&store, true).await;
        assert_eq!((checked.found, checked.mended), (1, 1));
        assert_eq!(found[0].problem, Problem::PartOfNothing);
        assert_eq!(check(&store, true).await.0, Checked { items: 4, found: 0, mended: 0 });
        assert_eq!(store.flow(flow.id).await.unwrap().unwrap().record.tags, flow.tags);
    }
}
