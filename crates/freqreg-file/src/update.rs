//! Updates: what changed between two models, as a model file of its own.
//!
//! An update is a [`Model`] whose architecture is `update:` and the network's, so that who looks for a network does not take it for one.
//! Its tensors are those that changed or came anew, each whole. Its configuration says what they are put into, and what comes of it.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use crate::{Error, Model, Tensor, Values};

/// How the architecture of an update begins.
const PREFIX: &str = "update:";

/// Why an update could not be made or applied.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UpdateFault {
    /// A network was wanted, and this is an update already.
    #[error(
        "{which} is an update of a `{architecture}`, not a network: apply it to its network first"
    )]
    IsAnUpdate {
        /// `the old model` or `the new model`.
        which: &'static str,
        /// The network's architecture.
        architecture: String,
    },
    /// An update was wanted.
    #[error(
        "it is a model of a `{architecture}`, not an update: updates are made with `freqreg diff`"
    )]
    NotAnUpdate {
        /// What it is.
        architecture: String,
    },
    /// The models are different networks.
    #[error(
        "the old model is a `{old}` and the new one a `{new}`: an update leads from a network to the same one with other numbers"
    )]
    Architectures {
        /// The architecture of the old model, or of the one that the update was to be applied to.
        old: String,
        /// That of the new model, or of the update.
        new: String,
    },
    /// The update is one of another model.
    #[error(
        "the update is one of a model with checksum {expected}, and this one has {got}: apply it to the file that it was made from"
    )]
    Base {
        /// The checksum that the update asks for.
        expected: String,
        /// The checksum of the model.
        got: String,
    },
    /// The update fits, and gives another model than the one that it was made for.
    #[error(
        "the update is damaged or was changed: it should give a model with checksum {expected}, and gives one with {got}"
    )]
    Result {
        /// The checksum that the update promises.
        expected: String,
        /// The checksum of what came of it.
        got: String,
    },
    /// The configuration of the update says something that none does.
    #[error("the update is malformed: {what}")]
    Malformed {
        /// What is wrong.
        what: String,
    },
    /// A model breaks a rule.
    #[error(transparent)]
    Model(#[from] Error),
}

impl Model {
    /// The checksum by which updates know a model, eight hexadecimal digits: the CRC-32 at the end of what
    /// [`to_bytes`](Self::to_bytes) gives. It does not depend on the form of the file that the model was read from.
    ///
    /// # Errors
    /// As [`validate`](Self::validate).
    pub fn fingerprint(&self) -> Result<String, Error> {
        let bytes = self.to_bytes()?;
        let end = &bytes[bytes.len() - crate::wire::CHECKSUM..];
        Ok(end.iter().rev().map(|b| format!("{b:02x}")).collect())
    }

    /// The architecture that this is an update of; `None` for a network.
    pub fn update_of(&self) -> Option<&str> {
        self.architecture.strip_prefix(PREFIX)
    }

    /// The update that makes this model into `new`: the tensors that changed or came anew, and nothing of the others.
    ///
    /// ```
    /// use freqreg_dct::KeepOrder;
    /// use freqreg_file::{Model, Storage, Tensor, Values};
    ///
    /// let tensor = |name: &str, scale: f32| Tensor {
    ///     name: name.into(),
    ///     shape: vec![300, 400],
    ///     storage: Storage::Prefix { axes: vec![300, 400], order: KeepOrder::Zigzag },
    ///     values: Values::F32((0..100).map(|i| scale / (i + 1) as f32).collect()),
    /// };
    /// let model = |scale| Model {
    ///     architecture: "two-layers".into(),
    ///     config: String::new(),
    ///     tensors: vec![tensor("first", 1.0), tensor("second", scale)],
    /// };
    /// let (old, new) = (model(1.0), model(2.0));
    /// let update = old.update_to(&new)?;
    /// assert_eq!(update.tensors.len(), 1);
    /// assert_eq!(old.updated(&update)?, new);
    /// // The update is one of this model alone.
    /// assert!(new.updated(&update).is_err());
    /// # Ok::<(), freqreg_file::UpdateFault>(())
    /// ```
    ///
    /// # Errors
    /// [`UpdateFault`] for models of different architectures, and for one that is an update itself.
    pub fn update_to(&self, new: &Model) -> Result<Model, UpdateFault> {
        refuse_update(self, "the old model")?;
        refuse_update(new, "the new model")?;
        if self.architecture != new.architecture {
            return Err(UpdateFault::Architectures {
                old: self.architecture.clone(),
                new: new.architecture.clone(),
            });
        }
        let mut head = Map::new();
        head.insert("base".into(), self.fingerprint()?.into());
        head.insert("result".into(), new.fingerprint()?.into());
        if self.config != new.config {
            head.insert("config".into(), new.config.clone().into());
        }
        let before = by_name(self);
        let after = by_name(new);
        let removed: Vec<&str> = names(self).filter(|n| !after.contains_key(n)).collect();
        let changed = new.tensors.iter().filter(|t| {
            let old = before.get(t.name.as_str());
            !old.is_some_and(|&i| same(&self.tensors[i], t))
        });
        let update = Model {
            architecture: format!("{PREFIX}{}", self.architecture),
            config: String::new(),
            tensors: changed.cloned().collect(),
        };
        // Where the new order does not come by itself, it is given as places in that which does.
        let plain = put_together(self, &removed.iter().copied().collect(), &update.tensors);
        let plain: BTreeMap<&str, usize> =
            (plain.iter().map(|t| t.name.as_str()).zip(0..)).collect();
        let order: Vec<usize> = names(new).map(|n| plain[n]).collect();
        if !removed.is_empty() {
            head.insert("removed".into(), json!(removed));
        }
        if !order.iter().copied().eq(0..order.len()) {
            head.insert("order".into(), json!(order));
        }
        Ok(Model {
            config: Value::Object(head).to_string(),
            ..update
        })
    }

