//! Several processes that train one network, here as threads that speak to one another as processes would.

use freqreg_data::{DatasetName, Options as DataOptions, load};
use freqreg_train::Result;
use freqreg_train::communicator::{Alone, Communicator, sum_in_pairs};
use freqreg_train::experiment::{Experiment, Preset};
use freqreg_train::network::codec;
use freqreg_train::report::Report;
use freqreg_train::reproduce::{Loaded, Options, reproduce};
use std::path::Path;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Barrier, Mutex};

/// What the threads share.
struct Hall {
    values: Mutex<Vec<Vec<f32>>>,
    bytes: Mutex<Vec<u8>>,
    barrier: Barrier,
}

struct Thread {
    rank: usize,
    size: usize,
    hall: Arc<Hall>,
}

impl Communicator for Thread {
    fn rank(&self) -> usize {
        self.rank
    }

    fn size(&self) -> usize {
        self.size
    }

    fn local_rank(&self) -> usize {
        self.rank
    }

    fn sum(&self, values: &mut [f32]) -> Result<()> {
        self.hall.values.lock().unwrap()[self.rank] = values.to_vec();
        self.hall.barrier.wait();
        let all = self.hall.values.lock().unwrap().clone();
        values.copy_from_slice(&sum_in_pairs(all));
        self.hall.barrier.wait();
        Ok(())
    }

    fn broadcast(&self, bytes: &mut Vec<u8>) -> Result<()> {
        if self.rank == 0 {
            *self.hall.bytes.lock().unwrap() = bytes.clone();
        }
        self.hall.barrier.wait();
        *bytes = self.hall.bytes.lock().unwrap().clone();
        self.hall.barrier.wait();
        Ok(())
    }

    fn abort(&self, _: u8) {}
}

fn loaded(set: &[&str]) -> Loaded {
    let set: Vec<String> = set.iter().map(|s| s.to_string()).collect();
    let folder = tempfile::tempdir().unwrap();
    let options = DataOptions {
        cache: Some(folder.path().into()),
        notify: Some(Box::new(|_| ())),
        ..DataOptions::offline()
    };
    Loaded {
        experiment: Experiment::find_with("lenet5", &set).unwrap(),
        dataset: load(DatasetName::Mnist, &options).unwrap(),
        stands_in_for: None,
    }
}

const SHORT: [&str; 5] = [
    "data.train=320",
    "data.test=200",
    "data.validation=100",
    "dense.training.epochs=2",
    "regularised.training.epochs=3",
];

/// The report of a run by `size` processes, whose first one's results are in `out`.
fn run(
    set: &[&str],
    out: &Path,
    size: usize,
    parts: Option<usize>,
    resume: bool,
    stop: &AtomicBool,
    stop_at: usize,
) -> Result<Report> {
    let hall = Arc::new(Hall {
        values: Mutex::new(vec![Vec::new(); size]),
        bytes: Mutex::default(),
        barrier: Barrier::new(size),
    });
    let process = |rank: usize| {
        let communicator: Rc<dyn Communicator> = match size {
            1 => Rc::new(Alone),
            _ => Rc::new(Thread {
                rank,
                size,
                hall: hall.clone(),
            }),
        };
        let options = Options {
            seed: 3,
            device: candle_core::Device::Cpu,
            // The others need not see what the first one writes.
            out: out.join(if rank == 0 { "." } else { "nowhere" }),
            resume,
            changes: Vec::new(),
            preset: Preset::Default,
            others: &[],
            dense_from: None,
            stop,
            communicator,
            parts,
        };
        let mut steps = 0;
        let result = reproduce(&loaded(set), &options, &mut |event| {
            if let freqreg_train::train::Event::Step { .. } = event {
                steps += 1;
                if steps == stop_at {
                    stop.store(true, Ordering::Relaxed);
                }
            }
        });
        assert!(rank == 0 || !out.join("nowhere").exists());
        result
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..size)
            .map(|rank| scope.spawn(move || (rank, process(rank))))
            .collect();
        let mut results: Vec<_> = threads.into_iter().map(|t| t.join().unwrap()).collect();
        let first = results.remove(0).1;
        for (rank, other) in results {
            match (&first, other) {
                (Ok(_), other) => assert!(other.unwrap().is_none(), "process {rank}"),
                (Err(_), other) => assert!(other.is_err(), "process {rank}"),
            }
        }
        first.map(|report| report.expect("the first process reports"))
    })
}

fn whole(set: &[&str], out: &Path, size: usize, parts: Option<usize>) -> Report {
    run(set, out, size, parts, false, &AtomicBool::new(false), 0).unwrap()
}

fn bytes(folder: &Path, name: &str) -> Vec<u8> {
    std::fs::read(folder.join(name)).unwrap()
}

