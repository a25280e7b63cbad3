// The main process: windows, the one process of the index, and the requests that may pass between them. It reads no text
// and no vector itself.

import { join } from 'node:path'
import { app, BrowserWindow, dialog, ipcMain, Menu, session, utilityProcess } from 'electron'

import { WorkerClient } from './worker-client.js'

const HERE = import.meta.dirname
const MOST_QUERY_CHARACTERS = 1000

/** All of them show the same index. @type {Set<BrowserWindow>} */
const windows = new Set()
/** @param {string} channel @param {unknown} value */
const tell = (channel, value) => windows.forEach((window) => window.webContents.send(channel, value))
/**
 * The folder to index: chosen by the user in a dialog, or indexed before; never one that the page names. @type {string
 * | undefined}
 */
let folder

const index = new WorkerClient({
  start: () => utilityProcess.fork(join(HERE, 'index-worker.js'), [], { serviceName: 'Text index' }),
  opening: { storage: join(app.getPath('userData'), 'library') },
  onProgress: (progress) => tell('texts:progress', progress),
  onChanged: (changed) => tell('texts:changed', changed)
})

/** What the page may ask for (preload.cjs offers exactly this). */
const requests = {
  async state() {
    const state = await index.request('state')
    folder ??= state.indexed?.folder ?? state.folder
    return { ...state, folder }
  },

  /** @param {undefined} _ @param {BrowserWindow} window */
  async chooseFolder(_, window) {
    const { canceled, filePaths } = await dialog.showOpenDialog(window, {
      title: 'Choose a folder of texts',
      properties: ['openDirectory']
    })
    if (canceled) return undefined
    folder = filePaths[0]
    return folder
  },

  async index() {
    if (folder === undefined) throw Object.assign(new Error('Choose a folder first.'), { code: 'NO_FOLDER' })
    try {
      const state = await index.request('index', { folder })
      tell('texts:changed', {})
      return state
    } catch (error) {
      const { indexed } = await index.request('state')
      folder = indexed?.folder ?? folder // "again" means what can be searched
      throw error
    }
  },

  cancel: () => index.request('cancel'),

  /** @param {any} wanted from the page: text, folder and since of `Library.search` */
  async search({ text, folder: below, since } = {}) {
    if (typeof text !== 'string') throw Object.assign(new TypeError('A search needs a text.'), { code: 'EMPTY_QUERY' })
    return index.request('search', {
      text: text.slice(0, MOST_QUERY_CHARACTERS),
      k: 20,
      folder: typeof below === 'string' ? below : undefined,
      since: typeof since === 'number' ? since : undefined
    })
  }
}

for (const [name, answer] of Object.entries(requests)) {
  ipcMain.handle(`texts:${name}`, async (event, argument) => {
    const window = [...windows].find(({ webContents }) => webContents === event.sender)
    if (!window) return { error: { code: 'FORBIDDEN', message: 'Not from here.' } }
    try {
      return { value: await answer(argument, window) }
    } catch (error) {
      // Codes of thrown errors would be lost on the way to the page.
      const { code = 'UNKNOWN', message } = /** @type {Error & { code?: string }} */ (error)
      return { error: { code, message } }
    }
  })
}

function openWindow() {
  const window = new BrowserWindow({
    width: 960,
    height: 720,
    minWidth: 420,
    minHeight: 400,
    show: false,
    webPreferences: {
      preload: join(HERE, 'preload.cjs'),
      contextIsolation: true,
      sandbox: true,
      nodeIntegration: false
    }
  })
  windows.add(window)
  window.once('ready-to-show', () => window.show())
  window.on('closed', () => {
    windows.delete(window)
    if (windows.size === 0) index.stop() // no window, no work; the next request starts it again
  })
  // The page shows texts that anybody may have written: it goes nowhere, opens nothing and is granted nothing.
  window.webContents.on('will-navigate', (event) => event.preventDefault())
  window.webContents.setWindowOpenHandler(() => ({ action: 'deny' }))
  void window.loadFile(join(HERE, 'renderer', 'index.html'))
}

void app.whenReady().then(() => {
  session.defaultSession.setPermissionRequestHandler((_contents, _permission, answer) => answer(false))
  Menu.setApplicationMenu(
    Menu.buildFromTemplate([
      ...(process.platform === 'darwin' ? [/** @type {const} */ ({ role: 'appMenu' })] : []),
      {
        label: 'File',
        submenu: [{ label: 'New Window', accelerator: 'CmdOrCtrl+N', click: openWindow }, { role: 'close' }]
      },
      { role: 'editMenu' },
      { role: 'viewMenu' }
    ])
  )
  openWindow()
  app.on('activate', () => {
    if (windows.size === 0) openWindow()
  })
})

app.on('window-all-closed', () => {
  if (process.platform !== 'darwin') app.quit()
})
