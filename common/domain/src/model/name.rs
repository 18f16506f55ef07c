//! Names that the server makes up for runs without one.

/// Returns two random words such as `brave-otter` (Prefect's `generate_slug(2)`).
pub fn random_name() -> String {
    // The word lists are never empty; an id serves as well, should they ever be.
    petname::petname(2, "-").unwrap_or_else(|| uuid::Uuid::new_v4().to_string())
}

#[cfg(test)]
mod tests {
    #[test]
    fn has_two_words() {
        assert_eq!(super::random_name().split('-').count(), 2);
    }
}
