// The released UNet on a picture, and the whole of it as text.
import { bytes, count, make, milliseconds, start, wasm } from "./common.js";

// More would take a page long, and telephones much memory.
const MOST_PIXELS = 1.3e6;

start("segment", async (section) => {
  const [module, file] = await Promise.all([wasm(), bytes("models/unet.freq")]);
  const segmenter = new module.Segmenter(file);
  const canvas = make("canvas", { role: "img", "aria-label": "The picture, its background in dim grey" });
  const said = make("p", { class: "verdict", "aria-live": "polite" });
  const choose = make("input", { type: "file", accept: "image/*", id: "segment-file" });

  async function run(blob, name) {
    said.textContent = "It is looking …";
    const bitmap = await createImageBitmap(blob);
    const scale = Math.min(1, Math.sqrt(MOST_PIXELS / (bitmap.width * bitmap.height)));
    const [width, height] = [bitmap.width, bitmap.height].map((n) => Math.max(1, Math.round(n * scale)));
    [canvas.width, canvas.height] = [width, height];
    const context = canvas.getContext("2d", { willReadFrequently: true });
    context.drawImage(bitmap, 0, 0, width, height);
    const data = context.getImageData(0, 0, width, height);
    // So that the words above are seen before the work begins.
    await new Promise((done) => setTimeout(done, 20));
    const plane = width * height;
    const pixels = new Uint8Array(3 * plane);
    for (let i = 0; i < plane; i++) pixels.set(data.data.subarray(4 * i, 4 * i + 3), 3 * i);
    const before = performance.now();
    let mask;
    try {
      mask = segmenter.segment(pixels, height, width);
    } catch (error) {
      said.textContent = `${name}: ${error.message ?? error}`;
      return;
    }
    const took = performance.now() - before;
    let foreground = 0;
    for (let i = 0; i < plane; i++) {
      if (mask[i] !== 0) { foreground += 1; continue; }
      const grey = 0.45 * (0.3 * data.data[4 * i] + 0.59 * data.data[4 * i + 1] + 0.11 * data.data[4 * i + 2]);
      data.data.set([grey, grey, grey], 4 * i);
    }
    context.putImageData(data, 0, 0);
    const share = ((100 * foreground) / plane).toFixed(1);
    said.textContent = `${name}, ${height} × ${width}: ${share} % is foreground. Found in ${milliseconds(took)} from ${count(file.length)} bytes.`;
    canvas.setAttribute("aria-label", `${name}, its background in dim grey: ${share} % is foreground`);
    Object.assign(section.dataset, { milliseconds: took, foreground, pixels: plane });
  }

  const guarded = (blob, name) => run(blob, name).catch((error) => { said.textContent = `${name} is no picture that this browser reads (${error.message}).`; });
  choose.addEventListener("change", () => choose.files[0] && guarded(choose.files[0], choose.files[0].name));
  const live = make("div", { class: "live segment" }, canvas, said,
    make("label", { for: "segment-file" }, "A picture of your own (it stays on this machine): "), choose,
    make("details", {},
      make("summary", {}, `The whole model: ${count(segmenter.kept())} numbers for ${count(segmenter.weights())} weights, ${count(file.length)} bytes`),
      make("pre", { class: "model", tabindex: 0, "aria-label": "The model file in base64" }, btoa(String.fromCharCode(...file)))));
  live.addEventListener("dragover", (event) => event.preventDefault());
  live.addEventListener("drop", (event) => {
    event.preventDefault();
    const dropped = event.dataTransfer.files[0];
    if (dropped) guarded(dropped, dropped.name);
  });
  const picture = await bytes("../img/car.png");
  await run(new Blob([picture], { type: "image/png" }), "The drawn car");
  return live;
});