    /// What an update makes of this model.
    ///
    /// # Errors
    /// [`UpdateFault`] for an update of another model than this, for what is no update, and for one that does not give what it was made for.
    pub fn updated(&self, update: &Model) -> Result<Model, UpdateFault> {
        let Some(architecture) = update.update_of() else {
            return Err(UpdateFault::NotAnUpdate {
                architecture: update.architecture.clone(),
            });
        };
        refuse_update(self, "the old model")?;
        if architecture != self.architecture {
            return Err(UpdateFault::Architectures {
                old: self.architecture.clone(),
                new: architecture.into(),
            });
        }
        let head = Head::parse(&update.config)?;
        let got = self.fingerprint()?;
        if got != head.base {
            return Err(UpdateFault::Base {
                expected: head.base,
                got,
            });
        }
        let removed = head.removed.iter().map(String::as_str).collect();
        let plain = put_together(self, &removed, &update.tensors);
        let order = head.order.unwrap_or_else(|| (0..plain.len()).collect());
        // Each once, and all: nothing is copied more often than it is there.
        let mut sorted = order.clone();
        sorted.sort_unstable();
        if !sorted.into_iter().eq(0..plain.len()) {
            return Err(malformed("its order does not name every tensor once"));
        }
        let tensors = order.iter().map(|&i| plain[i].clone()).collect();
        let new = Model {
            architecture: architecture.into(),
            config: head.config.unwrap_or_else(|| self.config.clone()),
            tensors,
        };
        let got = new.fingerprint()?;
        match got == head.result {
            true => Ok(new),
            false => Err(UpdateFault::Result {
                expected: head.result,
                got,
            }),
        }
    }
}

/// What the configuration of an update says.
struct Head {
    base: String,
    result: String,
    config: Option<String>,
    removed: Vec<String>,
    order: Option<Vec<usize>>,
}

impl Head {
    fn parse(config: &str) -> Result<Self, UpdateFault> {
        let Ok(Value::Object(mut map)) = serde_json::from_str(config) else {
            return Err(malformed("its configuration is no JSON object"));
        };
        let lacks = |key: &str| malformed(&format!("its configuration lacks `{key}`"));
        let head = Head {
            base: taken(&mut map, "base", text)?.ok_or_else(|| lacks("base"))?,
            result: taken(&mut map, "result", text)?.ok_or_else(|| lacks("result"))?,
            config: taken(&mut map, "config", text)?,
            removed: taken(&mut map, "removed", |v| list(v, text))?.unwrap_or_default(),
            order: taken(&mut map, "order", |v| list(v, place))?,
        };
        match map.keys().next() {
            // A newer program may have put it there, and what it means is not known.
            Some(key) => Err(malformed(&format!(
                "its configuration has `{key}`, which this program does not know"
            ))),
            None => Ok(head),
        }
    }
}

fn text(value: &Value) -> Option<String> {
    value.as_str().map(String::from)
}

fn place(value: &Value) -> Option<usize> {
    value.as_u64().and_then(|n| usize::try_from(n).ok())
}

fn list<T>(value: &Value, item: fn(&Value) -> Option<T>) -> Option<Vec<T>> {
    value.as_array()?.iter().map(item).collect()
}

/// Takes an entry out of the configuration, if it is there.
fn taken<T>(
    map: &mut Map<String, Value>,
    key: &str,
    read: impl Fn(&Value) -> Option<T>,
) -> Result<Option<T>, UpdateFault> {
    match map.remove(key) {
        None => Ok(None),
        Some(value) => match read(&value) {
            Some(value) => Ok(Some(value)),
            None => Err(malformed(&format!(
                "`{key}` of its configuration is not what it should be"
            ))),
        },
    }
}

