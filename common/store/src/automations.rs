//! Automations in the table.

use super::{
    Key, Record, Store,
    query::Range,
    table::{self, IndexKey, Shards},
};
use domain::model::{Automation, AutomationId};
use error::Result;

crate::json_record!(Automation);

impl Record for Automation {
    const HEAD: &'static [&'static str] = &["id", "created", "updated", "name", "enabled", "tags"];

    fn key(&self) -> Key {
        table::automation(self.id)
    }

    fn index_keys(&self, _shards: Shards) -> Vec<IndexKey> {
        Vec::new()
    }
}

impl Store {
    /// Reads the automations that have to do with a resource, such as `prefect.deployment.<id>`, by their ids.
    pub async fn automations_related_to(&self, resource: &str) -> Result<Vec<Automation>> {
        let related = self.read_all(Range::partition(table::automations_of(resource))).await?;
        let ids = related.iter().filter_map(|item| item.key.sk.parse::<AutomationId>().ok());
        let keys: Vec<Key> = ids.map(table::automation).collect();
        let found = self.get_many::<Automation>(&keys).await?;
        Ok(found.into_iter().map(|found| found.record).collect())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use embedded::EmbeddedDatabase;
    use serde_json::json;

    use super::*;
    use crate::{Item, Write};
    use domain::model::Timestamp;

    fn relation(resource: &str, automation: AutomationId) -> Write {
        Write::Insert(Item {
            key: table::related_automation(resource, automation),
            version: 1,
            announced: None,
            head: None,
            tail: None,
            brief: None,
            expires: None,
            index_keys: BTreeMap::new(),
        })
    }

    #[tokio::test]
    async fn finds_the_automations_of_one_resource() {
        let config = EmbeddedDatabase::in_memory().unwrap().sdk_config();
        let store = Store::new(aws_sdk_dynamodb::Client::from_conf(config), "proctor-records", Shards(1));
        store.create_table().await.unwrap();
        let automation: Automation = serde_json::from_value(json!({
            "id": AutomationId::new(), "created": Timestamp::now(), "updated": Timestamp::now(), "name": "tell",
            "trigger": {"type": "event", "posture": "Reactive"}, "actions": [{"type": "do-nothing"}],
        }))
        .unwrap();
        let of = "prefect.deployment.1";
        let gone = AutomationId::new();
        let writes = vec![store.insert(&automation).unwrap(), relation(of, automation.id), relation(of, gone)];
        store.commit(writes).await.unwrap();
        assert_eq!(store.automations_related_to(of).await.unwrap(), [automation]);
        assert_eq!(store.automations_related_to("prefect.deployment.10").await.unwrap(), []);
    }
}
