// The system's Chromium, headless, driven by playwright-core, which brings no browser of its own.

import { existsSync } from 'node:fs'
import { chromium, type Browser } from 'playwright-core'

const PLACES = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome', '/snap/bin/chromium']
/** Nothing but the page under test is to use the network. */
const FLAGS = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync'
]

export async function launchChromium(): Promise<Browser> {
  const { ZGQ_CHROMIUM: given } = process.env
  const executablePath = given ?? PLACES.find((path) => existsSync(path))
  if (executablePath === undefined || !existsSync(executablePath))
    throw new Error(
      `no Chromium at ${given ?? PLACES.join(', ')}: install it (Debian: apt-get install chromium), or give the path ` +
        'of a browser in ZGQ_CHROMIUM'
    )
  return await chromium.launch({ executablePath, args: FLAGS })
}
