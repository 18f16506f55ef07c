//! Block documents in the table.
//!
//! Anonymous documents are a collection of their own: they are asked for rarely, and there may be very many, so that no list
//! of the others has to pass over them.

use std::collections::{BTreeSet, HashMap};

use domain::{
    filter::{BlockDocumentFilter, BlockDocumentSort, BlockSchemaFilter, BlockTypeFilter},
    model::{BlockDocument, BlockDocumentId, BlockSchema, BlockSchemaId, BlockType, BlockTypeId},
};
use error::Result;

use super::{
    By, Entity, Item, Key, Record, Store, TableAccess, Versioned,
    query::{Range, Reader},
    select::{Matcher, Source, Window},
    table::{self, Collection, Index, IndexKey, Shards},
};

crate::json_record!(BlockDocument);

impl Record for BlockDocument {
    const HEAD: &'static [&'static str] =
        &["id", "created", "updated", "name", "is_anonymous", "block_schema_id", "block_type_id", "block_type_name"];

    fn key(&self) -> Key {
        table::block_document(self.id)
    }

    fn index_keys(&self, shards: Shards) -> Vec<IndexKey> {
        let collection =
            if self.is_anonymous { Collection::AnonymousBlockDocuments } else { Collection::BlockDocuments };
        let all = shards.of(collection, self.id.0);
        let by_name = table::sort_with_id(&self.name, self.id);
        let by_type = table::sort_with_id(&format!("{}\u{1}{}", self.block_type_name, self.name), self.id);
        let of_type = table::block_documents_of_type(self.block_type_id);
        let of_schema = table::block_documents_of_schema(self.block_schema_id);
        vec![
            IndexKey { index: Index::ByName, pk: all.clone(), sk: by_name.clone() },
            IndexKey { index: Index::ByEnd, pk: all, sk: by_type },
            IndexKey { index: Index::Related, pk: of_type, sk: by_name },
            IndexKey { index: Index::Lookup, pk: of_schema, sk: self.id.to_string() },
        ]
    }
}

impl Entity for BlockDocument {
    type Id = BlockDocumentId;

    fn key_of(id: BlockDocumentId) -> Key {
        table::block_document(id)
    }

    fn claim(&self) -> Option<Key> {
        Some(table::unique_block_document_name(self.block_type_id, &self.name))
    }
}

/// Names the document called `name` among those of a type.
pub fn called(block_type: BlockTypeId, name: &str) -> By<BlockDocumentId> {
    By::Claim(table::unique_block_document_name(block_type, name))
}

/// Which documents are asked for: a document must match its own filter, and its type and its schema must match theirs.
#[derive(Clone, Debug, Default)]
pub struct DocumentQuery {
    /// On the document itself.
    pub documents: BlockDocumentFilter,
    /// On its type.
    pub types: Option<BlockTypeFilter>,
    /// On its schema.
    pub schemas: Option<BlockSchemaFilter>,
}

/// How many names are looked for one by one in an index, before all names are read.
const FEW_NAMES: usize = 20;

/// What [`Store::block_documents`] touches.
pub const FILTER: TableAccess = TableAccess::READS.via(&[Index::ByName, Index::ByEnd, Index::Related, Index::Lookup]);

/// What [`Store::count_block_documents`] touches.
pub const COUNT: TableAccess = TableAccess::READS.via(&[Index::ByName, Index::Related, Index::Lookup]);

/// What [`Store::all_block_documents`] touches.
pub const ALL: TableAccess = TableAccess::READS.via(&[Index::ByName]);

impl Store {
    /// Returns the documents that `query` selects, within `window`, in the order of `sort`.
    pub async fn block_documents(
        &self,
        query: &DocumentQuery,
        sort: BlockDocumentSort,
        window: Window,
    ) -> Result<Vec<BlockDocument>> {
        let source = self.block_document_source(query, sort).await?;
        self.select(source, &mut DocumentMatcher::new(query), |a, b| sort.compare(a, b), window).await
    }

    /// Counts the documents that `query` selects.
    pub async fn count_block_documents(&self, query: &DocumentQuery) -> Result<u64> {
        let source = self.block_document_source(query, BlockDocumentSort::default()).await?;
        self.select_count(source, &mut DocumentMatcher::new(query)).await
    }

