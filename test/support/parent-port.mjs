// Gives a forked Node.js process the port that a utilityProcess of Electron has, and takes away what that has not;
// loaded with --import before the process's own file.

const send = process.send.bind(process)
process.send = undefined
process.parentPort = {
  on: (event, listener) =>
    process.on(event, (data) => {
      listener({ data, ports: [] })
    }),
  postMessage: (message) => send(message)
}
