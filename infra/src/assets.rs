//! What Prefect ships as data, beside the functions that read it: a layer.
//!
//! `docs/decisions/0010-assets-in-a-layer.md` says why it is one.

use serde_json::{Map, Value, json};

use crate::substitute;

/// The layer's resource in the root stack, and the parameter of a nested stack that has its ARN.
pub(crate) const LAYER: &str = "Assets";

/// The folder of the layer, seen from the templates; it is there also where nobody has put assets into it.
const FOLDER: &str = "../layer";

/// Where a function finds the folder `assets` of its layer (AWS: "Layer paths for each Lambda runtime").
pub(crate) const MOUNTED: &str = "/opt/assets";

/// Declares the layer, for the root stack.
pub(crate) fn resources() -> Map<String, Value> {
    let layer = json!({
        "Type": "AWS::Lambda::LayerVersion",
        "Properties": {
            "LayerName": substitute("proctor-${Stage}-assets"),
            "Description": "What Prefect ships as data, where `proctor assets` has put it",
            "Content": FOLDER
        }
    });
    Map::from_iter([(LAYER.to_owned(), layer)])
}
