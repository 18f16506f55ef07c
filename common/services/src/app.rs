//! Everything that a handler may use: the store, the settings, what Prefect ships as data, and the clock.

use std::sync::Arc;

use access::{Gate, KeyCache, StoredSecret};
use assets::Assets;
use domain::model::Timestamp;
use settings::Settings;
use store::Store;

use crate::{
    actions::outward::Outward, automations::Remembered, connections::Connections, jobs::queue::QueueLocation,
    live::Live, stream::Surroundings, vault::Vault,
};

/// What a handler gets; clones share it.
#[derive(Clone, Debug)]
pub struct App {
    /// The table.
    pub store: Store,
    /// The settings, fixed for the process.
    pub settings: Arc<Settings>,
    /// What this process remembers of API keys.
    pub keys: Arc<KeyCache>,
    /// What Prefect ships as data; a handler takes it from its request, because its route must declare it.
    pub assets: Arc<Assets>,
    /// Whom this process tells at once what has happened.
    pub live: Arc<Live>,
    /// What this process remembers of the automations that are evaluated.
    pub automations: Arc<Remembered>,
    /// What this process remembers of the records around flow runs.
    pub surroundings: Arc<Surroundings>,
    /// Where the data of block documents is sealed and opened.
    pub vault: Arc<Vault>,
    /// Where the queue is; a handler takes it from its request, because its route must declare it.
    pub queue: Option<Arc<QueueLocation>>,
    /// Who makes calls that leave the server, in a process that does.
    pub outward: Option<Arc<dyn Outward>>,
    /// How clients are reached whose websockets a gateway holds, in a process that reaches them.
    pub connections: Option<Arc<Connections>>,
    /// The password of callers, where the settings name a secret that has it.
    password: Option<Arc<StoredSecret>>,
}

impl App {
    /// Puts together an API over `store`.
    pub fn new(store: Store, settings: Settings) -> Self {
        let store = store.keeping_runs_for(settings.run_retention).watched_by(settings.liveness);
        let assets = Arc::new(Assets::new(settings.assets.clone()));
        let (settings, keys, vault) = (Arc::new(settings), Arc::default(), Arc::default());
        Self {
            store,
            settings,
            keys,
            assets,
            live: Arc::default(),
            automations: Arc::default(),
            surroundings: Arc::default(),
            vault,
            queue: None,
            outward: None,
            connections: None,
            password: None,
        }
    }

    /// Asks callers for `password`, which the settings name.
    #[must_use]
    pub fn with_password(self, password: StoredSecret) -> Self {
        Self { password: Some(Arc::new(password)), ..self }
    }

    /// Seals and opens the data of block documents in `vault`.
    #[must_use]
    pub fn with_vault(self, vault: Vault) -> Self {
        Self { vault: Arc::new(vault), ..self }
    }

    /// Lets the queue be measured where `queue` says that it is.
    #[must_use]
    pub fn measuring_queue(self, queue: QueueLocation) -> Self {
        Self { queue: Some(Arc::new(queue)), ..self }
    }

    /// Makes calls that leave the server by `outward`.
    #[must_use]
    pub fn calling(self, outward: Arc<dyn Outward>) -> Self {
        Self { outward: Some(outward), ..self }
    }

    /// Reaches the clients of a gateway by `connections`.
    #[must_use]
    pub fn reaching(self, connections: Connections) -> Self {
        Self { connections: Some(Arc::new(connections)), ..self }
    }

    /// Returns what it takes to find out who calls.
    pub fn gate(&self) -> Gate<'_> {
        Gate { store: &self.store, settings: &self.settings, keys: &self.keys, password: self.password.as_deref() }
    }

    /// Reads the clock.
    pub fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}
