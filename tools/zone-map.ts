// The zones on a plane: their centroids along the two principal axes. The page draws them on a canvas, since tens of
// thousands of SVG circles are too many.

import { formatCount } from '../src/describe.ts'
import type { ZoneInfo } from '../src/index.ts'
import { formatNumber } from './charts.ts'
import { html, scriptValue, type Markup } from './markup.ts'
import { projectOnPrincipalAxes } from './principal-axes.ts'

/** Places are whole numbers up to this: a thirtieth of a pixel on a large screen. */
const GRID = 20_000
/**
 * Colours span the radii without this share of the narrowest and of the widest zones: a few outliers would leave one
 * colour for all others.
 */
const OUTLIERS = 0.02

/** Draws the map; needs two zones at least. `radiusUnit` says what radii and distances are measured in. */
export function drawZoneMap(zones: readonly ZoneInfo[], radiusUnit: string): Markup {
  const plane = projectOnPrincipalAxes(zones.map((zone) => zone.centroid))
  const both =
    `${percent(plane.shares[0] + plane.shares[1])} of the variance of the centroids (${percent(plane.shares[0])} ` +
    `and ${percent(plane.shares[1])})`
  const colours = colourRange(zones)
  const largest = zones.reduce((most, zone) => Math.max(most, zone.rows), 0)
  const data = {
    ...placesOf(plane),
    rows: zones.map((zone) => zone.rows),
    radius: zones.map((zone) => Number(zone.radius.toPrecision(4))),
    from: colours.from,
    to: colours.to
  }
  const label =
    `Map of ${formatCount(zones.length)} zones by the two principal axes of their centroids. ` +
    'Arrow keys go from zone to zone.'
  return html`<div class="map">
<div class="map-plot"><canvas id="zone-map" tabindex="0" role="img" aria-label="${label}"></canvas>
<noscript><p>The map is drawn by a script of this page; the tables below need none.</p></noscript></div>
<div class="map-side">
<p id="zone-facts" class="readout" aria-live="polite">Point at a zone, or go through them with the arrow keys.</p>
<p>Each circle is a zone at its centroid. The two axes hold ${both}; zones that are near here may be far apart along the
others.</p>
<div class="legend">
<span>radius</span><span class="ramp" aria-hidden="true"></span>
<span class="ramp-ends">
<span>${colours.isCut && html`&le; `}${formatNumber(colours.from)}</span>
<span>${colours.isCut && html`&ge; `}${formatNumber(colours.to)}</span>
</span></div>
<p class="note">Area: rows; the largest circle has ${formatCount(largest)}. Radius: ${radiusUnit}.</p>
</div></div>
<script type="application/json" id="zone-data">${scriptValue(data)}</script>`
}

/** Scales both axes alike onto the grid; y grows downwards, as on a canvas. `unit` is the length of one grid step. */
function placesOf(plane: { x: Float64Array; y: Float64Array }): {
  x: number[]
  y: number[]
  width: number
  height: number
  unit: number
} {
  const [left, right] = ends(plane.x)
  const [low, high] = ends(plane.y)
  const extent = Math.max(right - left, high - low)
  const scale = extent > 0 ? GRID / extent : 0
  return {
    x: Array.from(plane.x, (value) => Math.round((value - left) * scale)),
    y: Array.from(plane.y, (value) => Math.round((high - value) * scale)),
    width: Math.round((right - left) * scale),
    height: Math.round((high - low) * scale),
    unit: scale === 0 ? 0 : Number((1 / scale).toPrecision(6))
  }
}

function ends(values: Float64Array): [number, number] {
  return [
    values.reduce((least, value) => Math.min(least, value), Infinity),
    values.reduce((most, value) => Math.max(most, value), -Infinity)
  ]
}

function colourRange(zones: readonly ZoneInfo[]): { from: number; to: number; isCut: boolean } {
  const radii = zones.map((zone) => zone.radius).sort((a, b) => a - b)
  const cut = Math.floor(radii.length * OUTLIERS)
  return {
    from: Number(radii[cut].toPrecision(4)),
    to: Number(radii[radii.length - 1 - cut].toPrecision(4)),
    isCut: cut > 0
  }
}

function percent(share: number): string {
  return `${(share * 100).toFixed(1)} %`
}
