//! What stands beside the experiments to compare with is an experiment like any other.

use freqreg_train::experiment::{Experiment, Preset};

#[test]
fn the_baselines_are_sound_experiments() {
    let folder = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../models/experiments/baselines"
    );
    let mut found = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let experiment = Experiment::find(path.to_str().unwrap()).unwrap();
        for preset in [Preset::Quick, Preset::Full] {
            experiment.clone().in_lengths(preset).unwrap();
        }
        let pruned = experiment.regularised.prune.is_some();
        // A narrow network keeps all it has.
        assert!(pruned || experiment.regularised.budgets.values().all(|b| b.dense));
        found += 1;
    }
    assert!(found > 0);
}

#[test]
fn the_lengths_of_a_preset_must_go_with_the_rest() {
    let mut experiment = Experiment::find("lenet5").unwrap();
    experiment.regularised.number = "bits:8".parse().unwrap();
    experiment.regularised.quantised_epochs = experiment.quick.regularised_epochs + 1;
    experiment.validate().unwrap();
    let said = experiment.in_lengths(Preset::Quick).unwrap_err();
    let said = said.to_string();
    assert!(
        said.contains("[quick]") && said.contains("quantised_epochs"),
        "{said}"
    );
}

#[test]
fn what_would_go_unheeded_is_refused() {
    for (name, from, to, part) in [
        (
            "dcgan-v1",
            "shape = \"constant\", peak = 0.0002",
            "shape = \"constant\", warmup = 0.1, peak = 0.0002",
            "dense.training.rate.warmup",
        ),
        (
            "vae-v1",
            "[regularised.training]",
            "[regularised.training]\nsmoothing = 0.1",
            "regularised.training.smoothing",
        ),
    ] {
        let known = freqreg_models::EXPERIMENTS;
        let (_, text) = known.iter().find(|(n, _)| *n == name).unwrap();
        assert!(text.contains(from), "{from}");
        let said = Experiment::parse("x", &text.replace(from, to)).unwrap_err();
        assert!(said.to_string().contains(part), "{said}");
    }
}

#[test]
fn what_training_with_stored_numbers_needs_is_asked_for() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/experiments");
    let text = std::fs::read_to_string(format!("{folder}/baselines/lenet5-pruned.toml")).unwrap();
    let said = |from: &str, to: &str| {
        assert!(text.contains(from), "{from}");
        let changed = text.replace(from, to);
        Experiment::parse("x", &changed).unwrap_err().to_string()
    };
    for (from, to, part) in [
        (
            "number = \"bits:8\"",
            "number = \"float16\"",
            "quantised_epochs",
        ),
        (
            "quantised_epochs = 4",
            "quantised_epochs = 13",
            "quantised_epochs",
        ),
        ("keep = 776", "keep = 0", "prune.keep"),
        (
            "prune = { keep = 776, over = 0.5 }",
            "prune = { keep = 776, over = 1.5 }",
            "prune.over",
        ),
        (
            "fc1 = { dense = true }",
            "fc1 = { keep = 280 }",
            "budgets.fc1",
        ),
        ("number = \"bits:8\"", "number = \"bits:80\"", "bits:80"),
        (
            "[regularised.shrink]",
            "[regularised.share]\ntimes = 2\n[regularised.shrink]",
            "regularised.share",
        ),
    ] {
        let error = said(from, to);
        assert!(error.contains(part), "{error}");
    }
}

#[test]
fn weights_are_lost_fast_and_then_slowly() {
    use freqreg_train::experiment::Prune;
    let prune = Prune {
        keep: 100,
        over: 0.5,
    };
    let counts: Vec<usize> = [0, 10, 25, 50, 100]
        .map(|step| prune.count(step, 100, 1100))
        .to_vec();
    // 0.8 ^ 3 and 0.5 ^ 3 of the thousand that are to go.
    assert_eq!(counts, [1100, 612, 225, 100, 100]);
    let at_once = Prune { keep: 5, over: 0.0 };
    assert_eq!([0, 1].map(|step| at_once.count(step, 10, 50)), [5, 5]);
}
