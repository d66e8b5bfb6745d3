// HTTP requests as bytes over a real socket, for what no client library would send; and the answer as bytes.
import { once } from 'node:events'
import { connect } from 'node:net'
import type { Socket } from 'node:net'

/** Sends one request as it stands and reads until the server closes; add `Connection: close`. */
export async function sendRaw(port: number, request: string): Promise<string> {
  const socket = await openSocket(port)
  socket.write(request)
  return readAll(socket)
}

export async function openSocket(port: number): Promise<Socket> {
  const socket = connect(port, '127.0.0.1')
  await once(socket, 'connect')
  return socket
}

export async function readAll(socket: Socket): Promise<string> {
  const chunks: string[] = []
  socket.setEncoding('utf8')
  socket.on('data', (chunk: string) => chunks.push(chunk))
  await new Promise<void>((resolve) => {
    socket.once('close', () => resolve())
    // A reset is an answer, too: what came before it stands in the chunks.
    socket.once('error', () => resolve())
  })
  return chunks.join('')
}

/** A POST of a form with further header lines, ready to send. */
export function rawPost(path: string, body: string, ...headers: readonly string[]): string {
  return [
    `POST ${path} HTTP/1.1`,
    'Host: broker.example.test',
    'Connection: close',
    'Content-Type: application/x-www-form-urlencoded',
    `Content-Length: ${Buffer.byteLength(body)}`,
    ...headers,
    '',
    body,
  ].join('\r\n')
}