#[test]
fn one_two_and_four_processes_reach_the_same_bits() {
    let folders: Vec<_> = (0..3).map(|_| tempfile::tempdir().unwrap()).collect();
    let reports: Vec<Report> = [1, 2, 4]
        .into_iter()
        .zip(&folders)
        .map(|(size, folder)| whole(&SHORT, folder.path(), size, Some(4)))
        .collect();
    for (report, folder) in reports[1..].iter().zip(&folders[1..]) {
        for name in ["model.freq", "dense.freq"] {
            assert_eq!(bytes(folders[0].path(), name), bytes(folder.path(), name));
        }
        assert_eq!(report.dense.history.len(), 2);
        for (a, b) in reports[0].dense.history.iter().zip(&report.dense.history) {
            assert!((a.loss - b.loss).abs() < 1e-6 && a.validation == b.validation);
            assert!((a.train.unwrap() - b.train.unwrap()).abs() < 1e-6);
        }
    }
    assert_eq!(reports[0].processes, None);
    let together = reports[2].processes.unwrap();
    assert_eq!(together.count, 4);
    assert_eq!(together.regularised_bytes, 4 * 776 + 8);
    assert_eq!(together.dense_bytes, 4 * 429_510 + 8);
}

#[test]
fn without_parts_the_result_is_that_of_one_process_up_to_rounding() {
    // Of plain gradient descent: Adam makes steps of the rounding where a gradient is nothing else.
    let set = [
        &SHORT[..],
        &[
            "regularised.training.optimiser={ kind = 'sgd', momentum = 0.9 }",
            "regularised.training.rate.peak=0.1",
        ],
    ]
    .concat();
    let (one, three) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let a = whole(&set, one.path(), 1, None);
    let b = whole(&set, three.path(), 3, None);
    assert!(a.regularised.history[2].loss < 0.8 * a.regularised.history[0].loss);
    let read = |folder: &Path| {
        let file = codec().read(folder.join("model.freq")).unwrap();
        let tensors = file.tensors.into_iter();
        tensors
            .flat_map(|t| t.values.to_f32())
            .collect::<Vec<f32>>()
    };
    for (a, b) in read(one.path()).into_iter().zip(read(three.path())) {
        // Files hold float16.
        assert!((a - b).abs() < 1e-5 + a.abs() / 1024.0, "{a} {b}");
    }
    assert!((a.regularised.history[2].loss - b.regularised.history[2].loss).abs() < 1e-5);
}

#[test]
fn norms_over_the_batch_are_those_of_the_whole_batch() {
    let set = [
        &SHORT[..],
        &[
            "regularised.model.norm=batch",
            "regularised.training.optimiser={ kind = 'sgd', momentum = 0.9 }",
            "regularised.training.rate.peak=0.1",
        ],
    ]
    .concat();
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let a = whole(&set, one.path(), 1, None).regularised;
    let b = whole(&set, two.path(), 2, None).regularised;
    for (a, b) in a.history.iter().zip(&b.history) {
        assert!(
            (a.loss - b.loss).abs() < 1e-4 * a.loss,
            "{} {}",
            a.loss,
            b.loss
        );
    }
    let refused = run(
        &set,
        two.path(),
        1,
        Some(2),
        false,
        &AtomicBool::new(false),
        0,
    );
    let said = refused.unwrap_err().to_string();
    assert!(said.contains("--parts"), "{said}");
}

#[test]
fn what_stops_goes_on_with_other_processes_to_the_same_bits() {
    let (whole_run, stopped) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let expected = whole(&SHORT, whole_run.path(), 1, Some(4));
    // In the middle of an epoch of the regularised network.
    let stop = AtomicBool::new(false);
    let cut = run(&SHORT, stopped.path(), 4, Some(4), false, &stop, 8);
    let said = cut.unwrap_err().to_string();
    assert!(said.contains("stopped at step"), "{said}");
    let stop = AtomicBool::new(false);
    let found = run(&SHORT, stopped.path(), 2, Some(4), true, &stop, 0).unwrap();
    assert_eq!(
        bytes(whole_run.path(), "model.freq"),
        bytes(stopped.path(), "model.freq")
    );
    for (a, b) in expected
        .regularised
        .history
        .iter()
        .zip(&found.regularised.history)
    {
        assert!((a.train.unwrap() - b.train.unwrap()).abs() < 1e-6);
    }
}

#[test]
fn what_can_not_be_shared_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    for (size, parts, part) in [(2, Some(3), "multiple of 2"), (1, Some(1000), "1000 parts")] {
        let refused = run(
            &SHORT,
            folder.path(),
            size,
            parts,
            false,
            &AtomicBool::new(false),
            0,
        );
        let said = refused.unwrap_err().to_string();
        assert!(said.contains(part), "{said}");
    }
}