fn malformed(what: &str) -> UpdateFault {
    UpdateFault::Malformed { what: what.into() }
}

fn refuse_update(model: &Model, which: &'static str) -> Result<(), UpdateFault> {
    match model.update_of() {
        Some(architecture) => Err(UpdateFault::IsAnUpdate {
            which,
            architecture: architecture.into(),
        }),
        None => Ok(()),
    }
}

fn names(model: &Model) -> impl Iterator<Item = &str> {
    model.tensors.iter().map(|t| t.name.as_str())
}

fn by_name(model: &Model) -> BTreeMap<&str, usize> {
    names(model).zip(0..).collect()
}

/// The old tensors without those removed, each in its new form where it changed, and behind them those that came anew.
fn put_together<'a>(
    old: &'a Model,
    removed: &BTreeSet<&str>,
    changed: &'a [Tensor],
) -> Vec<&'a Tensor> {
    let new: BTreeMap<&str, &Tensor> = changed.iter().map(|t| (t.name.as_str(), t)).collect();
    let known: BTreeSet<&str> = names(old).collect();
    let kept = old
        .tensors
        .iter()
        .filter(|t| !removed.contains(t.name.as_str()));
    let kept = kept.map(|t| new.get(t.name.as_str()).copied().unwrap_or(t));
    kept.chain(changed.iter().filter(|t| !known.contains(t.name.as_str())))
        .collect()
}

