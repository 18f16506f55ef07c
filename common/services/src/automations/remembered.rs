//! The automations that are evaluated, as this process remembers them.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use domain::{
    automations::TriggerTree,
    model::{Automation, AutomationId, ReceivedEvent, Timestamp},
};
use error::Result;
use store::Store;
use tokio::sync::Mutex;
use uuid::Uuid;

/// An automation that is evaluated, made ready for it.
#[derive(Debug)]
pub struct Evaluated {
    /// The automation.
    pub automation: Automation,
    /// Its triggers.
    pub tree: TriggerTree,
}

/// A trigger that an event concerns: the automation, and the trigger's place in its tree.
pub type Interested = (Arc<Evaluated>, usize);

/// The automations that this process remembers, and the token that says whether there are others.
///
/// Asking for the token is one read of one unit. Only what has changed is read anew.
#[derive(Debug, Default)]
pub struct Remembered(Mutex<(Option<Uuid>, Arc<Known>)>);

/// The automations that are evaluated, by what they are interested in.
#[derive(Debug, Default)]
pub struct Known {
    automations: HashMap<AutomationId, Arc<Evaluated>>,
    /// The triggers that take in events of few names, by these.
    by_name: HashMap<String, Vec<Interested>>,
    /// The other ones.
    others: Vec<Interested>,
}

impl Remembered {
    /// Returns the automations that are evaluated now: those of all writes that were answered before.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn known(&self, store: &Store) -> Result<Arc<Known>> {
        // The lock is held while they are read, so that two batches do not read the same.
        let mut remembered = self.0.lock().await;
        let token = store.evaluated_automations_token().await?;
        if remembered.0 == token {
            return Ok(remembered.1.clone());
        }
        let known = Arc::new(remembered.1.renewed(store).await?);
        *remembered = (token, known.clone());
        Ok(known)
    }
}

impl Known {
    /// Reads what has changed.
    async fn renewed(&self, store: &Store) -> Result<Self> {
        let notes: HashMap<AutomationId, Timestamp> =
            store.evaluated_automations().await?.into_iter().map(|note| (note.automation, note.updated)).collect();
        let mut automations = self.automations.clone();
        automations.retain(|id, known| notes.get(id) == Some(&known.automation.updated));
        let changed: Vec<AutomationId> = notes.keys().filter(|id| !automations.contains_key(id)).copied().collect();
        for stored in store.automations_by_id(&changed).await? {
            let automation = stored.automation;
            if automation.enabled {
                let tree = TriggerTree::new(&automation.trigger);
                automations.insert(automation.id, Arc::new(Evaluated { automation, tree }));
            }
        }
        Ok(Self::of(automations))
    }

    fn of(automations: HashMap<AutomationId, Arc<Evaluated>>) -> Self {
        let (mut by_name, mut others) = (HashMap::<String, Vec<Interested>>::new(), Vec::new());
        for evaluated in automations.values() {
            for (place, node) in evaluated.tree.nodes().iter().enumerate() {
                let interested = || (evaluated.clone(), place);
                match node.coverage.literal_names() {
                    // A name that is expected and started after is one.
                    Some(names) => names.into_iter().collect::<HashSet<_>>().into_iter().for_each(|name| {
                        by_name.entry(name.to_owned()).or_default().push(interested());
                    }),
                    None => others.push(interested()),
                }
            }
        }
        Self { automations, by_name, others }
    }

    /// Returns whether none is evaluated.
    pub fn is_empty(&self) -> bool {
        self.automations.is_empty()
    }

    /// Returns the automation with this id, if it is evaluated.
    pub fn automation(&self, id: AutomationId) -> Option<&Arc<Evaluated>> {
        self.automations.get(&id)
    }

    /// Returns the triggers that take `event` in.
    pub fn interested_in<'k>(&'k self, event: &'k ReceivedEvent) -> impl Iterator<Item = &'k Interested> {
        let named = self.by_name.get(&event.event).into_iter().flatten();
        named.chain(&self.others).filter(|(evaluated, place)| {
            evaluated.tree.nodes().get(*place).is_some_and(|node| node.coverage.covers(event))
        })
    }
}
