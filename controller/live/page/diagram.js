// The grid as a one-line diagram: across on a wide screen, downward on a narrow one.

import { drawn, known, number } from "./format.js";
import { loadLevel, voltageLevel } from "./levels.js";

const ACROSS = {
  at: ({ column, row }) => ({ x: 34 + 168 * column, y: 54 + 122 * row }),
  size: (columns, rows) => [34 + 168 * (columns - 1) + 150, 54 + 122 * (rows - 1) + 66],
  wire: (a, b) => `M${a.x} ${a.y}V${b.y}H${b.x}`,
  middle: (a, b) => ({ x: (a.x + b.x) / 2, y: b.y - 9, "text-anchor": "middle" }),
  busbar: ({ x, y }) => ({ x: x - 3.5, y: y - 24, width: 7, height: 48 }),
  name: ({ x, y }) => ({ x, y: y - 32, "text-anchor": "middle" }),
  text: ({ x, y }) => ({ x: x + 11, y: y + 22 }),
};
const DOWN = {
  at: ({ column, row }) => ({ x: 30 + 178 * row, y: 24 + 112 * column }),
  size: (columns, rows) => [30 + 178 * (rows - 1) + 160, 24 + 112 * (columns - 1) + 70],
  wire: (a, b) => (a.x === b.x ? `M${a.x} ${a.y}V${b.y}` : `M${a.x} ${a.y}V${a.y + 66}H${b.x}V${b.y}`),
  middle: (a, b) => ({ x: b.x + 9, y: b.y - 24 }),
  busbar: ({ x, y }) => ({ x: x - 22, y: y - 3.5, width: 44, height: 7 }),
  name: ({ x, y }) => ({ x: x + 29, y: y + 1 }),
  text: ({ x, y }) => ({ x: x + 29, y: y + 20 }),
};

export function diagram(site, cycle, width) {
  const way = width < 700 ? DOWN : ACROSS;
  const places = Object.values(site.places);
  const size = way.size(1 + Math.max(...places.map((p) => p.column)), 1 + Math.max(...places.map((p) => p.row)));
  const canvas = drawn("svg", { viewBox: `0 0 ${size[0]} ${size[1]}`, role: "img", "aria-label": "One-line diagram of the grid" });
  if (way === ACROSS && size[0] > 1.4 * width) canvas.setAttribute("width", size[0] * 0.75);
  const largest = Math.max(1, ...Object.values(cycle.lines).filter(known));
  for (const line of site.lines) canvas.append(...wire(site, line, cycle.lines[line.name], largest, way));
  for (const node of Object.keys(site.places)) canvas.append(nodeDrawn(site, cycle, node, way));
  return canvas;
}

function wire(site, line, current, largest, way) {
  const a = way.at(site.places[line.parent]), b = way.at(site.places[line.child]);
  const { level, sign } = loadLevel(current, line.i_max_a, site.rating_tol * (line.i_max_a ?? 0));
  const share = known(current) ? Math.min(1, current / (line.i_max_a ?? largest)) : 0;
  const path = drawn("path", { class: `wire ${level}`, d: way.wire(a, b), "stroke-width": 2 + 7 * share });
  const text = drawn("text", { class: `ampere ${level}`, ...way.middle(a, b), "data-line": line.name }, number(current, 1, "A") + sign);
  return [path, text];
}

function nodeDrawn(site, cycle, node, way) {
  const at = way.at(site.places[node]), v = cycle.nodes[node];
  const { level, sign } = voltageLevel(site, node, v);
  const text = way.text(at);
  const group = drawn("g", {},
    drawn("rect", { class: `busbar ${level}`, rx: 2, ...way.busbar(at) }),
    drawn("text", { class: "name", ...way.name(at) }, node),
    drawn("text", { class: `volt ${level}`, "data-node": node, ...text }, number(v, 4) + sign),
    ...gauge(site.limits, v, level, text.x, text.y + 7));
  const here = site.prosumers.filter((p) => p.node === node);
  here.forEach((p, k) => group.append(...power(p, cycle.prosumers[p.name]?.p_measured_kw, text.x, text.y + 30 + 18 * k)));
  if (node === site.slack) group.append(drawn("text", { class: "quiet", x: text.x, y: text.y + 30 }, number(cycle.slack_p_kw, 2, "kW")));
  return group;
}

// Where the voltage is between its limits, the ends of the track.
function gauge({ v_min_pu: low, v_max_pu: high }, v, level, x, y) {
  const track = drawn("rect", { class: "track", x, y, width: 74, height: 4, rx: 2 });
  if (!known(v)) return [track];
  const share = Math.min(1.06, Math.max(-0.06, (v - low) / (high - low)));
  return [track, drawn("rect", { class: `busbar ${level}`, x: x + 74 * share - 2, y: y - 3, width: 4, height: 10 })];
}

function power(prosumer, kw, x, y) {
  return [
    drawn("circle", { class: "dot", cx: x + 5, cy: y - 5, r: 6, fill: prosumer.colour }),
    drawn("text", { x: x + 16, y }, number(kw, 2, "kW")),
  ];
}
