//! The site in a real browser. Needs the built site and Chromium: `cargo xtask docs --test`.

mod chromium;

use chromium::Browser;
use freqreg_site::serve::Server;
use freqreg_web::{Digits, Unet};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

const LENET5: &[u8] = include_bytes!("../../../web/models/lenet5.freq");
const UNET: &[u8] = include_bytes!("../../../web/models/unet.freq");
const TEN: &[u8] = include_bytes!("../../../web/models/digits.bin");

/// What the first page and all it loads may weigh, in bytes.
const WEIGHT: u64 = 900_000;
/// Milliseconds: until the first page's demonstration works, for a digit, for a picture of 640 x 959.
const INTERACTIVE: f64 = 2000.0;
const READ: f64 = 5.0;
const SEGMENT: f64 = 1000.0;

fn site() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    let target =
        target.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target"));
    let site = target.join("site");
    assert!(
        site.join("index.html").exists(),
        "there is no site in {}: `cargo xtask docs`",
        site.display()
    );
    site
}

/// The site, handed out until the tests end.
fn served() -> String {
    let server = Server::new(site(), 0).unwrap();
    let address = server.address().unwrap();
    std::thread::spawn(move || server.run());
    format!("http://{address}")
}

/// That nothing went wrong in the page, and that it asked nobody else.
fn is_sound(browser: &mut Browser, origin: &str, page: &str) {
    for call in browser.happened("Runtime.consoleAPICalled") {
        assert!(
            call["type"] != "error" && call["type"] != "warning",
            "{page}: {call}"
        );
    }
    let thrown = browser.happened("Runtime.exceptionThrown");
    assert!(thrown.is_empty(), "{page}: {thrown:?}");
    for entry in browser.happened("Log.entryAdded") {
        assert_ne!(entry["entry"]["level"], "error", "{page}: {entry}");
    }
    for request in browser.happened("Network.requestWillBeSent") {
        let url = request["request"]["url"].as_str().unwrap();
        let own = [origin, "data:", "blob:", "about:"];
        assert!(
            own.iter().any(|o| url.starts_with(o)),
            "{page} asks for {url}"
        );
    }
}

fn numbers(value: &Value) -> Vec<f64> {
    value
        .as_array()
        .unwrap()
        .iter()
        .map(|v| v.as_f64().unwrap())
        .collect()
}

#[test]
#[ignore = "needs the built site and Chromium: `cargo xtask docs --test` runs it, and .ci/run that"]
fn the_first_page_is_light_and_reads_digits_as_the_program_does() {
    let origin = served();
    let mut browser = Browser::start();
    browser.call(
        "Network.setCacheDisabled",
        serde_json::json!({"cacheDisabled": true}),
    );
    browser.happened("Network.loadingFinished");
    let url = format!("{origin}/index.html");
    browser.open(&url);
    browser.wait("document.querySelector('#digits').dataset.ready === 'true'");
    let ready = browser.value("performance.now()").as_f64().unwrap();
    let weight: u64 = browser
        .happened("Network.loadingFinished")
        .iter()
        .map(|e| e["encodedDataLength"].as_f64().unwrap() as u64)
        .sum();
    println!("the first page: {weight} bytes, interactive after {ready:.0} ms");
    let parts = browser.value(
        "performance.getEntriesByType('resource').map((e) => [e.encodedBodySize, e.name]).sort((a, b) => b[0] - a[0]).slice(0, 12).map((e) => e.join(' ')).join('\\n')",
    );
    assert!(
        weight <= WEIGHT,
        "{weight} bytes:\n{}",
        parts.as_str().unwrap()
    );
    assert!(ready < INTERACTIVE, "{ready} ms");

    // The same numbers as in Rust, from the same module that the page uses.
    let found = browser.value(
        "(async () => {
            const { wasm, bytes } = await import('./demo/common.js');
            const [module, file, ten] = [await wasm(), await bytes('models/lenet5.freq'), await bytes('models/digits.bin')];
            const reader = new module.DigitReader(file);
            return Array.from({ length: 10 }, (_, d) => Array.from(reader.read(ten.slice(784 * d, 784 * (d + 1)))));
        })()",
    );
    let digits = Digits::new(LENET5).unwrap();
    for (digit, logits) in found.as_array().unwrap().iter().enumerate() {
        let expected = digits.read(&TEN[784 * digit..][..784]).unwrap();
        for (a, b) in numbers(logits).iter().zip(&expected) {
            assert!((a - f64::from(*b)).abs() < 1e-3, "{digit}: {a} and {b}");
        }
    }

    // And by hand: every button, then the slider.
    let mut slowest = 0.0_f64;
    let mut times = Vec::new();
    for digit in 0..10 {
        browser.value(&format!(
            "document.querySelectorAll('#digits .choose button')[{digit}].click()"
        ));
        let said = browser.value("document.querySelector('#digits .verdict').textContent");
        let best = digits.read(&TEN[784 * digit..][..784]).unwrap();
        let best = (0..10)
            .max_by(|&a, &b| best[a].total_cmp(&best[b]))
            .unwrap();
        assert!(
            said.as_str()
                .unwrap()
                .starts_with(&format!("It reads a {best},")),
            "{said}"
        );
        let took = browser.value("Number(document.querySelector('#digits').dataset.milliseconds)");
        times.push(took.as_f64().unwrap());
        slowest = slowest.max(took.as_f64().unwrap());
    }
    times.sort_by(f64::total_cmp);
    println!("a digit: {:.2} ms, {slowest:.2} ms at most", times[5]);
    assert!(times[5] < READ, "{times:?} ms");
    browser.value("(() => { const s = document.querySelector('#digits input[type=range]'); s.value = 50; s.dispatchEvent(new Event('input')); })()");
    let used = browser.value("document.querySelector('#digits output').textContent");
    assert_eq!(used, "388 of 776 numbers, 776 bytes");
    is_sound(&mut browser, &origin, "index.html");
}

