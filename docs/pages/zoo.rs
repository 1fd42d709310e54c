//! The networks with every version that comes along, as tables of tensors.

use candle_core::{DType, Device};
use freqreg_models::{Architecture, EXPERIMENTS, Layers};
use freqreg_nn::{Form, KeepOrder, Parameter, Store};
use freqreg_train::experiment::Experiment;

/// A network with a page of its own.
pub(crate) struct Network {
    /// As in an experiment, and the name of the page.
    pub(crate) name: &'static str,
    /// As in running text.
    pub(crate) title: &'static str,
    /// Its experiments, in the order of their names; at least one.
    pub(crate) versions: Vec<Version>,
}

/// An experiment with the tensors of its regularised network.
pub(crate) struct Version {
    pub(crate) experiment: Experiment,
    /// In the order in which the network asks for them.
    pub(crate) tensors: Vec<Tensor>,
}

/// One tensor.
#[derive(Clone, PartialEq)]
pub(crate) struct Tensor {
    /// The layer's name, as in the budgets; with `.bias` for a bias.
    pub(crate) name: String,
    /// In spatial form.
    pub(crate) shape: Vec<usize>,
    pub(crate) kept: usize,
    /// Axes and order where it is a prefix of coefficients; `None` for plain values.
    pub(crate) prefix: Option<(Vec<usize>, KeepOrder)>,
}

/// The pages there are, in the book's order.
const TITLES: [(&str, &str); 8] = [
    ("lenet5", "LeNet5"),
    ("alexnet", "AlexNet"),
    ("vgg", "VGG16"),
    ("resnet18", "ResNet18"),
    ("vit", "ViT"),
    ("unet", "UNet"),
    ("dcgan", "DCGAN"),
    ("vae", "VAE"),
];

/// Every network, in the book's order.
///
/// # Errors
/// An experiment that can't be built, or whose network has no page.
pub(crate) fn networks() -> Result<Vec<Network>, String> {
    let mut networks = TITLES.map(|(name, title)| Network {
        name,
        title,
        versions: Vec::new(),
    });
    for (name, text) in EXPERIMENTS {
        let version = Version::new(name, text).map_err(|e| format!("{name}: {e}"))?;
        let network = version.model().name();
        match networks.iter_mut().find(|n| n.name == network) {
            Some(network) => network.versions.push(version),
            None => return Err(format!("{name}: there is no page on `{network}`")),
        }
    }
    match networks.iter().find(|n| n.versions.is_empty()) {
        Some(network) => Err(format!("{}: it has no experiment", network.name)),
        None => Ok(networks.into()),
    }
}

impl Network {
    /// Every tensor that some version has, in order, with what each version has of it.
    pub(crate) fn rows(&self) -> Vec<(&Tensor, Vec<Option<&Tensor>>)> {
        let mut rows: Vec<&Tensor> = Vec::new();
        for version in &self.versions {
            let mut at = 0;
            for tensor in &version.tensors {
                match rows.iter().position(|row| row.name == tensor.name) {
                    Some(found) => at = found + 1,
                    None => {
                        rows.insert(at, tensor);
                        at += 1;
                    }
                }
            }
        }
        let of = |row: &Tensor| {
            let find = |v: &'_ Version| v.tensors.iter().position(|t| t.name == row.name);
            let versions = self.versions.iter();
            versions
                .map(|v| find(v).map(|i| &v.tensors[i]))
                .collect::<Vec<_>>()
        };
        rows.iter().map(|row| (*row, of(row))).collect()
    }
}

impl Version {
    fn new(name: &str, text: &str) -> Result<Self, String> {
        let experiment = Experiment::parse(name, text).map_err(|e| e.to_string())?;
        let store = Store::new(1, DType::F32, &Device::Cpu);
        let regularised = &experiment.regularised;
        let layers =
            Layers::regularised(store.root(), &regularised.budgets, regularised.init.into());
        regularised.model.build(layers).map_err(|e| e.to_string())?;
        let tensors = store.parameters().iter().map(Tensor::new).collect();
        Ok(Version {
            experiment,
            tensors,
        })
    }

    pub(crate) fn name(&self) -> &str {
        &self.experiment.name
    }

    pub(crate) fn model(&self) -> &Architecture {
        &self.experiment.regularised.model
    }

    /// Weights of all tensors, or of those alone that are prefixes.
    pub(crate) fn weights(&self, prefixes_only: bool) -> usize {
        self.counted(prefixes_only).map(Tensor::weights).sum()
    }

    /// Numbers kept in all tensors, or in those alone that are prefixes.
    pub(crate) fn kept(&self, prefixes_only: bool) -> usize {
        self.counted(prefixes_only).map(|t| t.kept).sum()
    }

    fn counted(&self, prefixes_only: bool) -> impl Iterator<Item = &Tensor> {
        let counts = move |t: &&Tensor| t.prefix.is_some() || !prefixes_only;
        self.tensors.iter().filter(counts)
    }
}

impl Tensor {
    fn new(parameter: &Parameter) -> Self {
        let name = parameter.name();
        Tensor {
            name: name.strip_suffix(".weight").unwrap_or(name).into(),
            shape: parameter.shape().to_vec(),
            kept: parameter.kept(),
            prefix: match parameter.form() {
                Form::Plain => None,
                Form::Prefix { axes, order } => Some((axes.clone(), order.clone())),
            },
        }
    }

    pub(crate) fn weights(&self) -> usize {
        self.shape.iter().product()
    }
}

/// A shape in words: `64 × 3 × 3 × 3`, with spaces at which no line breaks.
pub(crate) fn shape(sizes: &[usize]) -> String {
    let sizes: Vec<String> = sizes.iter().map(usize::to_string).collect();
    sizes.join("\u{a0}×\u{a0}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_version_keeps_as_many_numbers_as_the_paper_prints() {
        for network in networks().unwrap() {
            for version in network.versions {
                let Some(claim) = &version.experiment.paper else {
                    assert_eq!(network.name, "vae");
                    continue;
                };
                // Some of its tables leave out what stays dense.
                let counts = [false, true].map(|prefixes_only| version.kept(prefixes_only));
                assert!(
                    counts.contains(&claim.kept),
                    "{}: {counts:?}",
                    version.name()
                );
            }
        }
    }

    #[test]
    fn a_tensor_that_one_version_lacks_stands_in_its_place() {
        let networks = networks().unwrap();
        let rows = networks[0].rows();
        let names: Vec<&str> = rows.iter().map(|(t, _)| t.name.as_str()).collect();
        assert_eq!(names, ["conv1", "conv1.bias", "conv2", "fc1", "fc2"]);
        let bias: Vec<Option<usize>> = rows[1].1.iter().map(|t| t.map(|t| t.kept)).collect();
        assert_eq!(bias, [None, Some(8)]);
    }
}
