//! What only one verb asks for: a table each.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct DemoSettings {
    pub(crate) events: Option<u64>,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct SimulateSettings {
    pub(crate) events: Option<u64>,
    pub(crate) users: Option<u64>,
    pub(crate) truth: Option<PathBuf>,
    pub(crate) shop: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct EvaluateSettings {
    pub(crate) predictions: Option<PathBuf>,
    pub(crate) at: Vec<String>,
    pub(crate) cases: Option<PathBuf>,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct PredictSettings {
    pub(crate) at: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct ExplainSettings {
    pub(crate) user: Option<String>,
    pub(crate) all: Option<u32>,
    pub(crate) at: Option<String>,
    pub(crate) before: Option<String>,
    pub(crate) task: Option<String>,
    pub(crate) target: Option<String>,
    pub(crate) baseline: Option<String>,
    pub(crate) steps: Option<u32>,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct AudienceSettings {
    pub(crate) at: Option<String>,
    pub(crate) task: Option<String>,
    pub(crate) list: Option<String>,
    pub(crate) top: Option<u64>,
    pub(crate) budget: Option<f64>,
    pub(crate) cost: Option<f64>,
    pub(crate) margin: Option<f64>,
    pub(crate) effect: Option<f64>,
    pub(crate) worth: Option<f64>,
    pub(crate) treated: Option<String>,
    pub(crate) resamples: Option<u32>,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct RecommendSettings {
    pub(crate) events: Option<String>,
    pub(crate) events_file: Option<PathBuf>,
    pub(crate) log: Vec<PathBuf>,
    pub(crate) user: Option<String>,
    pub(crate) all: bool,
    pub(crate) k: Option<u32>,
    pub(crate) seen: Option<String>,
    pub(crate) bought: Option<String>,
    pub(crate) buys: Option<String>,
    pub(crate) allow: Option<PathBuf>,
    pub(crate) deny: Option<PathBuf>,
    pub(crate) per_category: Option<u32>,
    pub(crate) only_category: Vec<String>,
    pub(crate) only_kind: Vec<String>,
    pub(crate) item_table: Option<PathBuf>,
    pub(crate) category_column: Option<String>,
}

/// What a user's row of numbers is made of.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct RepresentSettings {
    pub(crate) of: Option<String>,
    pub(crate) pool: Option<String>,
    pub(crate) pca: Option<u32>,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct SegmentSettings {
    pub(crate) clusters: Option<u32>,
    pub(crate) method: Option<String>,
    pub(crate) sample: Option<u32>,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct ExportSettings {
    pub(crate) format: Option<String>,
    pub(crate) items: Option<PathBuf>,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct ImportSettings {
    pub(crate) items: Option<PathBuf>,
    pub(crate) like: Option<PathBuf>,
    pub(crate) rename: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct BenchSettings {
    pub(crate) shape: Vec<String>,
    pub(crate) mode: Option<String>,
    pub(crate) dtype: Option<String>,
    pub(crate) seconds: Option<f64>,
}