/// Whether two tensors are the same to the last bit, for which `==` would not do: 0.0 equals -0.0.
fn same(a: &Tensor, b: &Tensor) -> bool {
    let values = match (&a.values, &b.values) {
        (Values::F16(a), Values::F16(b)) => a
            .iter()
            .map(|v| v.to_bits())
            .eq(b.iter().map(|v| v.to_bits())),
        (Values::F32(a), Values::F32(b)) => a
            .iter()
            .map(|v| v.to_bits())
            .eq(b.iter().map(|v| v.to_bits())),
        (a @ Values::Quantised { .. }, b @ Values::Quantised { .. }) => a == b,
        _ => false,
    };
    values && a.shape == b.shape && a.storage == b.storage
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Storage;
    use freqreg_dct::KeepOrder;
    use half::f16;

    fn tensor(name: &str, values: Values) -> Tensor {
        Tensor {
            name: name.into(),
            shape: vec![20, 30],
            storage: Storage::Prefix {
                axes: vec![20, 30],
                order: KeepOrder::Zigzag,
            },
            values,
        }
    }

    fn numbers(from: f32) -> Values {
        Values::F16((0..9).map(|i| f16::from_f32(from + i as f32)).collect())
    }

    fn model(tensors: &[(&str, f32)]) -> Model {
        Model {
            architecture: "net".into(),
            config: r#"{"classes":10}"#.into(),
            tensors: tensors
                .iter()
                .map(|&(name, from)| tensor(name, numbers(from)))
                .collect(),
        }
    }

    /// The update from one to the other, which leads there also when it was a file.
    fn between(old: &Model, new: &Model) -> Model {
        let update = old.update_to(new).unwrap();
        let read = Model::from_bytes(&update.to_bytes().unwrap()).unwrap();
        assert_eq!(read, update);
        let got = old.updated(&read).unwrap();
        assert_eq!(got.to_bytes().unwrap(), new.to_bytes().unwrap());
        update
    }

    fn keys(update: &Model) -> Vec<String> {
        let Ok(Value::Object(map)) = serde_json::from_str(&update.config) else {
            panic!("{}", update.config)
        };
        map.keys().cloned().collect()
    }

    #[test]
    fn only_what_changed_is_in_an_update() {
        let old = model(&[("a", 1.0), ("b", 2.0), ("c", 3.0)]);
        let update = between(&old, &model(&[("a", 1.0), ("b", 5.0), ("c", 3.0)]));
        assert_eq!(update.architecture, "update:net");
        assert_eq!(names(&update).collect::<Vec<_>>(), ["b"]);
        assert_eq!(keys(&update), ["base", "result"]);

        let nothing = between(&old, &old);
        assert!(nothing.tensors.is_empty());
        assert!(nothing.to_bytes().unwrap().len() < 80);

        let config = Model {
            config: String::new(),
            ..old.clone()
        };
        assert_eq!(keys(&between(&old, &config)), ["base", "config", "result"]);
    }

    #[test]
    fn a_change_of_form_or_of_the_sign_of_zero_is_one() {
        let old = model(&[("a", 0.0), ("b", 2.0)]);
        let with = |change: &dyn Fn(&mut Tensor)| {
            let mut new = old.clone();
            change(&mut new.tensors[0]);
            assert_eq!(between(&old, &new).tensors.len(), 1);
        };
        with(&|t| {
            if let Values::F16(v) = &mut t.values {
                v[0] = f16::NEG_ZERO;
            }
        });
        with(&|t| t.values = Values::F32(t.values.to_f32()));
        with(&|t| t.values = t.values.quantised(f16::ONE, 0.5).unwrap());
        with(&|t| t.shape = vec![30, 20]);
        with(&|t| {
            t.storage = Storage::Prefix {
                axes: vec![20, 30],
                order: KeepOrder::InverseSqrt,
            }
        });
    }

    #[test]
    fn tensors_come_go_and_change_places() {
        let old = model(&[("a", 1.0), ("b", 2.0), ("c", 3.0), ("d", 4.0)]);
        type Case<'a> = (&'a [(&'a str, f32)], &'a [&'a str], bool);
        let cases: [Case; 5] = [
            (&[("a", 1.0), ("b", 2.0), ("c", 3.0)], &[], false),
            (
                &[("a", 1.0), ("b", 2.0), ("c", 3.0), ("d", 4.0), ("e", 5.0)],
                &["e"],
                false,
            ),
            (&[("e", 5.0), ("d", 4.0), ("a", 1.0)], &["e"], true),
            (
                &[("d", 4.0), ("c", 9.0), ("b", 2.0), ("a", 1.0)],
                &["c"],
                true,
            ),
            (&[], &[], false),
        ];
        for (new, changed, ordered) in cases {
            let update = between(&old, &model(new));
            assert_eq!(names(&update).collect::<Vec<_>>(), changed);
            assert_eq!(
                keys(&update).contains(&"order".to_string()),
                ordered,
                "{}",
                update.config
            );
        }
    }

    #[test]
    fn an_update_fits_one_model() {
        let (old, new) = (model(&[("a", 1.0)]), model(&[("a", 2.0)]));
        let update = old.update_to(&new).unwrap();
        let said = new.updated(&update).unwrap_err().to_string();
        assert!(
            said.contains(&old.fingerprint().unwrap())
                && said.contains(&new.fingerprint().unwrap()),
            "{said}"
        );

        let other = Model {
            architecture: "other".into(),
            ..old.clone()
        };
        assert!(matches!(
            other.updated(&update),
            Err(UpdateFault::Architectures { .. })
        ));
        assert!(matches!(
            old.update_to(&other),
            Err(UpdateFault::Architectures { .. })
        ));
        assert!(matches!(
            old.updated(&new),
            Err(UpdateFault::NotAnUpdate { .. })
        ));
        assert!(matches!(
            update.updated(&update),
            Err(UpdateFault::IsAnUpdate { .. })
        ));
        assert!(matches!(
            old.update_to(&update),
            Err(UpdateFault::IsAnUpdate { .. })
        ));
        assert!(matches!(
            update.update_to(&old),
            Err(UpdateFault::IsAnUpdate { .. })
        ));
    }

    #[test]
    fn an_update_that_was_changed_is_refused() {
        let old = model(&[("a", 1.0), ("b", 2.0)]);
        let good = old.update_to(&model(&[("b", 3.0), ("c", 2.0)])).unwrap();
        let mut other = good.clone();
        other.tensors[0].values = numbers(7.0);
        assert!(matches!(
            old.updated(&other),
            Err(UpdateFault::Result { .. })
        ));

        let refused = |from: &str, to: &str| {
            let mut update = good.clone();
            assert!(update.config.contains(from), "{}", update.config);
            update.config = update.config.replace(from, to);
            old.updated(&update).unwrap_err().to_string()
        };
        for (from, to, says) in [
            ("\"base\"", "\"bass\"", "lacks `base`"),
            ("\"removed\"", "\"moved\"", "`moved`"),
            ("\"removed\":[\"a\"]", "\"removed\":7", "`removed`"),
            ("\"removed\":[\"a\"]", "\"order\":[0,7]", "order"),
            ("\"removed\":[\"a\"]", "\"order\":[-1]", "order"),
            (
                "\"removed\":[\"a\"]",
                "\"order\":[1,1,2]",
                "every tensor once",
            ),
            ("\"removed\":[\"a\"]", "\"order\":[2,1,0]", "checksum"),
            ("\"removed\":[\"a\"]", "\"config\":\"\"", "checksum"),
            ("{", "", "JSON"),
        ] {
            let said = refused(from, to);
            assert!(said.contains(says), "{said}");
        }
    }
}
