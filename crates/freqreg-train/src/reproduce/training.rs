//! One training of a run: what it is known by, so that a checkpoint goes on with no other, and where one comes from.

use super::{Run, checkpoint_name};
use crate::experiment::{NumberKind, Regularised};
use crate::network::Network;
use crate::train::{Event, Observer, Trained, Trainer};
use crate::{Error, Result, checkpoint};
use std::fs;
use std::path::PathBuf;

impl Run<'_> {
    fn checkpoint(&self, phase: &str) -> PathBuf {
        self.path(&checkpoint_name(phase))
    }

    pub(super) fn train(
        &self,
        phase: &'static str,
        network: &Network,
        ends: Option<Vec<usize>>,
        observe: Observer<'_>,
    ) -> Result<Trained> {
        let e = self.experiment;
        let json = |settings: serde_json::Result<String>| {
            settings.map_err(|e| Error::Setting(e.to_string()))
        };
        let dense = json(serde_json::to_string(&e.dense))?;
        let (training, settings) = match ends {
            None => (&e.dense.training, dense),
            Some(_) => {
                // How numbers are stored in the end does not change the training, unless it is told of it.
                let own = json(serde_json::to_string(&Regularised {
                    number: match e.regularised.quantised_epochs {
                        0 => NumberKind::default(),
                        _ => e.regularised.number,
                    },
                    ..e.regularised.clone()
                }))?;
                let settings = match e.regularised.prune {
                    Some(_) => format!("{own} from {dense}"),
                    None => own,
                };
                (&e.regularised.training, settings)
            }
        };
        let identity = format!(
            "{phase} {settings} {:?} seed {} on {} of {} ({}), validated on {}",
            self.preparation,
            self.options.seed,
            self.prints[0],
            self.data.name,
            if self.data.source.is_sample() {
                "sample"
            } else {
                "full"
            },
            self.prints[1],
        );
        self.same_on_all(phase, &identity)?;
        let identity = format!("{identity}, {:?}", self.options.device.location());
        let quantised = match e.regularised.number {
            NumberKind::Bits(bits) => Some((e.regularised.quantised_epochs, bits)),
            NumberKind::Float16 | NumberKind::Float32 => None,
        };
        let of_regularised = ends.is_some();
        let taken_over =
            self.options.communicator.rank() == 0 && self.take_over(phase, &identity)?;
        if taken_over {
            observe(Event::Notice(&format!(
                "{phase}: another experiment of this run made the same training, which is taken over"
            )));
        }
        Trainer {
            phase,
            training,
            shrink: ends.map(|ends| (&e.regularised.shrink, ends)),
            share: e.regularised.share.as_ref().filter(|_| of_regularised),
            prune: e.regularised.prune.as_ref().filter(|_| of_regularised),
            quantised: quantised.filter(|_| of_regularised),
            seed: self.options.seed,
            images: &self.train,
            validation: &self.validation,
            preparation: self.preparation,
            device: &self.options.device,
            checkpoint: &self.checkpoint(phase),
            resume: self.options.resume || taken_over,
            identity,
            stop: self.options.stop,
            communicator: self.options.communicator.clone(),
            parts: self.options.parts,
        }
        .run(network, observe)
        .map(|trained| Trained {
            // What another run spent is no part of this one's time.
            seconds_before: match taken_over {
                true => 0.0,
                false => trained.seconds_before,
            },
            ..trained
        })
    }

    /// That every process is about to train the same.
    fn same_on_all(&self, phase: &str, identity: &str) -> Result<()> {
        let communicator = &self.options.communicator;
        let mut first = identity.as_bytes().to_vec();
        communicator.broadcast(&mut first)?;
        match first == identity.as_bytes() {
            true => Ok(()),
            false => Err(Error::Setting(format!(
                "{phase}: process {} has another experiment, other settings or other data than process 0:\n  {identity}\nand process 0\n  {}",
                communicator.rank(),
                String::from_utf8_lossy(&first)
            ))),
        }
    }

    /// Copies the checkpoint of the same training from another run, if there is one and none of our own.
    fn take_over(&self, phase: &str, identity: &str) -> Result<bool> {
        let own = self.checkpoint(phase);
        if own.exists() {
            return Ok(false);
        }
        let theirs = self
            .options
            .others
            .iter()
            .map(|folder| folder.join(checkpoint_name(phase)));
        let Some(found) = theirs
            .into_iter()
            .find(|path| checkpoint::is_of(path, identity))
        else {
            return Ok(false);
        };
        // A checkpoint is never changed but replaced, so two folders can share one.
        if fs::hard_link(&found, &own).is_err() {
            fs::copy(&found, &own).map_err(self.io("write", own))?;
        }
        Ok(true)
    }
}
