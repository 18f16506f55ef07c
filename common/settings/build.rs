//! Makes a table of Prefect's settings from the recorded ones.

use std::{env, error::Error, fmt::Write as _, fs, path::Path};

use serde_json::Value;

const SETTINGS: &str = "settings-3.9.1.json";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed={SETTINGS}");
    println!("cargo::rerun-if-changed=build.rs");
    let recorded = serde_json::from_str(&fs::read_to_string(SETTINGS)?)?;
    fs::write(Path::new(&env::var("OUT_DIR")?).join("settings.rs"), settings(&recorded)?)?;
    Ok(())
}

/// Writes the table of settings: place, variables, kind and default of each.
fn settings(recorded: &Value) -> Result<String, Box<dyn Error>> {
    let settings = recorded.as_array().ok_or("the settings are no list")?;
    let mut source = format!("pub(super) static SETTINGS: [Setting; {}] = [\n", settings.len());
    for setting in settings {
        let text = |key: &str| setting[key].as_str().ok_or("a setting lacks its place or kind");
        let variables: Vec<&str> =
            setting["variables"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let mut kind = text("kind")?.to_owned();
        kind[..1].make_ascii_uppercase();
        let (path, default) = (text("setting")?, setting["default"].to_string());
        writeln!(
            source,
            "    Setting {{ path: {path:?}, variables: &{variables:?}, kind: Kind::{kind}, default: {default:?} }},"
        )?;
    }
    source.push_str("];\n");
    Ok(source)
}
