//! The support bundle, as the server gives it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// `GET /api/v1/support-bundle`: texts for whoever is to help, with secrets out.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct SupportBundle {
    /// The version that made it.
    pub version: String,
    /// Names of files and what is in them.
    pub files: BTreeMap<String, String>,
}
