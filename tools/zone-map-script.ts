// The script of the page that `zgq inspect --html` writes: draws the zones on the canvas and says what the pointer is
// at. Runs in the reader's browser, not here.

/** Plain JavaScript; it makes no requests. The data is in the element `zone-data` (zone-map.ts). */
export const ZONE_MAP_SCRIPT = `'use strict'
const canvas = document.getElementById('zone-map')
const facts = document.getElementById('zone-facts')
const data = JSON.parse(document.getElementById('zone-data').textContent)
const count = data.x.length
const order = data.rows.map((_, zone) => zone).sort((a, b) => data.rows[b] - data.rows[a] || a - b) // small ones on top
const MARGIN = 16, FOOT = 28
let picture, view, selected = -1

function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim()
}
function mix(stops, share) {
  const at = Math.min(share * (stops.length - 1), stops.length - 1.000001), low = Math.floor(at)
  const part = (stop, i) => parseInt(stop.slice(1 + 2 * i, 3 + 2 * i), 16)
  const channel = (i) => {
    const from = part(stops[low], i), to = part(stops[low + 1], i)
    return Math.round(from + (to - from) * (at - low))
  }
  return 'rgb(' + [0, 1, 2].map(channel).join(',') + ')'
}
function layOut() {
  const ratio = window.devicePixelRatio || 1
  const width = canvas.clientWidth
  const shape = data.width > 0 ? data.height / data.width : 0
  const height = Math.round(Math.max(width * 0.45, Math.min(width * 0.72, width * shape + FOOT)))
  canvas.style.height = height + 'px'
  canvas.width = width * ratio
  canvas.height = height * ratio
  const inner = { width: width - 2 * MARGIN, height: height - 2 * MARGIN - FOOT }
  const scale = Math.min(inner.width / (data.width || 1), inner.height / (data.height || 1))
  const left = MARGIN + (inner.width - data.width * scale) / 2, top = MARGIN + (inner.height - data.height * scale) / 2
  const mean = data.rows.reduce((sum, rows) => sum + rows, 0) / count
  // Circles of mean size cover a fifth of the plot together.
  const size = Math.min(9, Math.sqrt(inner.width * inner.height * 0.2 / count / Math.PI)) / Math.sqrt(mean)
  view = {
    ratio, width, height, scale,
    x: (zone) => left + data.x[zone] * scale,
    y: (zone) => top + data.y[zone] * scale,
    r: (zone) => Math.max(0.7, size * Math.sqrt(data.rows[zone]))
  }
}
function drawPicture() {
  picture = document.createElement('canvas')
  picture.width = canvas.width
  picture.height = canvas.height
  const pen = picture.getContext('2d')
  pen.scale(view.ratio, view.ratio)
  const stops = ['--ramp-1', '--ramp-2', '--ramp-3'].map(colour)
  const shades = Array.from({ length: 32 }, (_, i) => mix(stops, i / 31))
  const span = data.to - data.from
  pen.strokeStyle = colour('--surface')
  pen.lineWidth = 0.75
  for (const zone of order) {
    const share = span > 0 ? Math.max(0, Math.min(1, (data.radius[zone] - data.from) / span)) : 0.5
    pen.fillStyle = shades[Math.round(share * 31)]
    pen.globalAlpha = 0.85
    pen.beginPath()
    pen.arc(view.x(zone), view.y(zone), view.r(zone), 0, 2 * Math.PI)
    pen.fill()
    pen.globalAlpha = 1
    if (view.r(zone) > 2) pen.stroke()
  }
  drawScale(pen)
}
function drawScale(pen) {
  if (!(data.unit > 0)) return
  const perPixel = data.unit / view.scale
  const target = perPixel * 110, power = 10 ** Math.floor(Math.log10(target))
  const length = [5, 2, 1].find((factor) => factor * power <= target) * power
  const y = view.height - 14, end = MARGIN + length / perPixel
  pen.strokeStyle = pen.fillStyle = colour('--muted')
  pen.lineWidth = 1
  pen.beginPath()
  pen.moveTo(MARGIN, y - 4)
  pen.lineTo(MARGIN, y)
  pen.lineTo(end, y)
  pen.lineTo(end, y - 4)
  pen.stroke()
  pen.font = '12px ' + getComputedStyle(document.body).fontFamily
  pen.fillText('distance ' + Number(length.toPrecision(3)), end + 8, y + 1)
}
function paint() {
  const pen = canvas.getContext('2d')
  pen.setTransform(1, 0, 0, 1, 0, 0)
  pen.clearRect(0, 0, canvas.width, canvas.height)
  pen.drawImage(picture, 0, 0)
  if (selected < 0) return
  pen.scale(view.ratio, view.ratio)
  pen.strokeStyle = colour('--text')
  pen.lineWidth = 2
  pen.beginPath()
  pen.arc(view.x(selected), view.y(selected), view.r(selected) + 2.5, 0, 2 * Math.PI)
  pen.stroke()
}
function select(zone) {
  if (zone === selected || zone < 0) return
  selected = zone
  const name = document.createElement('b')
  name.textContent = 'zone ' + zone.toLocaleString('en-US')
  const rows = data.rows[zone].toLocaleString('en-US') + (data.rows[zone] === 1 ? ' row' : ' rows')
  facts.replaceChildren(name, ': ' + rows + ', radius ' + data.radius[zone])
  paint()
}
function at(event) {
  const box = canvas.getBoundingClientRect()
  const x = event.clientX - box.left, y = event.clientY - box.top
  let found = -1, least = 400
  for (let zone = 0; zone < count; zone++) {
    const dx = view.x(zone) - x, dy = view.y(zone) - y, distance = dx * dx + dy * dy
    if (distance < least) [found, least] = [zone, distance]
  }
  select(found)
}
function redraw() {
  if (canvas.clientWidth === 0) return // hidden: there is nothing to draw on
  layOut()
  drawPicture()
  paint()
}
canvas.addEventListener('pointermove', at)
canvas.addEventListener('pointerdown', at)
canvas.addEventListener('keydown', (event) => {
  const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key]
  if (step === undefined) return
  event.preventDefault()
  select((selected + step + count) % count)
})
window.addEventListener('resize', redraw)
window.matchMedia('(prefers-color-scheme: dark)').addEventListener('change', redraw)
redraw()
`
