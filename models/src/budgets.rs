//! What each layer of a regularised network keeps, as it stands in an experiment.

use freqreg_nn::{Budget, Init, Keep, KeepOrder};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The budget of every layer, by the layer's name.
pub type Budgets = BTreeMap<String, LayerKeep>;

/// What one layer keeps.
///
/// In TOML: `conv1 = { keep = 96 }`, `fc1 = { keep = 280, order = "inverse-sqrt", axes = [196, 128, 4, 4] }`,
/// `stem = { dense = true }`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LayerKeep {
    /// How many coefficients.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep: Option<usize>,
    /// Or which share of them, above 0 and up to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fraction: Option<f64>,
    /// Or all, as an ordinary layer.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dense: bool,
    /// The keep order: "zigzag" (the paper's, and the default), "inverse-sqrt" or "weights:1,1,4,4".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<String>,
    /// The axes of the transform, where they are not those of the weight.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub axes: Option<Vec<usize>>,
}

impl LayerKeep {
    /// As the layers' constructors want it.
    ///
    /// # Errors
    /// A sentence on what is wrong: none or several of `keep`, `fraction` and `dense`; an unknown order.
    pub fn to_keep(&self, init: Init) -> Result<Keep, String> {
        let budget = match (self.keep, self.fraction, self.dense) {
            (Some(k), None, false) => Budget::Count(k),
            (None, Some(f), false) => Budget::Fraction(f),
            (None, None, true) => Budget::Dense,
            _ => return Err("give exactly one of `keep`, `fraction` and `dense`".into()),
        };
        let order: KeepOrder = match &self.order {
            None => KeepOrder::Zigzag,
            Some(text) => text.parse().map_err(|e| format!("{e}"))?,
        };
        let mut keep = Keep::from(budget).order(order).init(init);
        keep.axes.clone_from(&self.axes);
        Ok(keep)
    }
}
