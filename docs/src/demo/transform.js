// Coefficients to change, and the filter that they make.
import { drawFilters, make, start, wasm } from "./common.js";

const SIDE = 5;
const filters = {
  "A blob": (x, y) => Math.exp(-(x * x + y * y) / 2),
  "An edge": (x, y) => Math.sign(x) * (1 - Math.abs(x) / 4) * (1 - Math.abs(y) / 6),
  "A slope": (x, y) => (x + 0.5 * y) / 3,
  "A dot": (x, y) => (x === 0 && y === 0 ? 1 : 0),
};

start("transform", async (section) => {
  const module = await wasm();
  const transform = new module.Transform(SIDE);
  const picture = make("canvas", { role: "img" });
  const slider = make("input", { type: "range", min: 1, max: SIDE * SIDE, value: SIDE * SIDE, id: "transform-keep" });
  const used = make("output", { for: "transform-keep" });
  const said = make("p", { "aria-live": "polite" });
  const inputs = Array.from({ length: SIDE * SIDE }, (_, i) =>
    make("input", {
      type: "number", step: 0.1, "aria-label": `Coefficient ${Math.floor(i / SIDE)}, ${i % SIDE}, number ${transform.rank(i)} of the list`,
      oninput: (event) => {
        const value = Number(event.target.value);
        if (Number.isFinite(value)) { transform.set(i, value); show(); }
      },
    }));

  function show() {
    const keep = Number(slider.value);
    const filter = transform.filter(keep);
    drawFilters(picture, filter, SIDE, 36);
    inputs.forEach((input, i) => input.classList.toggle("cut", transform.rank(i) >= keep));
    const all = transform.coefficients().reduce((sum, c) => sum + c * c, 0);
    const kept = filter.reduce((sum, w) => sum + w * w, 0);
    const share = all > 0 ? `${((100 * kept) / all).toFixed(1)} % of its energy` : "nothing";
    used.textContent = `${keep} of ${SIDE * SIDE}`;
    said.textContent = `The first ${keep} coefficients say ${share}.`;
    picture.setAttribute("aria-label", `The filter of ${SIDE} × ${SIDE} weights that the first ${keep} coefficients make`);
    section.dataset.filter = JSON.stringify(Array.from(filter));
  }

  function take(of) {
    const middle = (SIDE - 1) / 2;
    const weights = Float32Array.from({ length: SIDE * SIDE }, (_, i) => of((i % SIDE) - middle, Math.floor(i / SIDE) - middle));
    transform.analyze(weights);
    transform.coefficients().forEach((c, i) => { inputs[i].value = Math.round(1000 * c) / 1000; });
    show();
  }

  slider.addEventListener("input", show);
  take(filters["A blob"]);
  return make("div", { class: "live transform" },
    make("div", { class: "choose", role: "group", "aria-label": "Filters to begin with" },
      ...Object.entries(filters).map(([name, of]) => make("button", { type: "button", onclick: () => take(of) }, name))),
    make("div", { class: "pair" }, make("div", { class: "grid", role: "group", "aria-label": "Coefficients" }, ...inputs), picture),
    make("label", { for: "transform-keep" }, "Coefficients kept: "), used, slider, said);
});
