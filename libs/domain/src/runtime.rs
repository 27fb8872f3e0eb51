//! A runtime: an interpreter with the packages it offers.

use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Runtime {
    /// Such as `python3.13`, `base`, `bash`.
    pub id: String,
    pub language: String,
    pub version: String,
    pub title: String,
    /// Other names that a request may use, such as `python` for the newest.
    pub aliases: Vec<String>,
    pub packages: Vec<Package>,
    pub default: bool,
    /// False while it is being built.
    pub available: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Package {
    pub name: String,
    pub version: String,
}
