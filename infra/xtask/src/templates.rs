//! The CloudFormation templates, as the crate `infra` renders them.

use crate::{Result, stale::Files};

const DIRECTORY: &str = "infra/templates";

pub(crate) fn generate(files: &mut Files<'_>) -> Result<()> {
    files.own(DIRECTORY, "json", &[])?;
    for (name, template) in infra::templates() {
        files.put(format!("{DIRECTORY}/{name}"), serde_json::to_string_pretty(&template)? + "\n");
    }
    Ok(())
}
