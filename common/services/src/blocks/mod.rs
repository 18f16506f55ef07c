//! What the server does with blocks: registers their schemas, and seals, opens and puts together their documents.

pub mod answers;
pub mod documents;
pub mod installation;
pub mod resealing;
pub mod schemas;
