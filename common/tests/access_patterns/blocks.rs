//! Probes of blocks: their types, schemas and documents, and the keys that these are sealed with.

use common::{
    filter::{BlockDocumentFilter, BlockDocumentSort, BlockSchemaFilter, BlockTypeFilter},
    model::{
        BlockDocument, BlockDocumentId, BlockSchema, BlockSchemaId, BlockType, BlockTypeId, DataKey, DataKeyId, Object,
        block_document::{Sealed, Told},
    },
    store::{
        block_documents::{self, DocumentQuery},
        block_schemas, block_types,
        block_types::InstalledBlockTypes,
    },
};
use serde_json::json;

use crate::{
    probe::Probe,
    world::{PAGE, World, any, read},
};

pub(crate) async fn probes() -> Vec<Probe> {
    let mut probes = Box::pin(types_and_schemas()).await;
    probes.extend(Box::pin(documents()).await);
    probes.extend(Box::pin(keys()).await);
    probes
}

/// A type with a schema and a document of each kind.
async fn block(world: &World) -> (BlockType, BlockSchema, BlockDocument) {
    let now = world.now;
    let block_type = BlockType {
        id: BlockTypeId::new(),
        created: now,
        updated: now,
        name: "Type".to_owned(),
        slug: "type".to_owned(),
        logo_url: None,
        documentation_url: None,
        description: None,
        code_example: None,
        is_protected: false,
    };
    let schema = BlockSchema {
        id: BlockSchemaId::new(),
        created: now,
        updated: now,
        checksum: "sha256:1".to_owned(),
        fields: Object::new(),
        block_type_id: block_type.id,
        block_type_slug: block_type.slug.clone(),
        capabilities: vec!["read".to_owned()],
        version: "1".to_owned(),
        references: Vec::new(),
    };
    let document = BlockDocument {
        id: BlockDocumentId::new(),
        created: now,
        updated: now,
        name: "document".to_owned(),
        is_anonymous: false,
        block_schema_id: schema.id,
        block_type_id: block_type.id,
        block_type_name: block_type.name.clone(),
        references: Vec::new(),
        data: Sealed { key: DataKeyId::new(), text: String::new() },
        told: Told::default(),
    };
    let anonymous = BlockDocument {
        id: BlockDocumentId::new(),
        name: "anonymous".to_owned(),
        is_anonymous: true,
        ..document.clone()
    };
    world.store.add(&block_type).await.unwrap();
    world.store.add(&schema).await.unwrap();
    world.store.add(&document).await.unwrap();
    world.store.add(&anonymous).await.unwrap();
    (block_type, schema, document)
}

async fn types_and_schemas() -> Vec<Probe> {
    let world = World::new().await;
    let store = &world.store;
    let (block_type, schema, _) = block(&world).await;
    let slugs: BlockTypeFilter = read(json!({"slug": {"any_": ["type"]}}));
    let can_read: BlockSchemaFilter = read(json!({"block_capabilities": {"all_": ["read"]}}));
    let of_type: BlockSchemaFilter = read(json!({"block_type_id": any(block_type.id)}));
    let by_id: BlockSchemaFilter = read(json!({"id": any(schema.id)}));
    store.note_installed_block_types(&InstalledBlockTypes { digest: "1".to_owned() }).await.unwrap();
    let version = block_schemas::version_of(&schema.checksum, &schema.version);
    assert!(store.find::<BlockType>(block_types::with_slug("type")).await.unwrap().is_some());
    vec![
        world.probe("a block type by its id", store.find::<BlockType>(block_type.id)).await,
        world.probe("block types by their slugs", store.block_types(Some(&slugs), None, PAGE)).await,
        world.probe("all block types by name", store.block_types(None, None, PAGE)).await,
        world
            .probe(
                "the block types that have a schema like this, by name",
                store.block_types(None, Some(&can_read), PAGE),
            )
            .await,
        world.probe("a block schema by its id", store.block_schemas(Some(&by_id), PAGE)).await,
        world.probe("a block schema by its checksum and version", store.find::<BlockSchema>(version)).await,
        world.probe("the newest block schema of a checksum", store.block_schema_of(&schema.checksum, None)).await,
        world.probe("all block schemas by creation", store.block_schemas(None, PAGE)).await,
        world.probe("the block schemas of a type, by creation", store.block_schemas(Some(&of_type), PAGE)).await,
        world
            .probe("what blocks of all schemas can do", async {
                Ok(store.block_capabilities().await?.into_iter().collect::<Vec<_>>())
            })
            .await,
        world.probe("which block types were installed last", store.installed_block_types()).await,
    ]
}

async fn documents() -> Vec<Probe> {
    let world = World::new().await;
    let store = &world.store;
    let (block_type, schema, document) = block(&world).await;
    let query = |documents: BlockDocumentFilter| DocumentQuery { documents, ..DocumentQuery::default() };
    let named = query(read(json!({"block_type_id": any(block_type.id), "name": {"any_": ["document"]}})));
    let (all, anonymous) = (query(BlockDocumentFilter::default()), query(read(json!({"is_anonymous": {"eq_": true}}))));
    let (of_type, by_id) =
        (query(BlockDocumentFilter::of_type(block_type.id)), query(BlockDocumentFilter::of_ids(vec![document.id])));
    let of_schema = DocumentQuery { schemas: Some(read(json!({"id": any(schema.id)}))), ..DocumentQuery::default() };
    let by_name = |query| store.block_documents(query, BlockDocumentSort::NameAsc, PAGE);
    assert!(store.find::<BlockDocument>(block_documents::called(block_type.id, "document")).await.unwrap().is_some());
    vec![
        world.probe("a block document by its id", by_name(&by_id)).await,
        world.probe("block documents by their type and name", by_name(&named)).await,
        world.probe("all block documents by name", by_name(&all)).await,
        world
            .probe(
                "all block documents by the name of their type",
                store.block_documents(&all, BlockDocumentSort::BlockTypeAndNameAsc, PAGE),
            )
            .await,
        world.probe("all anonymous block documents by name", by_name(&anonymous)).await,
        world.probe("the block documents of a type, by name", by_name(&of_type)).await,
        world.probe("the block documents of a schema", by_name(&of_schema)).await,
    ]
}

async fn keys() -> Vec<Probe> {
    let world = World::new().await;
    let store = &world.store;
    let key = DataKey {
        id: DataKeyId::new(),
        created: world.now,
        master: "master".to_owned(),
        wrapped: "wrapped".to_owned(),
    };
    assert!(store.put_in_use(&key, None).await.unwrap());
    vec![
        world.probe("a data key by its id", store.data_key(key.id)).await,
        world.probe("which data key is in use", store.current_data_key()).await,
        world.probe("all data keys, for the commands that replace them", store.data_keys()).await,
    ]
}
