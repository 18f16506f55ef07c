//! Texts of any size in items of DynamoDB, which takes 400 KB an item and 4 MB a transaction.
//!
//! Records of which no index keeps the `head` ([`table::is_head_kept`]) have both texts in one, `body`, which is compressed
//! ([`deflate`]): they are many, and a write of each kilobyte is paid for. Of others the `tail` is compressed where that saves one. Where
//! an item is larger than [`LARGEST_ITEM`] all the same, its texts are cut into parts, which are items of their own
//! ([`table::body_part`]). The type of the attribute says how its text is kept: `S` as it is,
//! `B` compressed, `M` in parts. So indexes carry it as they carry any other. Filters look for texts in `head`, which is
//! therefore never compressed alone.
//!
//! Parts have a token that no other write has. They are there before the item that names them, and are never changed.
//! What names them no longer is told of by the stream, whose consumer deletes them after everything else.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    attributes::{Attributes, written_item},
    deflate::{compressed, compressed_with_words, decompressed},
    tallies::{COUNTED, counted},
};
use crate::{
    Item, Key, Record,
    table::{self, IndexKey, Shards},
    tallies::is_followed,
};
use domain::model::Timestamp;
use error::{Error, Result};

/// How large an item is at most, in bytes: so many that a transaction of 100 is within the 4 MB that DynamoDB takes.
pub(super) const LARGEST_ITEM: usize = 40_000;

/// How many bytes of an item a write unit pays for.
const UNIT: usize = 1024;

/// What is between `head` and `tail` in a `body`; JSON has it within no text.
const SEAM: char = '\n';

/// How many bytes a part has at most, of the 400 KB that DynamoDB takes with everything else.
const LARGEST_PART: usize = 350_000;

/// How many parts one call asks for: an answer of DynamoDB has 16 MB at most.
pub(super) const PARTS_AT_ONCE: usize = 40;

/// The attribute that a part's content is in.
pub(super) const CONTENT: &str = "content";

/// What an attribute of type `M` has the token of the parts under.
pub const TOKEN: &str = "parts";

/// What it has their number under.
pub(super) const COUNT: &str = "count";

/// What is read of a `head` to see whether it is in parts; the names in it are [`TOKEN`] and [`COUNT`].
pub(super) const HEAD_IN_PARTS: &str = "head.#token, head.#count";

/// How many bytes the names and values of an attribute of type `M` have.
const REFERENCE: usize = 100;

/// Where the parts of a text are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Parts {
    token: Uuid,
    count: usize,
}

impl Parts {
    fn keys(self) -> impl Iterator<Item = Key> {
        (0..self.count).map(move |number| table::body_part(self.token, number))
    }
}

/// What a part says of itself, besides its content.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct BodyPart {
    #[serde(skip, default = "Key::nowhere")]
    key: Key,
    /// The item that names it, if any does.
    pub(crate) of: Key,
    /// When it was written.
    pub(crate) created: Timestamp,
}

impl BodyPart {
    /// Makes the part with a number of a text of the item under `of`.
    pub(crate) fn new(token: Uuid, number: usize, of: Key, created: Timestamp) -> Self {
        Self { key: table::body_part(token, number), of, created }
    }
}

crate::json_record!(BodyPart);

impl Record for BodyPart {
    const HEAD: &'static [&'static str] = &["of", "created"];

    fn key(&self) -> Key {
        self.key.clone()
    }

    fn index_keys(&self, _shards: Shards) -> Vec<IndexKey> {
        Vec::new()
    }
}

/// An item as attributes, and the parts that are to be there before it.
#[derive(Debug)]
pub(super) struct Encoded {
    pub(super) attributes: Attributes,
    /// The parts, as attributes of their own items.
    pub(super) parts: Vec<Attributes>,
}