    /// Starts to read all documents, anonymous ones included.
    pub fn all_block_documents(&self) -> AllDocuments<'_> {
        AllDocuments { store: self, reader: self.read(self.documents_in(Index::ByName, None), usize::MAX) }
    }

    /// Returns the range of all documents, or of those that are anonymous or not.
    fn documents_in(&self, index: Index, are_anonymous: Option<bool>) -> Range {
        let collections: &[Collection] = match are_anonymous {
            Some(true) => &[Collection::AnonymousBlockDocuments],
            Some(false) => &[Collection::BlockDocuments],
            None => &[Collection::BlockDocuments, Collection::AnonymousBlockDocuments],
        };
        let partitions = collections.iter().flat_map(|collection| self.shards().all(*collection)).collect();
        Range { partitions, ..Range::of_index(index, "") }
    }

    async fn block_document_source(&self, query: &DocumentQuery, sort: BlockDocumentSort) -> Result<Source> {
        let filter = &query.documents;
        if let Some(ids) = filter.ids() {
            return Ok(Source::keys(ids.iter().copied().map(table::block_document)));
        }
        let types = self.types_of_documents(query).await?;
        if let (Some(types), Some(names)) = (&types, filter.names()) {
            let claim = |block_type: &BlockTypeId, name: &String| table::unique_block_document_name(*block_type, name);
            let claims: Vec<Key> =
                types.iter().flat_map(|block_type| names.iter().map(move |name| claim(block_type, name))).collect();
            return Ok(Source::Keys(self.keys_by_claims::<BlockDocument>(&claims).await?));
        }
        if let Some(types) = types {
            let is_by_name = sort != BlockDocumentSort::BlockTypeAndNameAsc || types.len() == 1;
            let partitions = types.into_iter().map(table::block_documents_of_type).collect();
            let range = Range { partitions, ..Range::of_index(Index::Related, "") }.in_direction(sort.direction());
            return Ok(if is_by_name { Source::Ordered(range) } else { Source::Unordered(vec![range]) });
        }
        if let Some(schemas) = query.schemas.as_ref().and_then(BlockSchemaFilter::ids) {
            let partitions: BTreeSet<String> = schemas.iter().copied().map(table::block_documents_of_schema).collect();
            let ranges = partitions.into_iter().map(|partition| Range::of_index(Index::Lookup, partition));
            return Ok(Source::Unordered(ranges.collect()));
        }
        let by_name = self.documents_in(Index::ByName, filter.anonymity());
        if let Some(names) = filter.names().filter(|names| names.len() <= FEW_NAMES) {
            let names: BTreeSet<&String> = names.iter().collect();
            return Ok(Source::Unordered(names.into_iter().map(|name| by_name.clone().named(name)).collect()));
        }
        let range = match sort {
            BlockDocumentSort::NameDesc | BlockDocumentSort::NameAsc => by_name,
            BlockDocumentSort::BlockTypeAndNameAsc => self.documents_in(Index::ByEnd, filter.anonymity()),
        };
        Ok(Source::Ordered(range.in_direction(sort.direction())))
    }

    /// Returns the types of which every match has one.
    async fn types_of_documents(&self, query: &DocumentQuery) -> Result<Option<BTreeSet<BlockTypeId>>> {
        if let Some(types) = query.documents.types() {
            return Ok(Some(types.iter().copied().collect()));
        }
        let Some(slugs) = query.types.as_ref().and_then(BlockTypeFilter::slugs) else { return Ok(None) };
        let claims: Vec<Key> = slugs.iter().map(|slug| table::unique_block_type_slug(slug)).collect();
        Ok(Some(self.owners(&claims).await?.into_iter().map(BlockTypeId).collect()))
    }
}

/// All documents, page by page.
pub struct AllDocuments<'s> {
    store: &'s Store,
    reader: Reader<'s>,
}

impl AllDocuments<'_> {
    /// Returns the next documents, at least one, or nothing at the end.
    pub async fn next(&mut self) -> Result<Option<Vec<Versioned<BlockDocument>>>> {
        while let Some(items) = self.reader.more().await? {
            let keys: Vec<Key> = items.into_iter().map(|item: Item| item.key).collect();
            let found = self.store.get_many(&keys).await?;
            if !found.is_empty() {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }
}

/// Decides which documents match, and remembers what it learned of their types and schemas.
struct DocumentMatcher<'q> {
    query: &'q DocumentQuery,
    types: HashMap<BlockTypeId, bool>,
    schemas: HashMap<BlockSchemaId, bool>,
}

impl<'q> DocumentMatcher<'q> {
    fn new(query: &'q DocumentQuery) -> Self {
        Self { query, types: HashMap::new(), schemas: HashMap::new() }
    }
}

impl Matcher<BlockDocument> for DocumentMatcher<'_> {
    /// A filter that asks for nothing but (not) anonymous documents is met by the collection that is read for it.
    fn matches_all(&self) -> bool {
        let DocumentQuery { documents, types, schemas } = self.query;
        let asks_nothing_else = documents.id.is_none() && documents.block_type_id.is_none() && documents.name.is_none();
        asks_nothing_else && types.is_none() && schemas.is_none()
    }

    async fn keep(&mut self, store: &Store, mut found: Vec<BlockDocument>) -> Result<Vec<BlockDocument>> {
        found.retain(|document| self.query.documents.matches(document));
        if let Some(filter) = &self.query.types {
            let unknown: BTreeSet<BlockTypeId> =
                found.iter().map(|document| document.block_type_id).filter(|id| !self.types.contains_key(id)).collect();
            let keys: Vec<Key> = unknown.iter().copied().map(table::block_type).collect();
            let read = store.get_many::<BlockType>(&keys).await?;
            self.types.extend(unknown.into_iter().map(|id| (id, false)));
            self.types.extend(read.iter().map(|read| (read.record.id, filter.matches(&read.record))));
            found.retain(|document| self.types.get(&document.block_type_id) == Some(&true));
        }
        if let Some(filter) = &self.query.schemas {
            let of = |document: &BlockDocument| document.block_schema_id;
            let unknown: BTreeSet<BlockSchemaId> =
                found.iter().map(of).filter(|id| !self.schemas.contains_key(id)).collect();
            let keys: Vec<Key> = unknown.iter().copied().map(table::block_schema).collect();
            let read = store.get_many::<BlockSchema>(&keys).await?;
            self.schemas.extend(unknown.into_iter().map(|id| (id, false)));
            self.schemas.extend(read.iter().map(|read| (read.record.id, filter.matches(&read.record))));
            found.retain(|document| self.schemas.get(&document.block_schema_id) == Some(&true));
        }
        Ok(found)
    }
}
