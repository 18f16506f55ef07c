//! What an operation may do with the table: declared beside its route, granted by its role, and held to in development.
//!
//! The infrastructure's template makes each function's role of this. The local server refuses what is not declared
//! ([`within`], [`Store::guarded`](crate::Store::guarded)), so that a missing declaration fails a test on this machine and not a request in the cloud.

use std::future::Future;

use error::{Error, Result};

use super::table::Index;

/// What an operation does with the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TableAccess {
    /// What it does with the table itself.
    pub table: Access,
    /// The indexes that it queries.
    pub indexes: Indexes,
    /// What it does with the keys that the data of block documents is sealed with.
    pub secrets: Secrets,
}

/// What an operation does with the keys that the data of block documents is sealed with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Secrets {
    /// Nothing.
    #[default]
    Nothing,
    /// Opens what is sealed.
    Opens,
    /// Opens what is sealed, and seals.
    Seals,
}

impl Secrets {
    /// Returns the actions that the role needs on the master key (AWS: "Actions, resources, and condition keys for AWS KMS").
    pub fn actions(self) -> &'static [&'static str] {
        match self {
            Self::Nothing => &[],
            Self::Opens => &["kms:Decrypt"],
            Self::Seals => &["kms:Decrypt", "kms:GenerateDataKey"],
        }
    }
}

/// Some of the table's indexes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Indexes(u32);

impl Indexes {
    /// None of them.
    pub const NONE: Self = Self(0);

    /// Takes those in a list.
    pub const fn of(list: &[Index]) -> Self {
        let (mut bits, mut place) = (0, 0);
        while place < list.len() {
            bits |= 1 << list[place] as u32;
            place += 1;
        }
        Self(bits)
    }

    /// Says whether `index` is one of them.
    pub const fn contains(self, index: Index) -> bool {
        self.0 & (1 << index as u32) != 0
    }

    /// Returns them in the order of the table.
    pub fn iter(self) -> impl Iterator<Item = Index> {
        Index::ALL.into_iter().filter(move |index| self.contains(*index))
    }
}

/// What an operation does with the table itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Nothing.
    Nothing,
    /// Asks whether the table is there.
    Describes,
    /// Reads items.
    Reads,
    /// Reads and writes items.
    Writes,
    /// Reads and writes items, and writes or deletes many in one call.
    WritesMany,
}

impl Access {
    /// Returns the actions that the role needs on the table (AWS: "Actions, resources, and condition keys for DynamoDB").
    ///
    /// A transaction is allowed by the actions of its parts.
    pub fn actions(self) -> &'static [&'static str] {
        const READS: [&str; 3] = ["dynamodb:BatchGetItem", "dynamodb:GetItem", "dynamodb:Query"];
        const WRITES: [&str; 5] = [READS[0], READS[1], READS[2], "dynamodb:DeleteItem", "dynamodb:PutItem"];
        match self {
            Self::Nothing => &[],
            Self::Describes => &["dynamodb:DescribeTable"],
            Self::Reads => &READS,
            Self::Writes => &WRITES,
            Self::WritesMany => &[WRITES[0], WRITES[1], WRITES[2], WRITES[3], WRITES[4], "dynamodb:BatchWriteItem"],
        }
    }
}

impl TableAccess {
    /// Nothing of the table.
    pub const NOTHING: Self = Self::of(Access::Nothing);
    /// To ask whether the table is there.
    pub const DESCRIBES: Self = Self::of(Access::Describes);
    /// To read items by their keys.
    pub const READS: Self = Self::of(Access::Reads);
    /// To read items by their keys, and to write them.
    pub const WRITES: Self = Self::of(Access::Writes);
    /// To read items by their keys, and to write many in one call.
    pub const WRITES_MANY: Self = Self::of(Access::WritesMany);

    const fn of(table: Access) -> Self {
        Self { table, indexes: Indexes::NONE, secrets: Secrets::Nothing }
    }

    /// Returns this access with the opening of what is sealed.
    #[must_use]
    pub const fn opening_secrets(self) -> Self {
        Self { secrets: Secrets::Opens, ..self }
    }

    /// Returns this access with the sealing of what is to be secret, which opens as well.
    #[must_use]
    pub const fn sealing_secrets(self) -> Self {
        Self { secrets: Secrets::Seals, ..self }
    }

    /// Returns this access with queries of `indexes`.
    #[must_use]
    pub const fn via(self, indexes: &[Index]) -> Self {
        Self { indexes: Indexes(self.indexes.0 | Indexes::of(indexes).0), ..self }
    }

