// Requests of the threat table as bytes over a socket, for what no client would send, read back as the test broker's replies.
import { sendRaw } from './raw_http.ts'
import type { Reply, TestBroker } from './test_broker.ts'
import { portOf } from './test_issuer.ts'

/** Listens on a port of its own; `over(request)` is one request to it. */
export async function listening(world: TestBroker): Promise<(request: string) => Promise<Reply>> {
  await world.app.listen({ port: 0, host: '127.0.0.1' })
  const port = portOf(world.app.server)
  return async (request) => {
    world.sent.push(request.slice(request.indexOf('\r\n\r\n') + 4))
    const reply = readReply(await sendRaw(port, request))
    world.said.push(JSON.stringify(reply.headers))
    if (reply.status !== 200) world.said.push(reply.text)
    return reply
  }
}

/** An answer that names its length or ends with the connection. */
function readReply(answer: string): Reply {
  const [head = '', ...rest] = answer.split('\r\n\r\n')
  const [line = '', ...fields] = head.split('\r\n')
  const text = rest.join('\r\n\r\n')
  const headers = Object.fromEntries(
    fields.map((field) => {
      const [name = '', ...value] = field.split(':')
      return [name.toLowerCase(), value.join(':').trim()]
    }),
  )
  const isJson = headers['content-type'] === 'application/json'
  return {
    status: Number(line.split(' ')[1]),
    headers,
    text,
    json: isJson && text !== '' ? Object(JSON.parse(text)) : {},
    token: undefined,
    idToken: undefined,
  }
}
