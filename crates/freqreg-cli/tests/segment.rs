//! `import` and `eval` as their users meet them: the released UNet, pictures good and bad, files that are something else.

use freqreg_data::folder::{Mask, read_mask, write_mask, write_png};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

struct Desk(tempfile::TempDir);

const HEIGHT: usize = 33;
const WIDTH: usize = 40;

impl Desk {
    /// Two pictures with their masks, and the released UNet.
    fn new() -> Self {
        let desk = Desk(tempfile::tempdir().unwrap());
        for name in ["a", "b"] {
            write_png(
                &desk.path(&format!("images/{name}.png")),
                3,
                HEIGHT,
                WIDTH,
                &pixels(3),
            )
            .unwrap();
            let mask = Mask {
                height: HEIGHT,
                width: WIDTH,
                values: (0..HEIGHT * WIDTH)
                    .map(|i| u8::from(i % WIDTH > 20))
                    .collect(),
            };
            write_mask(&desk.path(&format!("masks/{name}_mask.png")), &mask).unwrap();
        }
        let unet = include_bytes!("../../freqreg-train/tests/golden/unet.freq");
        fs::write(desk.path("unet.freq"), unet).unwrap();
        desk
    }

    fn path(&self, name: &str) -> PathBuf {
        let path = self.0.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        path
    }

    fn run(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_freqreg"))
            .args(arguments)
            .current_dir(self.0.path())
            .env("RUST_BACKTRACE", "0")
            .output()
            .unwrap()
    }

    /// Runs `eval` on the two folders, which must fail without a panic, and gives what it said.
    fn refused(&self) -> String {
        let out = self.run(&[
            "eval",
            "unet.freq",
            "--images",
            "images",
            "--masks",
            "masks",
        ]);
        said(&out, 1)
    }
}

fn pixels(channels: usize) -> Vec<u8> {
    (0..channels * HEIGHT * WIDTH)
        .map(|i| (i * 7 % 251) as u8)
        .collect()
}

fn said(out: &Output, code: i32) -> String {
    let text = String::from_utf8_lossy(&out.stderr).into_owned();
    assert_eq!(out.status.code(), Some(code), "{text}");
    assert!(
        !text.contains("panicked") && text.starts_with("error: "),
        "{text}"
    );
    text
}

#[test]
fn pictures_are_segmented_scored_and_saved() {
    let desk = Desk::new();
    let arguments = [
        "eval",
        "unet.freq",
        "--images",
        "images",
        "--masks",
        "masks",
        "--json",
        "--save",
        "out",
    ];
    let out = desk.run(&arguments);
    assert!(
        out.status.success(),
        "{}",
        String::from_utf8_lossy(&out.stderr)
    );
    let scores: serde_json::Value = serde_json::from_slice(&out.stdout).unwrap();
    let images = scores["images"].as_array().unwrap();
    assert_eq!(images.len(), 2);
    let truth = read_mask(&desk.path("masks/a_mask.png")).unwrap();
    let found = read_mask(&desk.path("out/a_mask.png")).unwrap();
    let both = truth
        .values
        .iter()
        .zip(&found.values)
        .filter(|(a, b)| **a + **b == 2)
        .count();
    let sum: usize = truth
        .values
        .iter()
        .chain(&found.values)
        .map(|&v| usize::from(v))
        .sum();
    let dice = 2.0 * both as f64 / sum as f64;
    assert!((images[0]["dice"].as_f64().unwrap() - dice).abs() < 1e-12);
    assert!((scores["mean_dice"].as_f64().unwrap() - dice).abs() < 1e-12);
    for name in ["a_mask", "a_overlay", "b_mask", "b_overlay"] {
        assert!(desk.path(&format!("out/{name}.png")).exists(), "{name}");
    }
    // However the layers run, the masks agree but for pixels on the border between the classes.
    for way in ["spatial", "factored"] {
        let out = desk.run(&[
            "eval",
            "unet.freq",
            "--images",
            "images",
            "--execution",
            way,
            "--save",
            way,
        ]);
        assert!(out.status.success());
        let other = read_mask(&desk.path(&format!("{way}/a_mask.png"))).unwrap();
        let apart = other
            .values
            .iter()
            .zip(&found.values)
            .filter(|(a, b)| a != b)
            .count();
        assert!(apart <= 2, "{way}: {apart}");
    }
}

