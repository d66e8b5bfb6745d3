// What any webhook in Node costs: HTTPS, JSON in, "allowed" out, nothing judged. A process of its own; prints its port.
import { readFileSync } from 'node:fs'
import { createServer } from 'node:https'

const [certFile = '', keyFile = ''] = process.argv.slice(2)
const server = createServer(
  { cert: readFileSync(certFile), key: readFileSync(keyFile) },
  (request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const { request: asked } = JSON.parse(Buffer.concat(chunks).toString('utf8'))
      const body = { apiVersion: 'admission.k8s.io/v1', kind: 'AdmissionReview' }
      response.setHeader('content-type', 'application/json')
      response.end(JSON.stringify({ ...body, response: { uid: asked.uid, allowed: true } }))
    })
  },
)
server.keepAliveTimeout = 60_000
server.listen(0, '127.0.0.1', () => {
  const address = server.address()
  if (address !== null && typeof address === 'object') console.log(address.port)
})
process.once('SIGTERM', () => {
  server.close()
  server.closeAllConnections()
})
