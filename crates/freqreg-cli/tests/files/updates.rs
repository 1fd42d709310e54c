//! Updates: the difference of two files.

use super::*;

#[test]
fn an_update_is_as_large_as_what_changed() {
    let folder = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| freqreg(folder.path(), arguments);
    let read = |name: &str| std::fs::read(folder.path().join(name)).unwrap();
    let (_, new) = two_lenets(folder.path());

    let said = good(&run(&["diff", "old.freq", "new.freq", "-o", "update.freq"]));
    assert!(said.contains("1 of 4 tensors changed"), "{said}");
    // 144 float16 numbers, and a little.
    let (update, whole) = (read("update.freq").len(), read("new.freq").len());
    assert!(
        (288..400).contains(&update) && whole > 1600,
        "{update} of {whole}"
    );
    assert_eq!(
        inspected(folder.path(), "update.freq")["architecture"],
        "update:lenet5"
    );

    let patch = [
        "patch",
        "old.freq",
        "update.freq",
        "-o",
        "got.freq",
        "--json",
    ];
    let said: Value = serde_json::from_str(&good(&run(&patch))).unwrap();
    assert_eq!(said["changed"], serde_json::json!(["fc2.weight"]));
    assert_eq!(said["file_bytes"], whole);
    assert!(read("got.freq") == read("new.freq"));

    // The update came from files of version 2; the one in version 1 holds the same model.
    std::fs::write(
        folder.path().join("first.freq"),
        include_bytes!("../../../freqreg-train/src/tasks/lenet5.freq"),
    )
    .unwrap();
    let arguments = ["patch", "first.freq", "-", "-o", "-"];
    let out = piped(folder.path(), &read("update.freq"), &arguments);
    assert!(out.status.success(), "{out:?}");
    assert_eq!(codec().decode(&out.stdout).unwrap(), new);

    // In place.
    good(&run(&[
        "patch",
        "old.freq",
        "update.freq",
        "-o",
        "old.freq",
    ]));
    assert!(read("old.freq") == read("new.freq"));
    let said = good(&run(&["diff", "old.freq", "new.freq", "-o", "none.freq"]));
    assert!(said.contains("nothing changed"), "{said}");
    good(&run(&["patch", "old.freq", "none.freq", "-o", "old.freq"]));
    assert!(read("old.freq") == read("new.freq"));
}

#[test]
fn an_update_that_does_not_fit_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| freqreg(folder.path(), arguments);
    two_lenets(folder.path());
    good(&run(&["diff", "old.freq", "new.freq", "-o", "update.freq"]));
    let said = refused(&run(&["quantize", "update.freq", "-o", "few.freq"]), 1);
    assert!(said.contains("update of a `lenet5`"), "{said}");

    for (arguments, says) in [
        (["patch", "new.freq", "update.freq"], "checksum"),
        (["patch", "old.freq", "new.freq"], "not an update"),
        (["patch", "update.freq", "update.freq"], "is an update"),
        (["patch", UNET, "update.freq"], "`unet`"),
        (["patch", "old.freq", "none.freq"], "none.freq"),
        (["diff", "old.freq", UNET], "`unet`"),
        (["diff", "update.freq", "new.freq"], "is an update"),
        (["eval", "update.freq", "--images=."], "update:lenet5"),
    ] {
        let output: &[&str] = match arguments[0] {
            "eval" => &[],
            _ => &["-o", "out.freq"],
        };
        let said = refused(&run(&[&arguments, output].concat()), 1);
        assert!(said.starts_with("error: ") && said.contains(says), "{said}");
    }
    let said = refused(&run(&["diff", "-", "-", "-o", "out.freq"]), 2);
    assert!(said.contains("only one"), "{said}");
    assert!(!folder.path().join("out.freq").exists());
}
