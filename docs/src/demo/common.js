// What the demonstrations share: loading, numbers as text, pictures of filters.

// The networks' arithmetic, once for all demonstrations of a page.
let loading;
export function wasm() {
  loading ??= import("./freqreg_web.js").then(async (module) => {
    await module.default();
    return module;
  });
  return loading;
}

export async function bytes(name) {
  const url = new URL(name, import.meta.url);
  const answer = await fetch(url);
  if (!answer.ok) throw new Error(`${url.pathname}: ${answer.status} ${answer.statusText}`);
  return new Uint8Array(await answer.arrayBuffer());
}

export const count = (n) => n.toLocaleString("en");

export function milliseconds(ms) {
  if (ms < 10) return `${ms.toFixed(1)} ms`;
  return ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(2)} s`;
}

// An element with attributes and children.
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value !== false) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children);
  return element;
}

// Weights as colours: blue below zero, white at it, orange above.
export function colour(weight, most) {
  const x = Math.max(-1, Math.min(1, weight / (most || 1)));
  const [r, g, b] = x < 0 ? [33, 90, 168] : [217, 108, 6];
  const part = Math.abs(x);
  return [255 + part * (r - 255), 255 + part * (g - 255), 255 + part * (b - 255)];
}

// Draws square filters side by side on a canvas, a few pixels a weight.
export function drawFilters(canvas, weights, side, scale, gap = 1) {
  const size = side * side;
  const all = weights.length / size;
  canvas.width = (all * (side + gap) - gap) * scale;
  canvas.height = side * scale;
  const context = canvas.getContext("2d");
  const most = weights.reduce((m, w) => Math.max(m, Math.abs(w)), 0);
  for (let i = 0; i < weights.length; i++) {
    const filter = Math.floor(i / size);
    const row = Math.floor((i % size) / side);
    const column = i % side;
    const [r, g, b] = colour(weights[i], most);
    context.fillStyle = `rgb(${r} ${g} ${b})`;
    context.fillRect((filter * (side + gap) + column) * scale, row * scale, scale, scale);
  }
}

// Puts what was made in the place of the still pictures, once it works; else says why not, and leaves them.
export async function start(id, build) {
  const section = document.getElementById(id);
  if (!section) return;
  const still = section.querySelector(".still");
  try {
    const live = await build(section);
    still.hidden = true;
    section.append(live);
    section.dataset.ready = "true";
  } catch (error) {
    console.warn(`${id}: ${error}`);
    section.append(make("p", { class: "failed" }, `This does not run here (${error.message ?? error}); the picture stands in for it.`));
  }
}
