// node examples/website/picture.mjs URL OUT.png
// Takes the picture of the page in docs/: light and wide, dark and narrow. Needs Chromium (ZGQ_CHROMIUM, or
// /usr/bin/chromium) and a page with all data, served by zgq serve. `pngquant` then makes it a third as large.

import { chromium } from 'playwright-core'

const HEIGHT = 744
const SHOTS = [
  { hash: '#example=3', width: 824, colorScheme: 'light' },
  { hash: '#example=2&kind=noun', width: 372, colorScheme: 'dark' }
]

const [url, path] = process.argv.slice(2)
const executablePath = process.env['ZGQ_CHROMIUM'] ?? '/usr/bin/chromium'
const browser = await chromium.launch({ executablePath, args: ['--headless', '--no-sandbox', '--disable-gpu'] })

const pictures = []
for (const { hash, width, colorScheme } of SHOTS) {
  const viewport = { width, height: HEIGHT }
  const context = await browser.newContext({ viewport, colorScheme, deviceScaleFactor: 1.5 })
  const page = await context.newPage()
  await page.goto(url + hash)
  await page.waitForSelector('#results[aria-busy=false] li')
  await page.waitForTimeout(400)
  const shot = await page.screenshot()
  pictures.push(`<img width="${width}" src="data:image/png;base64,${shot.toString('base64')}">`)
}

const width = SHOTS.reduce((sum, shot) => sum + shot.width, 16)
const viewport = { width, height: HEIGHT }
const frame = await browser.newPage({ viewport, deviceScaleFactor: 1.5 })
await frame.setContent(
  `<style>body { margin: 0; display: flex; gap: 16px } img { border-radius: 8px; outline: 1px solid #8886; outline-offset: -1px }</style>` +
    pictures.join('')
)
await frame.screenshot({ path, omitBackground: true })
await browser.close()
