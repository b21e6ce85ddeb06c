// Small charts over the time of the data, with the values of their axes written beside them.

import { drawn, known, minute } from "./format.js";

const LEFT = 62, RIGHT = 10, TOP = 10, BOTTOM = 22;

// series: {values, class, colour, dash}; limits: [{value, class}]; label(value) writes a number of the axis.
export function chart(times, series, { limits = [], label, spread = 0, width, height = 150, title }) {
  const canvas = drawn("svg", { class: "chart", viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": title });
  const all = [...series.flatMap((s) => s.values), ...limits.map((l) => l.value)].filter(known);
  if (!times.length || !all.length) return canvas;
  const axes = scales(times, all, spread, width, height);
  for (const value of [axes.low, axes.high]) canvas.append(...rule(axes, value, "axis", label(value)));
  for (const limit of limits) canvas.append(...rule(axes, limit.value, limit.class, ""));
  for (const s of series) canvas.append(line(times, s, axes));
  canvas.append(
    drawn("text", { class: "quiet", x: LEFT, y: height - 5 }, minute(times[0])),
    drawn("text", { class: "quiet", x: axes.right, y: height - 5, "text-anchor": "end" }, minute(times.at(-1))));
  return canvas;
}

function scales(times, all, spread, width, height) {
  const right = width - RIGHT;
  let low = Math.min(...all), high = Math.max(...all);
  const missing = Math.max(0, spread - (high - low), high === low ? 1e-9 : 0);
  low -= missing / 2;
  high += missing / 2;
  const begin = Date.parse(times[0]), length = Math.max(1, Date.parse(times.at(-1)) - begin);
  return {
    low, high,
    right,
    x: (time) => LEFT + (right - LEFT) * ((Date.parse(time) - begin) / length),
    y: (value) => height - BOTTOM - (height - TOP - BOTTOM) * ((value - low) / (high - low)),
  };
}

function rule({ right, y: at }, value, kind, text) {
  const y = at(value);
  return [
    drawn("line", { class: kind, x1: LEFT, x2: right, y1: y, y2: y }),
    drawn("text", { class: "quiet", x: LEFT - 6, y: y + 4, "text-anchor": "end" }, text),
  ];
}

function line(times, { values, class: kind = "", colour, dash }, { x, y }) {
  let path = "", open = false;
  values.forEach((value, k) => {
    if (known(value)) path += `${open ? "L" : "M"}${x(times[k]).toFixed(1)} ${y(value).toFixed(1)}`;
    open = known(value);
  });
  const drawnLine = drawn("path", { class: `series ${kind}`, d: path });
  if (colour) drawnLine.setAttribute("stroke", colour);
  if (dash) drawnLine.setAttribute("stroke-dasharray", dash);
  return drawnLine;
}
