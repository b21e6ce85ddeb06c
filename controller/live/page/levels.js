// How close to a limit a value is: good, near, bad, free of limits, or unknown. A sign goes with the colour.

import { known } from "./format.js";

const NEAR = 0.8;

export function voltageLevel(site, node, v) {
  if (!known(v)) return { level: "unknown", sign: "" };
  if (node === site.slack) return { level: "free", sign: "" };
  const { v_min_pu: low, v_max_pu: high } = site.limits;
  const share = (2 * v - low - high) / (high - low);
  if (v > high + site.v_tol_pu || v < low - site.v_tol_pu) return { level: "bad", sign: share > 0 ? " ▲" : " ▼" };
  if (Math.abs(share) > NEAR) return { level: "near", sign: share > 0 ? " △" : " ▽" };
  return { level: "good", sign: "" };
}

export function loadLevel(value, limit, tolerance = 0) {
  if (!known(value)) return { level: "unknown", sign: "" };
  if (!known(limit)) return { level: "free", sign: "" };
  if (Math.abs(value) > limit + tolerance) return { level: "bad", sign: " ▲" };
  return Math.abs(value) > NEAR * limit ? { level: "near", sign: " △" } : { level: "good", sign: "" };
}

export const rungLevel = (rung) => (rung === null ? "free" : ({ use: "good", hold: "near" })[rung] ?? "bad");