/// Turns an item into attributes, and its texts into parts where they are too long for it.
pub(super) fn encode(item: &Item) -> Result<Encoded> {
    let mut attributes = written_item(item)?;
    attributes.remove(table::BRIEF);
    if table::has_body(item) {
        return encode_body(item, attributes);
    }
    let uncompressed = size(&attributes);
    if let Some(tail) = item.tail.as_deref().filter(|_| uncompressed > UNIT) {
        let compressed = compressed(tail)?;
        let less = (uncompressed + compressed.len()).saturating_sub(tail.len());
        if less.div_ceil(UNIT) < uncompressed.div_ceil(UNIT) {
            attributes.insert("tail".to_owned(), AttributeValue::B(compressed.into()));
        }
    }
    let all = size(&attributes);
    let is_enough = |name: &str| all - attributes.get(name).map_or(0, held) + REFERENCE <= LARGEST_ITEM;
    // Filters look at `head` before it is sent.
    let too_long: &[&str] = match (all > LARGEST_ITEM, is_enough("tail"), is_enough("head")) {
        (false, ..) => &[],
        (true, true, _) => &["tail"],
        (true, false, true) => &["head"],
        (true, false, false) => &["tail", "head"],
    };
    let mut parts = Vec::new();
    for name in too_long {
        parts.extend(cut(&mut attributes, name, &item.key)?);
    }
    Ok(Encoded { attributes, parts })
}

/// Puts `head` and `tail` together.
fn encode_body(item: &Item, mut attributes: Attributes) -> Result<Encoded> {
    let text = |text: &Option<String>| text.as_deref().unwrap_or_default().to_owned();
    let body = text(&item.head) + &SEAM.to_string() + &text(&item.tail);
    attributes.retain(|name, _| name != "head" && name != "tail");
    let compressed = compressed_with_words(&body)?;
    let kept =
        if compressed.len() < body.len() { AttributeValue::B(compressed.into()) } else { AttributeValue::S(body) };
    attributes.insert(table::BODY.to_owned(), kept);
    if is_followed(&item.key) {
        attributes.insert(COUNTED.to_owned(), counted(None, true));
    }
    let is_too_long = size(&attributes) > LARGEST_ITEM;
    if is_too_long && is_followed(&item.key) {
        attributes.insert(COUNTED.to_owned(), counted(item.head.as_deref(), false));
    }
    let parts = if is_too_long { cut(&mut attributes, table::BODY, &item.key)? } else { Vec::new() };
    Ok(Encoded { attributes, parts })
}

/// Cuts a `body` into `head` and `tail`.
fn cut_at_seam(body: &str) -> [Option<String>; 2] {
    let (head, tail) = body.split_once(SEAM).unwrap_or((body, ""));
    [head, tail].map(|text| (!text.is_empty()).then(|| text.to_owned()))
}

/// Puts the text of an attribute of the item under `of` into parts, which it returns, and a reference in its place.
fn cut(attributes: &mut Attributes, name: &str, of: &Key) -> Result<Vec<Attributes>> {
    let content = match attributes.remove(name) {
        Some(AttributeValue::S(text)) => compressed(&text)?,
        Some(AttributeValue::B(compressed)) => compressed.into_inner(),
        _ => return Ok(Vec::new()),
    };
    let (token, created, mut parts) = (Uuid::new_v4(), Timestamp::now(), Vec::new());
    let pieces = content.chunks(LARGEST_PART);
    let reference = HashMap::from([
        (TOKEN.to_owned(), AttributeValue::S(token.to_string())),
        (COUNT.to_owned(), AttributeValue::N(pieces.len().to_string())),
    ]);
    for (number, piece) in pieces.enumerate() {
        let part = BodyPart::new(token, number, of.clone(), created);
        let mut part = written_item(&Item::of(&part, 1, Shards(1))?)?;
        part.insert(CONTENT.to_owned(), AttributeValue::B(piece.into()));
        parts.push(part);
    }
    attributes.insert(name.to_owned(), AttributeValue::M(reference));
    Ok(parts)
}

/// Returns how many bytes an item has about, by DynamoDB's rules.
fn size(attributes: &Attributes) -> usize {
    attributes.iter().map(|(name, value)| name.len() + held(value)).sum()
}

/// Returns how many bytes a value has.
fn held(value: &AttributeValue) -> usize {
    match value {
        AttributeValue::S(text) | AttributeValue::N(text) => text.len(),
        AttributeValue::B(bytes) => bytes.as_ref().len(),
        _ => REFERENCE,
    }
}

/// An item as DynamoDB has it: parts of its texts may be missing, which are items of their own.
#[derive(Clone, Debug, PartialEq)]
pub struct Image {
    /// The item without the texts that are in parts.
    pub(super) item: Item,
    head: Option<Parts>,
    tail: Option<Parts>,
    body: Option<Parts>,
    /// That the stream counts the item, and what is counted of it where that is in parts.
    pub(super) mark: Option<AttributeValue>,
}

