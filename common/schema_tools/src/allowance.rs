//! What one request may still spend on templates, placeholders and schemas.

use budget::{Bound, Meter};

/// What one request may still spend on templates, placeholders and schemas.
///
/// A request begins with all of it, however many programs it then asks to evaluate.
#[derive(Debug)]
pub struct Allowance {
    /// The instructions of templates.
    pub(crate) instructions: Meter,
    /// The steps of schemas.
    pub(crate) steps: Meter,
    /// The steps that it takes to say what is wrong.
    pub(crate) faults: Meter,
}

impl Default for Allowance {
    fn default() -> Self {
        Self {
            instructions: Meter::new(Bound::TemplateWork),
            steps: Meter::new(Bound::SchemaSteps),
            faults: Meter::new(Bound::SchemaFaults),
        }
    }
}
