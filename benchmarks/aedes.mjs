// node aedes.mjs PORT tcp|ws [CERTIFICATE KEY]: an Aedes broker with one listener, for the benchmarks.

import { readFileSync } from 'node:fs'
import http from 'node:http'
import https from 'node:https'
import net from 'node:net'
import tls from 'node:tls'
import { Aedes } from 'aedes'
import { WebSocketServer, createWebSocketStream } from 'ws'

const [port, kind, certificate, key] = process.argv.slice(2)
const broker = await Aedes.createBroker({ queueLimit: 100000 })
const options = certificate
  ? { cert: readFileSync(certificate), key: readFileSync(key), minVersion: 'TLSv1.3' }
  : undefined

let server
if (kind === 'ws') {
  server = options ? https.createServer(options) : http.createServer()
  new WebSocketServer({ server, handleProtocols: () => 'mqtt' }).on('connection', (socket, request) => {
    broker.handle(createWebSocketStream(socket), request)
  })
} else {
  server = options ? tls.createServer(options, broker.handle) : net.createServer(broker.handle)
}
server.listen({ port: Number(port), host: '127.0.0.1', backlog: 4096 })