impl From<Item> for Image {
    fn from(item: Item) -> Self {
        Self { item, head: None, tail: None, body: None, mark: None }
    }
}

impl Image {
    /// Reads an image of DynamoDB's stream.
    ///
    /// # Errors
    /// [`Error::Internal`] if it is no item of the table.
    pub fn new(attributes: serde_dynamo::Item) -> Result<Self> {
        super::attributes::read(attributes.into())
    }

    /// Says whether `head` is in parts, so that no filter has seen it.
    pub(super) fn has_head_in_parts(&self) -> bool {
        self.head.is_some()
    }

    /// Returns the keys of the parts that it names.
    pub fn part_keys(&self) -> Vec<Key> {
        [self.head, self.tail, self.body].into_iter().flatten().flat_map(Parts::keys).collect()
    }

    /// Says whether nothing of the item is in parts.
    pub(super) fn is_whole(&self) -> bool {
        self.head.is_none() && self.tail.is_none() && self.body.is_none()
    }

    /// Returns the item, if nothing of it is in parts.
    pub fn whole(self) -> Option<Item> {
        self.is_whole().then_some(self.item)
    }

    /// Returns the item as far as tallies count it, if the stream counts it.
    pub(crate) fn counted(self) -> Option<Item> {
        match &self.mark {
            Some(AttributeValue::S(head)) => Some(Item { head: Some(head.clone()), ..self.item }),
            Some(_) => self.whole(),
            None => None,
        }
    }

    /// Takes the text of `head`, `tail` or both as an attribute has it.
    pub(super) fn take(&mut self, name: &str, value: AttributeValue) -> Result<()> {
        let text = match value {
            AttributeValue::S(plain) => plain,
            AttributeValue::B(bytes) => decompressed(bytes.as_ref()).unwrap_or_else(damaged),
            AttributeValue::M(reference) => {
                let parts = parts_of(&reference)
                    .ok_or_else(|| Error::Internal(format!("the attribute {name} of an item names no parts")))?;
                match name {
                    "head" => self.head = Some(parts),
                    "tail" => self.tail = Some(parts),
                    _ => self.body = Some(parts),
                }
                return Ok(());
            }
            _ => return Err(Error::Internal(format!("the attribute {name} of an item is of another type"))),
        };
        match name {
            "head" => self.item.head = Some(text),
            "tail" => self.item.tail = Some(text),
            _ => [self.item.head, self.item.tail] = cut_at_seam(&text),
        }
        Ok(())
    }

    /// Returns the item with its texts from the `contents` of parts; the image itself if one of them is missing.
    pub(super) fn with(self, contents: &HashMap<Key, Vec<u8>>) -> Result<Item, Box<Self>> {
        let text = |parts: Parts| {
            let pieces: Option<Vec<&[u8]>> = parts.keys().map(|key| contents.get(&key).map(Vec::as_slice)).collect();
            Some(decompressed(&pieces?.concat()).unwrap_or_else(damaged))
        };
        let (head, tail, body) = (self.head.map(text), self.tail.map(text), self.body.map(text));
        match (head, tail, body) {
            (Some(None), ..) | (_, Some(None), _) | (.., Some(None)) => Err(Box::new(self)),
            (.., Some(Some(body))) => {
                let [head, tail] = cut_at_seam(&body);
                Ok(Item { head, tail, ..self.item })
            }
            (head, tail, None) => {
                let Item { head: plain_head, tail: plain_tail, .. } = self.item;
                Ok(Item { head: head.flatten().or(plain_head), tail: tail.flatten().or(plain_tail), ..self.item })
            }
        }
    }

    /// Takes what this image says of an item in the place of what `old` said, but for its place in an index.
    pub(super) fn in_place_of(self, old: Self) -> Self {
        Self { item: Item { index_keys: old.item.index_keys, ..self.item }, ..self }
    }

    /// Returns the item of which parts are lost: as one that can't be read, so that nobody takes it for another.
    pub(super) fn lost(self) -> Item {
        Item { head: Some(damaged()), tail: None, ..self.item }
    }
}

/// Returns what stands in the place of a text that can't be read: no JSON, so that the record can't be either.
fn damaged() -> String {
    String::new()
}

