// The style of the page that `zgq inspect --html` writes: one type scale (28, 18, 14, 12 pixels), system fonts, light
// and dark.

export const PAGE_STYLE = `:root {
  color-scheme: light dark;
  --page: #f6f7f8; --surface: #ffffff; --text: #1c2126; --muted: #59636e; --line: #dde1e6; --bar: #3f74ad;
  --mean: #2b66a5; --bound: #a8490b;
  --ramp-1: #a9c9e8; --ramp-2: #4c86bf; --ramp-3: #123761;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #111417; --surface: #191d21; --text: #e4e7ea; --muted: #9ca6b0; --line: #30363d; --bar: #5f97d0;
    --mean: #7db2e8; --bound: #eba561;
    --ramp-1: #24466b; --ramp-2: #4f8ecb; --ramp-3: #d3e8fc;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0; background: var(--page); color: var(--text);
  font: 14px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "Helvetica Neue", Arial, sans-serif;
  font-variant-numeric: tabular-nums;
}
main { max-width: 1180px; margin: 0 auto; padding: 32px 24px 48px; }
h1 { margin: 0; font-size: 28px; font-weight: 600; line-height: 1.2; overflow-wrap: anywhere; }
h2 { margin: 40px 0 4px; font-size: 18px; font-weight: 600; }
h3 { margin: 0 0 8px; font-size: 14px; font-weight: 600; }
p { margin: 0 0 8px; max-width: 75ch; }
div + h3 { margin-top: 16px; }
.path, .note, .lead { color: var(--muted); }
.warning::before { content: "Doubtful: "; font-weight: 600; }
.path { overflow-wrap: anywhere; }
.note, details, .legend { font-size: 12px; }
.facts {
  display: grid; grid-template-columns: repeat(6, 1fr); gap: 1px; margin: 20px 0 0; background: var(--line);
  border: 1px solid var(--line); border-radius: 8px; overflow: hidden;
}
.facts div { padding: 12px 16px; background: var(--surface); }
.facts dt { color: var(--muted); font-size: 12px; }
.facts dd { margin: 0; font-size: 18px; }
.facts .note { font-size: 12px; }
.card { padding: 16px; background: var(--surface); border: 1px solid var(--line); border-radius: 8px; min-width: 0; }
.cards {
  display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 340px), 1fr)); gap: 16px;
  align-items: start; margin-top: 12px;
}
.wide { grid-template-columns: repeat(auto-fill, minmax(min(100%, 480px), 1fr)); }
svg { display: block; width: 100%; max-width: 480px; height: auto; }
svg text { font-size: 11px; fill: var(--muted); }
svg .grid { stroke: var(--line); fill: none; }
svg .axis { stroke: var(--muted); fill: none; }
svg .bar { fill: var(--bar); }
svg .bar:hover { fill: var(--text); }
svg g path { fill: none; stroke-width: 1.75; }
svg .mean path { stroke: var(--mean); }
svg .mean circle { fill: var(--mean); }
svg .bound path { stroke: var(--bound); stroke-dasharray: 5 3; }
svg .bound circle { fill: var(--surface); stroke: var(--bound); stroke-width: 1.5; }
.keys { display: flex; flex-wrap: wrap; gap: 4px 20px; color: var(--muted); font-size: 12px; }
.keys svg { display: inline-block; width: 32px; height: 10px; margin-right: 6px; vertical-align: -1px; }
.map {
  display: grid; grid-template-columns: minmax(0, 1fr) 300px; gap: 24px; margin-top: 12px; padding: 16px;
  background: var(--surface); border: 1px solid var(--line); border-radius: 8px;
}
.map canvas { display: block; width: 100%; touch-action: pan-y; cursor: crosshair; }
.map canvas:focus-visible { outline: 2px solid var(--bar); outline-offset: 2px; }
.readout { min-height: 42px; }
.legend {
  display: grid; grid-template-columns: auto 1fr; gap: 2px 8px; align-items: center; margin: 12px 0;
  color: var(--muted);
}
.ramp {
  height: 8px; border-radius: 4px; background: linear-gradient(to right, var(--ramp-1), var(--ramp-2), var(--ramp-3));
}
.ramp-ends { grid-column: 2; display: flex; justify-content: space-between; }
details { margin-top: 8px; }
summary { cursor: pointer; color: var(--muted); }
.scroll { overflow-x: auto; }
table { width: 100%; margin: 4px 0 8px; border-collapse: collapse; }
th, td {
  padding: 4px 0 4px 12px; border-bottom: 1px solid var(--line); text-align: right; font-weight: 400;
  vertical-align: top;
}
td { white-space: nowrap; }
th:first-child { padding-left: 0; text-align: left; }
thead th { color: var(--muted); }
.words td { text-align: left; white-space: normal; overflow-wrap: anywhere; }
.words th { color: var(--muted); white-space: nowrap; }
.words td, .words th { padding: 6px 16px 6px 0; }
.share { display: block; height: 6px; margin-top: 4px; border-radius: 3px; background: var(--line); }
.share span { display: block; height: 100%; min-width: 2px; border-radius: 3px; background: var(--bar); }
footer { margin-top: 40px; color: var(--muted); font-size: 12px; }
@media (max-width: 900px) {
  .facts { grid-template-columns: repeat(3, 1fr); }
}
@media (max-width: 800px) {
  main { padding: 20px 14px 32px; }
  .map { grid-template-columns: minmax(0, 1fr); gap: 12px; padding: 12px; }
  .card { padding: 12px; }
}
@media (max-width: 480px) {
  .facts { grid-template-columns: repeat(2, 1fr); }
}
@media print {
  .card, .map { break-inside: avoid; }
}
`
