// Numbers, times and elements. Unknown is a dash, never a zero.

export const UNKNOWN = "—";

export const known = (value) => typeof value === "number" && Number.isFinite(value);

export function number(value, digits, unit = "") {
  if (!known(value)) return UNKNOWN;
  const text = value.toFixed(digits);
  const shown = Number(text) === 0 ? text.replace("-", "") : text.replace("-", "−");
  return unit ? `${shown} ${unit}` : shown;
}

export const clock = (iso) => iso.slice(11, 19);
export const minute = (iso) => iso.slice(11, 16);
export const day = (iso) => iso.slice(0, 10);
export const words = (name) => name.replaceAll("_", " ");

export function span(seconds) {
  const s = Math.round(seconds);
  if (s < 120) return `${s} s`;
  return s < 7200 ? `${Math.floor(s / 60)} min` : `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`;
}

export function element(tag, attributes = {}, ...children) {
  return filled(document.createElement(tag), attributes, children);
}

export function drawn(tag, attributes = {}, ...children) {
  return filled(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
}

export function show(id, ...children) {
  document.getElementById(id).replaceChildren(...children);
}

function filled(made, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

// A disc in a prosumer's colour, as SVG: the page allows no inline style.
export function swatch(prosumer) {
  const disc = drawn("circle", { cx: 8, cy: 8, r: 6, fill: prosumer.colour, stroke: prosumer.colour, "stroke-width": 2 });
  if (prosumer.dashed) disc.setAttribute("fill", "none");
  return element("span", { class: "swatch" }, drawn("svg", { viewBox: "0 0 16 16", "aria-hidden": "true" }, disc));
}
