//! Public mirrors of the data sets, over https.

use std::time::Duration;

use ureq::Agent;

use crate::content::Pin;
use crate::{DatasetName, Error, Result};

/// The folders in which the files lie in their published form, tried in this order.
pub(crate) fn addresses(name: DatasetName) -> &'static [&'static str] {
    match name {
        DatasetName::Mnist => &[
            "https://ossci-datasets.s3.amazonaws.com/mnist/",
            "https://storage.googleapis.com/cvdf-datasets/mnist/",
        ],
        DatasetName::FashionMnist => &[
            "https://storage.googleapis.com/tensorflow/tf-keras-datasets/",
            "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
        ],
        DatasetName::Cifar10 => &["https://www.cs.toronto.edu/~kriz/"],
        // Made here, and not to be passed on.
        DatasetName::Garments | DatasetName::Carvana => &[],
    }
}

/// A client that gives up soon on what does not answer.
pub(crate) fn client() -> Agent {
    Agent::config_builder()
        .https_only(true)
        .timeout_resolve(Some(Duration::from_secs(5)))
        .timeout_connect(Some(Duration::from_secs(5)))
        .timeout_recv_response(Some(Duration::from_secs(15)))
        .timeout_recv_body(Some(Duration::from_secs(300)))
        .build()
        .into()
}

/// Fetches one file. Errors name the file alone: whoever asks knows the address.
pub(crate) fn fetch(client: &Agent, address: &str, pin: &Pin) -> Result<Vec<u8>> {
    let file = pin.published();
    let io = |e: ureq::Error| Error::Io {
        file: file.clone(),
        cause: e.into_io(),
    };
    let mut response = client.get(format!("{address}{file}")).call().map_err(io)?;
    // Compressed, no honest file is longer than it is plain; a little is left for the frame.
    let body = response
        .body_mut()
        .with_config()
        .limit(pin.bytes + 4096)
        .reader();
    pin.read_published(&file, body)
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn a_mirror_that_refuses_fails_soon() {
        let start = Instant::now();
        // Nothing listens on this port of this machine.
        let error = fetch(
            &client(),
            "https://127.0.0.1:9/",
            &DatasetName::Mnist.pins()[1],
        )
        .unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("train-labels-idx1-ubyte.gz: "),
            "{error}"
        );
        assert!(start.elapsed() < Duration::from_secs(20));
    }

    #[test]
    fn nothing_is_fetched_without_encryption() {
        let error = fetch(
            &client(),
            "http://127.0.0.1:9/",
            &DatasetName::Mnist.pins()[1],
        )
        .unwrap_err();
        assert!(error.to_string().contains("https"), "{error}");
        for name in DatasetName::ALL {
            assert!(
                addresses(name)
                    .iter()
                    .all(|a| a.starts_with("https://") && a.ends_with('/'))
            );
        }
    }
}
