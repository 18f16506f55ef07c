//! Texts compressed by zlib, those of runs and events with the words that nearly all of them have.
//!
//! A record of a run has two kilobytes or three, most of them names of fields. What is compressed by itself has to
//! spell each of them out once, so these texts are compressed with a dictionary ([`WORDS`]), as zlib has it. The stream
//! names the dictionary by its checksum, and has none where there was none, so any text is read whenever it was
//! written.

use std::io::Write as _;

use flate2::{Compress, Compression, Decompress, FlushDecompress, Status, write::ZlibEncoder};

use error::{Error, Result};

/// The names and values that records of runs and events have, what is in the most of them last.
///
/// It is never changed: what was written with it is read with it. A better one goes beside it, and names itself.
const WORDS: &str = include_str!("words.txt");

/// How much room a text gets that is read, more than it has compressed, before it gets more.
const ROOM: usize = 4;

/// How hard a text is compressed that may be megabytes long: zlib's first level makes no codes for the letters of a
/// text.
const OF_LONG: Compression = Compression::new(2);

/// Compresses a text by itself.
pub(super) fn compressed(text: &str) -> Result<Vec<u8>> {
    written(ZlibEncoder::new(Vec::new(), OF_LONG), text)
}

/// Compresses a text of a run or an event.
pub(super) fn compressed_with_words(text: &str) -> Result<Vec<u8>> {
    let mut compress = Compress::new(Compression::default(), true);
    let failed = |error| Error::Internal(format!("the words can't be used: {error}"));
    compress.set_dictionary(WORDS.as_bytes()).map_err(failed)?;
    written(ZlibEncoder::new_with_compress(Vec::new(), compress), text)
}

fn written(mut encoder: ZlibEncoder<Vec<u8>>, text: &str) -> Result<Vec<u8>> {
    let failed = |error: std::io::Error| Error::Internal(format!("a text can't be compressed: {error}"));
    encoder.write_all(text.as_bytes()).map_err(failed)?;
    encoder.finish().map_err(failed)
}

/// Returns the text that was compressed, unless it is damaged.
pub(super) fn decompressed(bytes: &[u8]) -> Option<String> {
    let mut inflate = Decompress::new(true);
    let mut text = Vec::with_capacity(bytes.len().saturating_mul(ROOM));
    loop {
        let rest = bytes.get(usize::try_from(inflate.total_in()).ok()?..)?;
        let before = (inflate.total_in(), inflate.total_out());
        match inflate.decompress_vec(rest, &mut text, FlushDecompress::None) {
            Ok(Status::StreamEnd) => return String::from_utf8(text).ok(),
            Ok(_) if text.len() == text.capacity() => text.reserve(text.capacity().max(bytes.len())),
            // It ends in the middle.
            Ok(_) if before == (inflate.total_in(), inflate.total_out()) => return None,
            Ok(_) => {}
            Err(error) => {
                error.needs_dictionary()?;
                inflate.set_dictionary(WORDS.as_bytes()).ok()?;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const EVENT: &str = r#"{"occurred":"2026-01-31T09:30:00Z","event":"prefect.task-run.Running","related":[]}"#;

    proptest! {
        #[test]
        fn any_text_is_read_as_it_was(text in "(?s).{0,3000}", times in 1usize..200) {
            for text in [&text, &text.repeat(times), &(text.clone() + EVENT)] {
                let read = [compressed(text), compressed_with_words(text)].map(|bytes| decompressed(&bytes.unwrap()));
                prop_assert_eq!(read, [Some(text.clone()), Some(text.clone())]);
            }
        }

        #[test]
        fn what_is_damaged_is_no_text_or_the_same(place in 0usize..1_000, bit in 0u8..8, kept in 0usize..1_000) {
            let whole = compressed_with_words(EVENT).unwrap();
            let mut damaged = whole.clone();
            damaged[place % whole.len()] ^= 1 << bit;
            damaged.truncate(kept.max(place % whole.len() + 1));
            prop_assert!(decompressed(&damaged).is_none_or(|text| text == EVENT));
        }
    }

    #[test]
    fn words_save_most_of_a_record() {
        let (alone, with_words) = (compressed(EVENT).unwrap(), compressed_with_words(EVENT).unwrap());
        assert!(2 * with_words.len() < alone.len(), "{} {}", with_words.len(), alone.len());
    }
}
