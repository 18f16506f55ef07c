//! Block types: what a kind of block is called, and how it is shown.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Timestamp, id::typed_id, named};
use crate::events::Lifecycle;

typed_id! {
    /// The id of a block type.
    BlockTypeId
}

/// A block type, known by its unique slug (contract schema `BlockType`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BlockType {
    /// The type's id.
    pub id: BlockTypeId,
    /// When the type was made.
    pub created: Timestamp,
    /// When the type was last changed.
    pub updated: Timestamp,
    /// The name that is shown; others may have it, too.
    pub name: String,
    /// The unique name, which never changes.
    pub slug: String,
    /// Where there is a picture of it.
    pub logo_url: Option<String>,
    /// Where it is documented.
    pub documentation_url: Option<String>,
    /// What blocks of the type are for.
    pub description: Option<String>,
    /// How a block of the type is used.
    pub code_example: Option<String>,
    /// Whether neither the type nor its schemas can be deleted.
    #[serde(default)]
    pub is_protected: bool,
}

named!(BlockType);

impl Lifecycle for BlockType {
    const RESOURCE: &'static str = "block-type";

    fn payload(&self) -> Value {
        json!({
            "name": self.name,
            "slug": self.slug,
            "logo_url": self.logo_url,
            "documentation_url": self.documentation_url,
            "description": self.description,
            "code_example": self.code_example,
            "is_protected": self.is_protected,
        })
    }
}

/// Returns a text with the signs of HTML's tags escaped, as Prefect keeps what comes with a new type.
pub fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// Returns an [`escaped`] text as it was.
///
/// Prefect undoes every escape that HTML has; these are those that it makes.
pub fn unescaped(text: &str) -> String {
    text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_escaped_text_can_be_read_again() {
        let text = r#"a <b> & "c" &amp; d"#;
        assert_eq!(escaped(text), r#"a &lt;b&gt; &amp; "c" &amp;amp; d"#);
        assert_eq!(unescaped(&escaped(text)), text);
    }
}
