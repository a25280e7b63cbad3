// As much of Electron as the example's main process and preload script use, on plain Node.js and without windows: that
// their parts fit together.

const { fork } = require('node:child_process')
const { EventEmitter } = require('node:events')
const { join } = require('node:path')

const answers = new Map()
const windows = []
const page = new EventEmitter()
const contents = Object.assign(new EventEmitter(), {
  send: (channel, ...values) => {
    page.emit(channel, {}, ...values)
  },
  setWindowOpenHandler: () => undefined
})

exports.app = Object.assign(new EventEmitter(), {
  getPath: () => process.env.ZGQ_TEST_DATA,
  whenReady: async () => undefined,
  quit: () => undefined
})
exports.Menu = { buildFromTemplate: (template) => template, setApplicationMenu: () => undefined }
exports.session = { defaultSession: { setPermissionRequestHandler: () => undefined } }
exports.dialog = { showOpenDialog: async () => ({ canceled: false, filePaths: [process.env.ZGQ_TEST_FOLDER] }) }
exports.BrowserWindow = class extends EventEmitter {
  webContents = contents
  loadFile = async () => undefined
  show = () => undefined
  constructor() {
    super()
    windows.push(this)
  }
}
exports.utilityProcess = {
  fork(file) {
    const child = fork(file, { execArgv: ['--import', join(__dirname, 'parent-port.mjs')] })
    return Object.assign(child, { postMessage: (message) => child.send(message) })
  }
}
exports.ipcMain = {
  handle: (channel, answer) => {
    answers.set(channel, answer)
  }
}
// What passes between processes is copied.
exports.ipcRenderer = Object.assign(page, {
  invoke: async (channel, ...values) =>
    structuredClone(await answers.get(channel)({ sender: contents }, ...structuredClone(values)))
})
exports.contextBridge = {
  exposeInMainWorld: (name, value) => {
    globalThis[name] = value
  }
}
exports.invokeFromElsewhere = (channel) => answers.get(channel)({ sender: new EventEmitter() })
exports.closeWindow = () => {
  for (const window of windows) window.emit('closed')
}