#[test]
#[ignore = "needs the built site and Chromium: `cargo xtask docs --test` runs it, and .ci/run that"]
fn a_digit_can_be_drawn_with_the_keyboard_and_with_the_pointer() {
    let origin = served();
    let mut browser = Browser::start();
    browser.resize(1200, 900);
    browser.open(&format!("{origin}/index.html"));
    browser.wait("document.querySelector('#digits').dataset.ready === 'true'");
    // A one: up to the top, the pen down, and down to the foot.
    browser.value("document.querySelector('#digits .draw canvas').focus()");
    let mut press = |key: &str, times: usize| {
        for _ in 0..times {
            for kind in ["keyDown", "keyUp"] {
                let event = serde_json::json!({"type": kind, "key": key, "code": key});
                browser.call("Input.dispatchKeyEvent", event);
            }
        }
    };
    press("Delete", 1);
    press("ArrowUp", 9);
    press(" ", 1);
    press("ArrowDown", 18);
    press(" ", 1);
    let said = browser.value("document.querySelector('#digits .verdict').textContent");
    assert!(
        said.as_str().unwrap().starts_with("It reads a 1,"),
        "{said}"
    );
    // A seven with the pointer.
    let boxed = browser.value("(() => { const c = document.querySelector('#digits .draw canvas'); c.scrollIntoView(); const b = c.getBoundingClientRect(); return [b.left, b.top, b.width]; })()");
    let [left, top, width] = numbers(&boxed)[..] else {
        panic!("{boxed}")
    };
    browser.value("document.querySelectorAll('#digits .choose button')[10].click()");
    let mut pointer = |kind: &str, x: f64, y: f64| {
        let event = serde_json::json!({"type": kind, "x": left + x * width, "y": top + y * width, "button": "left", "buttons": 1, "clickCount": 1});
        browser.call("Input.dispatchMouseEvent", event);
    };
    pointer("mousePressed", 0.25, 0.2);
    pointer("mouseMoved", 0.75, 0.2);
    pointer("mouseMoved", 0.45, 0.85);
    pointer("mouseReleased", 0.45, 0.85);
    let said = browser.value("document.querySelector('#digits .verdict').textContent");
    assert!(
        said.as_str().unwrap().starts_with("It reads a 7,"),
        "{said}"
    );
    is_sound(&mut browser, &origin, "index.html");
}

/// The picture of the page as rows of red, green and blue.
fn car() -> (Vec<u8>, usize, usize) {
    let file = std::fs::File::open(site().join("img/car.png")).unwrap();
    let mut reader = png::Decoder::new(std::io::BufReader::new(file))
        .read_info()
        .unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut pixels).unwrap();
    assert_eq!(info.color_type, png::ColorType::Rgb);
    (pixels, info.height as usize, info.width as usize)
}