    /// Returns what it takes to do this and `other`.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        let table = if self.table as u8 >= other.table as u8 { self.table } else { other.table };
        let secrets = if self.secrets as u8 >= other.secrets as u8 { self.secrets } else { other.secrets };
        Self { table, indexes: Indexes(self.indexes.0 | other.indexes.0), secrets }
    }

    fn covers(self, action: &str, index: Option<Index>) -> bool {
        match index {
            Some(index) => self.indexes.contains(index),
            None => self.table.actions().contains(&action),
        }
    }
}

tokio::task_local! {
    static DECLARED: TableAccess;
}

/// Runs `work` for an operation that has declared `access`.
pub async fn within<T>(access: TableAccess, work: impl Future<Output = T>) -> T {
    DECLARED.scope(access, work).await
}

/// Refuses what the running operation has not declared to do with secrets, as its role in the cloud would.
///
/// # Errors
/// [`Error::Internal`] if it is not declared.
pub fn require(secrets: Secrets) -> Result<()> {
    match DECLARED.try_with(|access| *access) {
        Ok(access) if access.secrets < secrets => {
            Err(Error::Internal(format!("{secrets:?} secrets is not among what the operation declares: {access:?}")))
        }
        _ => Ok(()),
    }
}

/// Refuses `actions` on the table or on `index`, if the running operation has not declared them.
///
/// # Errors
/// [`Error::Internal`] that names the action.
pub(crate) fn check(actions: &[&str], index: Option<Index>) -> Result<()> {
    let Ok(access) = DECLARED.try_with(|access| *access) else { return Ok(()) };
    match actions.iter().find(|action| !access.covers(action, index)) {
        None => Ok(()),
        Some(action) => {
            let on = index.map_or_else(|| "the table".to_owned(), |index| format!("index {}", index.name()));
            Err(Error::Internal(format!("{action} {on} is not among what the operation declares to need: {access:?}")))
        }
    }
}

#[cfg(test)]
mod tests {
    use embedded::EmbeddedDatabase;

    use super::*;
    use crate::{Shards, Store, query::Range, table};
    use domain::model::{FlowId, Timestamp};

    async fn store() -> Store {
        let config = EmbeddedDatabase::in_memory().unwrap().sdk_config();
        let store = Store::new(aws_sdk_dynamodb::Client::from_conf(config), "proctor-records", Shards(1)).guarded();
        store.create_table().await.unwrap();
        store
    }

    #[tokio::test]
    async fn an_operation_may_do_what_it_declares_and_no_more() {
        let store = store().await;
        let key = table::flow(FlowId::new());
        let read = || store.get_item(&key);
        let write = || store.renew_csrf_token("any", Timestamp::now(), 1.0);
        assert!(within(TableAccess::READS, read()).await.is_ok());
        assert!(within(TableAccess::NOTHING, read()).await.is_err());
        assert!(within(TableAccess::WRITES, write()).await.is_ok());
        assert!(within(TableAccess::READS, write()).await.unwrap_err().to_string().contains("dynamodb:PutItem"));
        assert!(write().await.is_ok(), "what no operation runs may do anything");
    }

    #[tokio::test]
    async fn an_operation_opens_and_seals_as_it_declares() {
        let may = async |access: TableAccess, secrets| within(access, async { require(secrets).is_ok() }).await;
        let (none, opens) = (TableAccess::WRITES, TableAccess::READS.opening_secrets());
        let seals = TableAccess::WRITES.sealing_secrets();
        for (access, may_open, may_seal) in [(none, false, false), (opens, true, false), (seals, true, true)] {
            assert_eq!(may(access, Secrets::Opens).await, may_open, "{access:?}");
            assert_eq!(may(access, Secrets::Seals).await, may_seal, "{access:?}");
        }
        assert_eq!(none.and(opens).and(none).secrets, Secrets::Opens);
        assert!(require(Secrets::Seals).is_ok(), "what no operation runs may do anything");
    }

    #[tokio::test]
    async fn nobody_scans_the_table() {
        let store = store().await;
        let walked = store.check(false, |_| {}).await.unwrap_err();
        assert!(walked.to_string().contains("never scanned"), "{walked}");
    }

    #[tokio::test]
    async fn an_operation_may_query_the_indexes_that_it_declares() {
        let store = store().await;
        let query = |index| store.read_all(Range::of_index(index, table::runs_of_flow(FlowId::new())));
        let access = TableAccess::READS.via(&[Index::ByParent]);
        assert!(within(access, query(Index::ByParent)).await.is_ok());
        assert!(within(access, query(Index::Lookup)).await.is_err());
    }
}