fn parts_of(reference: &Attributes) -> Option<Parts> {
    let token = reference.get(TOKEN)?.as_s().ok()?.parse().ok()?;
    let count = reference.get(COUNT)?.as_n().ok()?.parse().ok()?;
    Some(Parts { token, count })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns a text that can't be compressed to less than half.
    fn noise(bytes: usize) -> String {
        let ids = (0..=bytes / 32).map(|_| Uuid::new_v4().simple().to_string());
        let mut text: String = ids.collect();
        text.truncate(bytes);
        text
    }

    fn item(head: &str, tail: &str) -> Item {
        Item {
            version: 7,
            head: Some(head.into()),
            tail: Some(tail.into()),
            index_keys: [("by_time_sk".to_owned(), "x".to_owned())].into(),
            ..Item::under(table::csrf_token("client"))
        }
    }

    fn contents(parts: &[Attributes]) -> HashMap<Key, Vec<u8>> {
        let content = |part: &Attributes| {
            let text = |name: &str| part[name].as_s().unwrap().clone();
            (Key { pk: text("pk"), sk: text("sk") }, part[CONTENT].as_b().unwrap().clone().into_inner())
        };
        parts.iter().map(content).collect()
    }

    #[test]
    fn texts_of_any_size_are_read_as_they_were_written() {
        let sizes = [0, 10, 4_000, 5_000, 39_000, 100_000, 1_000_000];
        for (head, tail) in sizes.iter().flat_map(|head| sizes.iter().map(move |tail| (*head, *tail))) {
            let of_many =
                |text: Item| Item { index_keys: [(table::SHARD.to_owned(), "flow_runs#3".to_owned())].into(), ..text };
            let items = [item(&noise(head), &noise(tail)), item(&"h".repeat(head), &"ü".repeat(tail))];
            // What is many has a head, and no text of it is empty.
            let many = items.clone().into_iter().filter(|_| head > 0 && tail > 0).map(of_many);
            for item in items.iter().cloned().chain(many) {
                let Encoded { attributes, parts } = encode(&item).unwrap();
                assert!(size(&attributes) <= LARGEST_ITEM, "{head} {tail}");
                assert!(parts.iter().all(|part| size(part) < 400_000));
                let image = super::super::attributes::read(attributes).unwrap();
                assert_eq!(image.part_keys().len(), parts.len());
                assert_eq!(image.clone().whole().is_some(), parts.is_empty());
                assert_eq!(image.with(&contents(&parts)).unwrap(), item, "{head} {tail}");
            }
        }
    }

    #[test]
    fn the_head_is_a_text_as_long_as_there_is_room_for_it() {
        let kept = |head: usize, tail: usize| {
            let attributes = encode(&item(&noise(head), &noise(tail))).unwrap().attributes;
            ["head", "tail"].map(|name| match &attributes[name] {
                AttributeValue::S(_) => 'S',
                AttributeValue::B(_) => 'B',
                _ => 'M',
            })
        };
        assert_eq!(kept(1_000, 1_000), ['S', 'S']);
        assert_eq!(kept(1_000, 50_000), ['S', 'B']);
        assert_eq!(kept(30_000, 50_000), ['S', 'M']);
        assert_eq!(kept(50_000, 100), ['M', 'S']);
        assert_eq!(kept(50_000, 500_000), ['M', 'M']);
    }

    #[test]
    fn an_item_of_which_a_part_is_missing_or_damaged_is_not_taken_for_another() {
        let Encoded { attributes, parts } = encode(&item("{}", &noise(2_000_000))).unwrap();
        let image = super::super::attributes::read(attributes).unwrap();
        let all = contents(&parts);
        assert!(all.len() > 2);
        for missing in all.keys() {
            let rest = all.iter().filter(|(key, _)| *key != missing);
            let rest = rest.map(|(key, content)| (key.clone(), content.clone())).collect();
            assert_eq!(image.clone().with(&rest).unwrap_err().part_keys(), image.part_keys());
        }
        let damaged = all.iter().map(|(key, content)| (key.clone(), content[1..].to_vec())).collect();
        for item in [image.clone().with(&damaged).unwrap(), image.lost()] {
            assert!(matches!(item.record::<BodyPart>(), Err(Error::Unreadable(_))));
        }
    }
}