#[test]
#[ignore = "needs the built site and Chromium: `cargo xtask docs --test` runs it, and .ci/run that"]
fn a_picture_is_segmented_as_the_program_does_it() {
    let origin = served();
    let mut browser = Browser::start();
    browser.open(&format!("{origin}/segment.html"));
    browser.wait("document.querySelector('#segment').dataset.ready === 'true'");
    // Again and again, for the first time compiles it.
    let found = browser.value(
        "(async () => {
            const { wasm, bytes } = await import('./demo/common.js');
            const [module, file, png] = [await wasm(), await bytes('models/unet.freq'), await bytes('../img/car.png')];
            const bitmap = await createImageBitmap(new Blob([png], { type: 'image/png' }));
            const context = new OffscreenCanvas(bitmap.width, bitmap.height).getContext('2d');
            context.drawImage(bitmap, 0, 0);
            const rgba = context.getImageData(0, 0, bitmap.width, bitmap.height).data;
            const pixels = new Uint8Array((rgba.length / 4) * 3);
            for (let i = 0; i < rgba.length / 4; i++) pixels.set(rgba.subarray(4 * i, 4 * i + 3), 3 * i);
            const segmenter = new module.Segmenter(file);
            const times = [];
            let mask;
            for (let i = 0; i < 3; i++) {
                const before = performance.now();
                mask = segmenter.segment(pixels, bitmap.height, bitmap.width);
                times.push(performance.now() - before);
            }
            return { times, mask: Array.from(mask).join(''), height: bitmap.height, width: bitmap.width };
        })()",
    );
    let (pixels, height, width) = car();
    assert_eq!(
        (&found["height"], &found["width"]),
        (&height.into(), &width.into())
    );
    assert_eq!((height, width), (640, 959));
    let expected = Unet::new(UNET)
        .unwrap()
        .segment(&pixels, height, width)
        .unwrap();
    let mask = found["mask"].as_str().unwrap().bytes().map(|b| b - b'0');
    let same = mask.zip(&expected).filter(|(a, b)| a == *b).count();
    println!("{same} of {} pixels as in Rust", expected.len());
    assert!(1000 * same >= 999 * expected.len(), "{same}");
    let mut times = numbers(&found["times"]);
    times.sort_by(f64::total_cmp);
    println!(
        "a picture of {height} x {width}: {:.0} ms ({times:?})",
        times[1]
    );
    assert!(times[1] < SEGMENT, "{times:?} ms");
    is_sound(&mut browser, &origin, "segment.html");
}

#[test]
#[ignore = "needs the built site and Chromium: `cargo xtask docs --test` runs it, and .ci/run that"]
fn coefficients_make_the_filter_that_the_transform_says() {
    let origin = served();
    let mut browser = Browser::start();
    browser.open(&format!("{origin}/method.html"));
    browser.wait("document.querySelector('#transform').dataset.ready === 'true'");
    // The slowest wave alone, of amount 5: a flat filter of 1.
    browser.value(
        "for (const [i, input] of document.querySelectorAll('#transform .grid input').entries()) {
            input.value = i === 0 ? 5 : 0;
            input.dispatchEvent(new Event('input'));
        }",
    );
    let filter = browser.value("JSON.parse(document.querySelector('#transform').dataset.filter)");
    assert!(
        numbers(&filter).iter().all(|w| (w - 1.0).abs() < 1e-5),
        "{filter}"
    );
    is_sound(&mut browser, &origin, "method.html");
}

/// Every page of the book.
fn pages() -> Vec<String> {
    fn walk(folder: &Path, root: &Path, found: &mut Vec<String>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path
                .strip_prefix(root)
                .unwrap()
                .to_string_lossy()
                .into_owned();
            if path.is_dir() {
                if name != "api" && name != "fonts" {
                    walk(&path, root, found);
                }
            } else if name.ends_with(".html") && name != "404.html" && name != "toc.html" {
                found.push(name);
            }
        }
    }
    let (root, mut found) = (site(), Vec::new());
    walk(&root, &root, &mut found);
    found.sort();
    found
}

/// Looks at a page as a checker of accessibility does: names of controls and pictures, headings in order, contrast of text.
const CHECK: &str = r#"(() => {
    const faults = [];
    const seen = (e) => e.checkVisibility({ opacityProperty: true, visibilityProperty: true });
    const name = (e) => (e.getAttribute('aria-label') || e.getAttribute('title') || e.textContent || (e.labels && e.labels[0] && e.labels[0].textContent) || '').trim();
    for (const e of document.querySelectorAll('main :is(button, a[href], input, select, textarea, canvas, summary, [role=img])'))
        if (seen(e) && !e.matches('.checkbox-img') && !name(e) && !e.querySelector('img[alt]')) faults.push(`no name: ${e.outerHTML.slice(0, 120)}`);
    for (const e of document.querySelectorAll('main img')) if (!e.alt) faults.push(`no alt: ${e.src}`);
    if (!document.documentElement.lang) faults.push('no language');
    if (document.querySelectorAll('main h1').length !== 1) faults.push(`${document.querySelectorAll('main h1').length} first headings`);
    const ids = new Set();
    for (const e of document.querySelectorAll('main [id]')) { if (ids.has(e.id)) faults.push(`twice: #${e.id}`); ids.add(e.id); }
    const parse = (c) => { const m = c.match(/[\d.]+/g).map(Number); return [m[0], m[1], m[2], m.length > 3 ? m[3] : 1]; };
    const light = ([r, g, b]) => [r, g, b].map((v) => v / 255).map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
        .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
    const ground = (e) => { for (; e; e = e.parentElement) { const c = parse(getComputedStyle(e).backgroundColor); if (c[3] > 0.99) return c; } return [255, 255, 255, 1]; };
    const pale = new Map();
    const words = document.createTreeWalker(document.querySelector('main'), NodeFilter.SHOW_TEXT);
    while (words.nextNode()) {
        const e = words.currentNode.parentElement;
        if (!words.currentNode.data.trim() || !seen(e) || e.closest('svg, script, style, math, .hljs, .boring')) continue;
        const style = getComputedStyle(e);
        const [a, b] = [light(parse(style.color)), light(ground(e))].sort((x, y) => y - x);
        const ratio = (a + 0.05) / (b + 0.05);
        const large = parseFloat(style.fontSize) >= 24 || (parseFloat(style.fontSize) >= 18.6 && style.fontWeight >= 700);
        if (ratio < (large ? 3 : 4.5)) pale.set(`${e.tagName}.${e.className} ${style.color}`, `contrast ${ratio.toFixed(2)}: ${e.tagName}.${e.className} ${style.color} "${words.currentNode.data.trim().slice(0, 40)}"`);
    }
    faults.push(...pale.values());
    if (document.documentElement.scrollWidth > innerWidth + 1) {
        const wide = [...document.querySelectorAll('main *')].filter((e) => e.getBoundingClientRect().right > innerWidth + 1 && !e.closest('pre, .table-wrapper, math'));
        faults.push(`wider than the window: ${document.documentElement.scrollWidth} of ${innerWidth}; ${wide.slice(0, 3).map((e) => e.outerHTML.slice(0, 80))}`);
    }
    return faults;
})()"#;

