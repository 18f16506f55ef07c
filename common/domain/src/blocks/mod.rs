//! What blocks are made of: the fields of their schemas, their secrets, and the blocks within them.

pub mod checksum;
pub mod fields;
pub mod references;
pub mod secrets;
