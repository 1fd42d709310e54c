//! What stands beside the experiments to compare with is an experiment like any other.

use freqreg_train::experiment::Experiment;

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
        let pruned = experiment.regularised.prune.is_some();
        // A narrow network keeps all it has.
        assert!(pruned || experiment.regularised.budgets.values().all(|b| b.dense));
        found += 1;
    }
    assert!(found > 0);
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
            "[regularised.share]\ntimes = 0\n[regularised.shrink]",
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
