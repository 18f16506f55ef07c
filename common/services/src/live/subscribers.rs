//! Who wants to be told of records of one kind, each with a filter.

use std::{
    collections::HashMap,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
};

use tokio::sync::mpsc;
use uuid::Uuid;

/// How many messages wait for a subscriber at most, before it is given up.
const BACKLOG: usize = 4_096;

/// A filter of records.
pub trait Selects<R> {
    /// Tells whether the filter selects `record`.
    fn selects(&self, record: &R) -> bool;
}

/// A message of a record, which all that are told of it share.
#[derive(Clone, Debug)]
pub struct Message {
    /// The record's id.
    pub id: Uuid,
    /// The text to send.
    pub text: Arc<str>,
}

/// The subscribers, by their numbers.
#[derive(Debug)]
pub struct Subscribers<F> {
    next: AtomicU64,
    all: RwLock<HashMap<u64, Subscriber<F>>>,
}

#[derive(Debug)]
struct Subscriber<F> {
    filter: F,
    queue: mpsc::Sender<Message>,
}

impl<F> Default for Subscribers<F> {
    fn default() -> Self {
        Self { next: AtomicU64::new(0), all: RwLock::default() }
    }
}

impl<F> Subscribers<F> {
    /// Subscribes to what `filter` selects, from now on until the subscription is dropped.
    pub fn subscribe(self: &Arc<Self>, filter: F) -> Subscription<F> {
        let (queue, messages) = mpsc::channel(BACKLOG);
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        self.write().insert(number, Subscriber { filter, queue });
        Subscription { subscribers: Arc::clone(self), number, messages }
    }

    /// Returns how many have subscribed.
    pub fn len(&self) -> usize {
        self.all.read().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Tells whether nobody has subscribed.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Tells those who want `record` of it, in the text that `write` makes if there are any.
    ///
    /// Who does not keep up is given up: its subscription ends when it has read what waits for it.
    pub fn tell<R>(&self, id: Uuid, record: &R, write: impl FnOnce() -> Option<String>)
    where
        F: Selects<R>,
    {
        let (mut message, mut write, mut behind) = (None, Some(write), Vec::new());
        for (number, subscriber) in self.all.read().unwrap_or_else(PoisonError::into_inner).iter() {
            if !subscriber.filter.selects(record) {
                continue;
            }
            if let Some(write) = write.take() {
                message = write().map(|text| Message { id, text: text.into() });
            }
            let Some(message) = &message else { return };
            if subscriber.queue.try_send(message.clone()).is_err() {
                behind.push(*number);
            }
        }
        for number in behind {
            self.write().remove(&number);
        }
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, HashMap<u64, Subscriber<F>>> {
        self.all.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a subscriber is told.
#[derive(Debug)]
pub struct Subscription<F> {
    subscribers: Arc<Subscribers<F>>,
    number: u64,
    messages: mpsc::Receiver<Message>,
}

impl<F> Subscription<F> {
    /// Waits for the next message; none if the subscriber did not keep up, and has to subscribe anew.
    pub async fn next(&mut self) -> Option<Message> {
        self.messages.recv().await
    }
}

impl<F> Drop for Subscription<F> {
    fn drop(&mut self) {
        self.subscribers.write().remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Above(u32);

    impl Selects<u32> for Above {
        fn selects(&self, record: &u32) -> bool {
            *record > self.0
        }
    }

    fn tell(subscribers: &Subscribers<Above>, number: u32) {
        subscribers.tell(Uuid::nil(), &number, || Some(number.to_string()));
    }

    #[tokio::test]
    async fn each_is_told_of_what_it_wants_as_long_as_it_is_there() {
        let subscribers = Arc::new(Subscribers::default());
        let (mut low, mut high) = (subscribers.subscribe(Above(1)), subscribers.subscribe(Above(5)));
        for number in [1, 3, 7] {
            tell(&subscribers, number);
        }
        let told = async |subscription: &mut Subscription<_>| subscription.next().await.unwrap().text.to_string();
        assert_eq!(
            (told(&mut low).await, told(&mut low).await, told(&mut high).await),
            ("3".into(), "7".into(), "7".into())
        );
        drop((low, high));
        assert!(subscribers.is_empty());
    }

    #[tokio::test]
    async fn who_does_not_keep_up_is_told_what_waits_and_given_up() {
        let subscribers = Arc::new(Subscribers::default());
        let mut slow = subscribers.subscribe(Above(0));
        let most = u32::try_from(BACKLOG).unwrap();
        for number in 1..=most + 2 {
            tell(&subscribers, number);
        }
        assert!(subscribers.is_empty());
        let mut told = 0;
        while slow.next().await.is_some() {
            told += 1;
        }
        assert_eq!(told, most);
    }

    #[test]
    fn nothing_is_written_for_nobody() {
        let subscribers = Arc::new(Subscribers::default());
        let _high = subscribers.subscribe(Above(5));
        subscribers.tell(Uuid::nil(), &1, || panic!("nobody wants it"));
    }
}
