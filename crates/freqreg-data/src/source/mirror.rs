//! Public mirrors of the data sets, over https.

use std::time::Duration;

use ureq::Agent;

use crate::content::Pin;
use crate::{DatasetName, Error, Result};

/// The folders in which the files lie as `.gz`, tried in this order.
pub(crate) fn addresses(name: DatasetName) -> [&'static str; 2] {
    match name {
        DatasetName::Mnist => [
            "https://ossci-datasets.s3.amazonaws.com/mnist/",
            "https://storage.googleapis.com/cvdf-datasets/mnist/",
        ],
        DatasetName::FashionMnist => [
            "https://storage.googleapis.com/tensorflow/tf-keras-datasets/",
            "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
        ],
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

/// Fetches one file.
pub(crate) fn fetch(client: &Agent, address: &str, pin: &Pin) -> Result<Vec<u8>> {
    let url = format!("{address}{}.gz", pin.file);
    let io = |e: ureq::Error| Error::Io {
        file: url.clone(),
        cause: e.into_io(),
    };
    let mut response = client.get(&url).call().map_err(io)?;
    // Compressed, no honest file is longer than it is plain; a little is left for the frame.
    let body = response
        .body_mut()
        .with_config()
        .limit(pin.bytes + 4096)
        .reader();
    pin.read_gz(&url, body)
}
