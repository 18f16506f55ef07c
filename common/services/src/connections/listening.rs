//! Who listens, as a process remembers it for a moment.
//!
//! Every event asks, so what is read counts for [`REMEMBERED`]: the places in which there is anybody, and the listeners
//! of a place. Who begins to listen is told from [`REMEMBERED`] later on, and of what was before by a job, so that what
//! a process has not read yet is told all the same ([`super::backfill`]).

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::{Duration, Instant},
};

use futures::future::try_join_all;
use tokio::sync::Mutex;

use domain::interests::Interest;
use error::Result;
use store::{Store, listeners::Listener};

/// How long what was read counts.
pub(super) const REMEMBERED: Duration = Duration::from_secs(2);

/// How long a place counts as not empty in which somebody was found, or was not.
const LOOKED_AT: Duration = Duration::from_mins(1);

/// Of how many interests a process remembers the listeners.
const LARGEST: usize = 10_000;

/// What a process has read of late.
#[derive(Debug, Default)]
pub(super) struct Heard(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    places: Option<(Instant, Arc<HashMap<String, u64>>)>,
    listeners: HashMap<Interest, (Instant, Arc<[Listener]>)>,
    /// When it was looked at last whether a place is empty.
    looked_at: HashMap<String, Instant>,
}

impl Known {
    /// Tells whether it is time to look whether a place is empty, which is noted.
    fn is_to_be_looked_at(&mut self, place: &str) -> bool {
        let is_due = self.looked_at.get(place).is_none_or(|looked| looked.elapsed() >= LOOKED_AT);
        if is_due {
            self.looked_at.insert(place.to_owned(), Instant::now());
        }
        is_due
    }
}

/// Who was found under several interests.
#[derive(Debug)]
pub(super) struct Found(Vec<Arc<[Listener]>>);

impl Found {
    /// Returns them, each connection once.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Listener> {
        let mut seen = HashSet::new();
        self.0.iter().flat_map(|some| some.iter()).filter(move |listener| seen.insert(&listener.connection))
    }
}

impl Heard {
    /// Returns the places in which there may be anybody: one cheap read, and none for a moment.
    pub(super) async fn places(&self, store: &Store) -> Result<Arc<HashMap<String, u64>>> {
        // The lock is held while they are read, so that two batches do not read the same.
        let mut known = self.0.lock().await;
        if let Some((read, places)) = &known.places
            && read.elapsed() < REMEMBERED
        {
            return Ok(Arc::clone(places));
        }
        let read = Instant::now();
        let places: Arc<HashMap<String, u64>> = Arc::new(store.listened_places().await?.into_iter().collect());
        known.places = Some((read, Arc::clone(&places)));
        Ok(places)
    }

    /// Returns who has asked for what one of the `interests` says.
    ///
    /// A place that is found empty is taken out, so that nobody looks there again.
    pub(super) async fn listeners(&self, store: &Store, interests: &[Interest]) -> Result<Found> {
        let places = self.places(store).await?;
        let there = interests.iter().filter(|interest| places.contains_key(&interest.place));
        let found = try_join_all(there.map(|interest| self.of_one(store, interest, &places))).await?;
        Ok(Found(found))
    }

    async fn of_one(
        &self,
        store: &Store,
        interest: &Interest,
        places: &HashMap<String, u64>,
    ) -> Result<Arc<[Listener]>> {
        if let Some((read, listeners)) = self.0.lock().await.listeners.get(interest)
            && read.elapsed() < REMEMBERED
        {
            return Ok(Arc::clone(listeners));
        }
        let read = Instant::now();
        let listeners: Arc<[Listener]> = store.listeners(interest).await?.into();
        let mut known = self.0.lock().await;
        if let Some(version) = places.get(&interest.place)
            && listeners.is_empty()
            && known.is_to_be_looked_at(&interest.place)
        {
            drop(known);
            store.forget_place(&interest.place, *version).await?;
            known = self.0.lock().await;
        }
        if known.listeners.len() >= LARGEST {
            known.listeners.clear();
        }
        known.listeners.insert(interest.clone(), (read, Arc::clone(&listeners)));
        Ok(listeners)
    }

    /// Forgets that the connection listens, which is over.
    pub(super) async fn forget(&self, connection: &str) {
        for (_, listeners) in self.0.lock().await.listeners.values_mut() {
            if listeners.iter().any(|listener| listener.connection == connection) {
                let others = listeners.iter().filter(|listener| listener.connection != connection);
                *listeners = others.cloned().collect();
            }
        }
    }
}
