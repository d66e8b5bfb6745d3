// The body of an apiserver's answer, bounded.
import type { IncomingMessage } from 'node:http'

/** A page of a list, or /metrics of a busy apiserver, is several MB. */
const MAX_ANSWER_BYTES = 64 * 1024 * 1024

/** There is more of it than is read. */
export class TooLargeAnswer extends Error {}

/** Rejects when there is more. */
export async function readAnswer(message: IncomingMessage, maxBytes = MAX_ANSWER_BYTES): Promise<string> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of message) {
    const part = Buffer.isBuffer(chunk) ? chunk : Buffer.from(String(chunk))
    bytes += part.length
    if (bytes > maxBytes) throw new TooLargeAnswer(`it answers with more than ${maxBytes} bytes`)
    chunks.push(part)
  }
  return Buffer.concat(chunks).toString('utf8')
}
