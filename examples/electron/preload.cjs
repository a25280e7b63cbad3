// The bridge between the page and the main process: `window.texts`, and nothing else. Sandboxed preload scripts are
// CommonJS.

const { contextBridge, ipcRenderer } = require('electron')

contextBridge.exposeInMainWorld('texts', {
  // Each answers { value } or { error: { code, message } }.
  state: () => ipcRenderer.invoke('texts:state'),
  chooseFolder: () => ipcRenderer.invoke('texts:chooseFolder'),
  index: () => ipcRenderer.invoke('texts:index'),
  cancel: () => ipcRenderer.invoke('texts:cancel'),
  /** @param {string} text @param {{ folder?: string, since?: number }} [only] */
  search: (text, only = {}) => ipcRenderer.invoke('texts:search', { ...only, text }),
  /**
   * Calls `listener` with what library.js tells; returns a function that ends it. @param {(progress: unknown) => void}
   * listener
   */
  onProgress(listener) {
    /** @param {unknown} _event @param {unknown} progress */
    const pass = (_event, progress) => listener(progress)
    ipcRenderer.on('texts:progress', pass)
    return () => ipcRenderer.off('texts:progress', pass)
  },
  /**
   * Calls `listener` when texts that were saved can be found; returns a function that ends it. @param {(changed:
   * unknown) => void} listener
   */
  onChanged(listener) {
    /** @param {unknown} _event @param {unknown} changed */
    const pass = (_event, changed) => listener(changed)
    ipcRenderer.on('texts:changed', pass)
    return () => ipcRenderer.off('texts:changed', pass)
  }
})
