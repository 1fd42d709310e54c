// A digit, drawn or chosen, and LeNet5 reading it from ever fewer numbers.
import { bytes, count, drawFilters, make, milliseconds, start, wasm } from "./common.js";

const SIDE = 28;
// The pen, in pixels of the 28 x 28 image.
const PEN = 1.15;

start("digits", async (section) => {
  const [module, file, ten] = await Promise.all([wasm(), bytes("models/lenet5.freq"), bytes("models/digits.bin")]);
  const reader = new module.DigitReader(file);
  const all = reader.kept();
  let image = new Uint8Array(ten.slice(3 * SIDE * SIDE, 4 * SIDE * SIDE));
  // Images that come along are as in MNIST; what is drawn is brought to its size and place first.
  let drawn = false;
  let pen = [14, 14];
  let down = false;

  const canvas = make("canvas", {
    width: 10 * SIDE, height: 10 * SIDE, tabindex: 0, role: "img",
    "aria-label": "Drawing area. Draw a digit with the pointer, or with the keyboard: arrow keys move the pen, space puts it down or lifts it, Delete clears.",
  });
  const verdict = make("p", { class: "verdict", "aria-live": "polite" });
  const bars = make("ol", { class: "bars", start: 0 });
  const rows = Array.from({ length: 10 }, (_, digit) => {
    const bar = make("span", { class: "bar" });
    const share = make("span", { class: "share" });
    bars.append(make("li", {}, make("span", { class: "digit" }, String(digit)), make("span", { class: "track" }, bar), share));
    return { bar, share };
  });
  const slider = make("input", { type: "range", min: 1, max: 100, value: 100, id: "digits-share" });
  const used = make("output", { for: "digits-share" });
  const filters = make("canvas", { class: "filters", role: "img", "aria-label": "The eight filters of the first layer, as these numbers make them" });
  const cost = make("p", { class: "cost" });

  function paint() {
    const context = canvas.getContext("2d");
    const data = context.createImageData(SIDE, SIDE);
    for (let i = 0; i < SIDE * SIDE; i++) {
      // Ink on paper, though the network sees light on dark.
      data.data.set([255 - image[i], 255 - image[i], 255 - image[i], 255], 4 * i);
    }
    const small = new OffscreenCanvas(SIDE, SIDE);
    small.getContext("2d").putImageData(data, 0, 0);
    context.imageSmoothingEnabled = false;
    context.drawImage(small, 0, 0, canvas.width, canvas.height);
    if (document.activeElement === canvas) {
      context.strokeStyle = down ? "#d96c06" : "#215aa8";
      context.lineWidth = 3;
      context.beginPath();
      context.arc(10 * pen[0], 10 * pen[1], 12, 0, 2 * Math.PI);
      context.stroke();
    }
  }

  function read() {
    const pixels = drawn ? asInMnist(image) : image;
    const before = performance.now();
    const logits = reader.read(pixels);
    const took = performance.now() - before;
    const most = Math.max(...logits);
    const powers = Array.from(logits, (l) => Math.exp(l - most));
    const sum = powers.reduce((a, b) => a + b);
    const best = logits.indexOf(most);
    rows.forEach(({ bar, share }, digit) => {
      const percent = (100 * powers[digit]) / sum;
      bar.style.width = `${percent}%`;
      share.textContent = `${percent.toFixed(percent < 10 ? 1 : 0)} %`;
      bars.children[digit].classList.toggle("best", digit === best);
    });
    verdict.textContent = `It reads a ${best}, ${((100 * powers[best]) / sum).toFixed(0)} % sure.`;
    cost.textContent = `Read in ${milliseconds(took)} from ${count(reader.kept())} numbers, which make ${count(reader.weights())} weights.`;
    section.dataset.milliseconds = took;
  }

  function cut() {
    reader.cut(slider.value / 100);
    used.textContent = `${count(reader.kept())} of ${count(all)} numbers, ${count(2 * reader.kept())} bytes`;
    drawFilters(filters, reader.filters(), reader.side(), 8);
  }

  // A stroke from one place to another, as a pen with soft edges leaves it.
  function stroke(from, to) {
    const steps = Math.max(1, Math.ceil(4 * Math.hypot(to[0] - from[0], to[1] - from[1])));
    for (let s = 0; s <= steps; s++) {
      const [x, y] = [0, 1].map((i) => from[i] + ((to[i] - from[i]) * s) / steps);
      for (let row = Math.max(0, Math.floor(y - 3)); row <= Math.min(SIDE - 1, y + 3); row++) {
        for (let column = Math.max(0, Math.floor(x - 3)); column <= Math.min(SIDE - 1, x + 3); column++) {
          const far = Math.hypot(column + 0.5 - x, row + 0.5 - y);
          const ink = Math.round(255 * Math.max(0, Math.min(1, PEN + 0.5 - far)));
          const i = row * SIDE + column;
          image[i] = Math.max(image[i], ink);
        }
      }
    }
    drawn = true;
    pen = to;
    paint();
    read();
  }

  function clear() {
    image = new Uint8Array(SIDE * SIDE);
    drawn = true;
    paint();
    read();
    verdict.textContent = "Draw a digit.";
  }

  const place = (event) => {
    const box = canvas.getBoundingClientRect();
    return [((event.clientX - box.left) / box.width) * SIDE, ((event.clientY - box.top) / box.height) * SIDE];
  };
  let held = false;
  canvas.addEventListener("pointerdown", (event) => {
    if (!drawn) clear();
    held = true;
    canvas.setPointerCapture(event.pointerId);
    stroke(place(event), place(event));
  });
  canvas.addEventListener("pointermove", (event) => held && stroke(pen, place(event)));
  for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, () => (held = false));
  canvas.addEventListener("focus", paint);
  canvas.addEventListener("blur", () => { down = false; paint(); });
  canvas.addEventListener("keydown", (event) => {
    const steps = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    const step = steps[event.key];
    if (step) {
      const to = pen.map((p, i) => Math.max(2, Math.min(SIDE - 2, p + step[i])));
      if (down) stroke(pen, to);
      else { pen = to; paint(); }
    } else if (event.key === " ") {
      down = !down;
      if (down && !drawn) clear();
      if (down) stroke(pen, pen);
      else paint();
    } else if (event.key === "Delete" || event.key === "Backspace") {
      clear();
    } else {
      return;
    }
    event.preventDefault();
  });

  slider.addEventListener("input", () => { cut(); read(); });
  const choose = Array.from({ length: 10 }, (_, digit) =>
    make("button", {
      type: "button",
      "aria-label": `A ${digit} of MNIST's test images`,
      onclick: () => {
        image = new Uint8Array(ten.slice(digit * SIDE * SIDE, (digit + 1) * SIDE * SIDE));
        drawn = false;
        paint();
        read();
      },
    }, String(digit)));

  cut();
  paint();
  read();
  return make("div", { class: "live digits" },
    make("div", { class: "draw" }, canvas,
      make("div", { class: "choose", role: "group", "aria-label": "Digits of MNIST's test images" }, ...choose,
        make("button", { type: "button", onclick: clear }, "Clear"))),
    make("div", { class: "read" }, verdict, bars,
      make("label", { for: "digits-share" }, "Of each layer's list it uses the first part: "), used, slider, filters, cost));
});