#[test]
fn pictures_that_can_not_be_used_are_named() {
    let desk = Desk::new();
    // One channel, a mask of another size, a file cut short, no PNG at all, a picture that is too small, no mask.
    write_png(&desk.path("images/a.png"), 1, HEIGHT, WIDTH, &pixels(1)).unwrap();
    let text = desk.refused();
    assert!(text.contains("a.png") && text.contains("grey"), "{text}");

    let desk = Desk::new();
    let small = Mask {
        height: HEIGHT,
        width: WIDTH - 1,
        values: vec![0; HEIGHT * (WIDTH - 1)],
    };
    write_mask(&desk.path("masks/a_mask.png"), &small).unwrap();
    let text = desk.refused();
    assert!(
        text.contains("a_mask.png") && text.contains("39") && text.contains("40"),
        "{text}"
    );

    let desk = Desk::new();
    let whole = fs::read(desk.path("images/a.png")).unwrap();
    fs::write(desk.path("images/a.png"), &whole[..whole.len() / 2]).unwrap();
    let text = desk.refused();
    assert!(text.contains("a.png"), "{text}");
    fs::write(desk.path("images/a.png"), b"not a picture").unwrap();
    let text = desk.refused();
    assert!(text.contains("a.png") && text.contains("PNG"), "{text}");

    let desk = Desk::new();
    write_png(&desk.path("images/a.png"), 3, 8, 8, &pixels(3)[..192]).unwrap();
    fs::remove_dir_all(desk.path("masks").as_path()).unwrap();
    let out = desk.run(&["eval", "unet.freq", "--images", "images"]);
    let text = said(&out, 1);
    assert!(text.contains("a.png") && text.contains("8 x 8"), "{text}");

    let desk = Desk::new();
    fs::remove_file(desk.path("masks/b_mask.png")).unwrap();
    let text = desk.refused();
    assert!(text.contains("b.png"), "{text}");
}

#[test]
fn folders_and_models_that_can_not_be_used_are_named() {
    let desk = Desk::new();
    fs::remove_dir_all(desk.path("images")).unwrap();
    fs::create_dir(desk.path("images")).unwrap();
    let text = desk.refused();
    assert!(text.contains("images"), "{text}");
    let out = desk.run(&["eval", "unet.freq", "--images", "nowhere"]);
    assert!(said(&out, 1).contains("nowhere"));

    // What was found must not take the place of what is true.
    let desk = Desk::new();
    let truth = fs::read(desk.path("masks/a_mask.png")).unwrap();
    let out = desk.run(&[
        "eval",
        "unet.freq",
        "--images",
        "images",
        "--masks",
        "masks",
        "--save",
        "masks",
    ]);
    assert!(said(&out, 2).contains("--save"));
    assert_eq!(fs::read(desk.path("masks/a_mask.png")).unwrap(), truth);
    let out = desk.run(&["eval", "unet.freq", "--images", "nowhere"]);
    assert!(said(&out, 1).contains("nowhere"));

    let desk = Desk::new();
    let lenet5 = include_bytes!("../../freqreg-train/src/tasks/lenet5.freq");
    fs::write(desk.path("unet.freq"), lenet5).unwrap();
    let text = desk.refused();
    assert!(
        text.contains("lenet5") && text.contains("does not segment"),
        "{text}"
    );
}

/// An archive of one stored entry, as PyTorch writes them.
fn archive(pickle: &[u8]) -> Vec<u8> {
    let name = b"archive/data.pkl";
    let mut common = vec![20, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    common.extend(crc32fast::hash(pickle).to_le_bytes());
    common.extend((pickle.len() as u32).to_le_bytes().repeat(2));
    common.extend((name.len() as u16).to_le_bytes());
    common.extend([0, 0]);
    let mut bytes = b"PK\x03\x04".to_vec();
    bytes.extend(&common);
    bytes.extend(name);
    bytes.extend(pickle);
    let start = bytes.len() as u32;
    bytes.extend(b"PK\x01\x02\x14\x00");
    bytes.extend(&common);
    bytes.extend([0; 14]);
    bytes.extend(name);
    let size = bytes.len() as u32 - start;
    bytes.extend(b"PK\x05\x06\x00\x00\x00\x00\x01\x00\x01\x00");
    bytes.extend(size.to_le_bytes());
    bytes.extend(start.to_le_bytes());
    bytes.extend([0, 0]);
    bytes
}

fn import(desk: &Desk, bytes: &[u8]) -> String {
    fs::write(desk.path("in.pt"), bytes).unwrap();
    let out = desk.run(&["import", "in.pt", "-o", "out.freq"]);
    assert!(!Path::exists(&desk.path("out.freq")), "nothing is written");
    said(&out, 1)
}

#[test]
fn files_that_are_no_released_unet_are_refused() {
    let desk = Desk::new();
    assert!(import(&desk, b"something else").contains("in.pt"));
    // An empty state dict.
    let empty = archive(b"\x80\x02}q\x00.");
    assert!(
        import(&desk, &empty).contains("inc.conv1"),
        "{}",
        import(&desk, &empty)
    );
    let cut = &empty[..empty.len() - 9];
    assert!(import(&desk, cut).contains("cut short"));
    // What a pickle would run: touch ran.
    let code = archive(b"\x80\x02cos\nsystem\nX\x09\x00\x00\x00touch ran\x85R.");
    let text = import(&desk, &code);
    assert!(
        text.contains("os.system") && text.contains("refused"),
        "{text}"
    );
    assert!(!desk.path("ran").exists());
    let out = desk.run(&["import", "nowhere.pt", "-o", "out.freq"]);
    assert!(said(&out, 1).contains("nowhere.pt"));
}
