// Gives a forked Node.js process the port that a utilityProcess of Electron has; loaded with --import before the process's own file.

process.parentPort = {
  on: (event, listener) => process.on(event, (data) => { listener({ data, ports: [] }) }),
  postMessage: (message) => process.send(message)
}