#[test]
#[ignore = "needs the built site and Chromium: `cargo xtask docs --test` runs it, and .ci/run that"]
fn every_page_is_sound_and_legible_on_a_telephone_and_in_the_dark() {
    let origin = served();
    let mut browser = Browser::start();
    let mut faults = Vec::new();
    for (width, height, scheme) in [(1280, 900, "light"), (390, 844, "dark")] {
        browser.resize(width, height);
        browser.scheme(scheme);
        for page in pages() {
            browser.open(&format!("{origin}/{page}"));
            browser.wait(
                "[...document.querySelectorAll('.demo')].every((d) => d.dataset.ready === 'true')",
            );
            for fault in browser.value(CHECK).as_array().unwrap() {
                faults.push(format!("{page}, {width} pixels, {scheme}: {fault}"));
            }
            is_sound(&mut browser, &origin, &page);
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
#[ignore = "needs the built site and Chromium: `cargo xtask docs --test` runs it, and .ci/run that"]
fn without_scripts_pictures_stand_in() {
    let origin = served();
    let mut browser = Browser::start();
    browser.call(
        "Emulation.setScriptExecutionDisabled",
        serde_json::json!({"value": true}),
    );
    for (page, picture) in [
        ("index.html", "filters.svg"),
        ("segment.html", "car-found.png"),
    ] {
        browser.call(
            "Page.navigate",
            serde_json::json!({"url": format!("{origin}/{page}")}),
        );
        browser.wait(&format!(
            "document.readyState === 'complete' && [...document.images].some((i) => i.src.endsWith('{picture}') && i.naturalWidth > 0 && i.checkVisibility())"
        ));
    }
}

/// Links of a page: what `href` and `src` name.
fn links(html: &str) -> impl Iterator<Item = &str> {
    ["href=\"", "src=\""]
        .into_iter()
        .flat_map(move |key| html.split(key).skip(1))
        .filter_map(|rest| rest.split('"').next())
}

#[test]
#[ignore = "needs the built site: `cargo xtask docs --test` runs it, and .ci/run that"]
fn every_link_within_the_site_leads_somewhere() {
    let root = site();
    let mut broken = BTreeSet::new();
    let mut checked = 0;
    for page in pages() {
        let path = root.join(&page);
        let html = std::fs::read_to_string(&path).unwrap();
        for link in links(&html) {
            let elsewhere = ["http:", "https:", "mailto:", "data:"];
            if elsewhere.iter().any(|e| link.starts_with(e)) || link.is_empty() {
                continue;
            }
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let file = file.split('?').next().unwrap_or(file);
            let target = match file {
                "" => path.clone(),
                file => path.parent().unwrap().join(file),
            };
            checked += 1;
            let target = match target.is_dir() {
                true => target.join("index.html"),
                false => target,
            };
            let Ok(bytes) = std::fs::read(&target) else {
                broken.insert(format!("{page}: {link}"));
                continue;
            };
            let text = String::from_utf8_lossy(&bytes);
            if !anchor.is_empty() && !text.contains(&format!("id=\"{anchor}\"")) {
                broken.insert(format!("{page}: {link} (no such heading)"));
            }
        }
    }
    println!("{checked} links");
    assert!(checked > 500 && broken.is_empty(), "{broken:#?}");
}