// What MNIST did to its digits: the ink in a square of 20 pixels, its centre of mass in the middle of 28.
function asInMnist(image) {
  let [left, right, top, bottom] = [SIDE, -1, SIDE, -1];
  for (let i = 0; i < image.length; i++) {
    if (image[i] < 40) continue;
    const [x, y] = [i % SIDE, Math.floor(i / SIDE)];
    [left, right, top, bottom] = [Math.min(left, x), Math.max(right, x), Math.min(top, y), Math.max(bottom, y)];
  }
  if (right < 0) return image;
  const [width, height] = [right - left + 1, bottom - top + 1];
  const scale = 20 / Math.max(width, height);
  const source = new OffscreenCanvas(SIDE, SIDE);
  const data = new ImageData(SIDE, SIDE);
  for (let i = 0; i < image.length; i++) data.data.set([image[i], image[i], image[i], 255], 4 * i);
  source.getContext("2d").putImageData(data, 0, 0);
  // Drawn twice: the second time so that the centre of mass of the first is in the middle.
  let [x, y] = [SIDE / 2, SIDE / 2];
  let pixels;
  for (let pass = 0; pass < 2; pass++) {
    const target = new OffscreenCanvas(SIDE, SIDE).getContext("2d", { willReadFrequently: true });
    target.fillStyle = "#000";
    target.fillRect(0, 0, SIDE, SIDE);
    target.imageSmoothingQuality = "high";
    target.drawImage(source, left, top, width, height, x - (width * scale) / 2, y - (height * scale) / 2, width * scale, height * scale);
    const found = target.getImageData(0, 0, SIDE, SIDE).data;
    pixels = new Uint8Array(SIDE * SIDE).map((_, i) => found[4 * i]);
    let [sum, across, along] = [0, 0, 0];
    pixels.forEach((p, i) => {
      sum += p;
      across += p * ((i % SIDE) + 0.5);
      along += p * (Math.floor(i / SIDE) + 0.5);
    });
    if (sum === 0) return image;
    [x, y] = [x + SIDE / 2 - across / sum, y + SIDE / 2 - along / sum];
  }
  return pixels;
}
