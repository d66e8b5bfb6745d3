// What the webhook's listener answers: one path, one method, one content type. There is nothing to route, and a framework would cost
// a fifth of a review, so this is Node's own request and response, of HTTP/1.1 and of HTTP/2 alike.
import type { ServerResponse } from 'node:http'
import type { Http2ServerResponse } from 'node:http2'
import { REVIEW_PATH } from '#core/module/review_path.ts'
import type { Log } from '#platform/log.ts'
import { createBodyReader, isAnnouncedTooLarge } from './body_reader.ts'
import type { AnyRequest, BodyLimits, BodyProblem } from './body_reader.ts'
import type { ReviewReply } from './judge/judge_review.ts'

type AnyResponse = ServerResponse | Http2ServerResponse

export type AppDeps = {
  readonly judge: (body: Uint8Array<ArrayBuffer>) => Promise<ReviewReply>
  readonly isDraining: () => boolean
  /** One more request that was answered with an HTTP error. */
  readonly refused: (status: number) => void
  readonly log: Pick<Log, 'warn' | 'error'>
  readonly body: BodyLimits
  /** Reviews under way; those above get 503. */
  readonly maxConcurrent: number
}

export type App = {
  handle(request: AnyRequest, response: AnyResponse): void
  /** Reviews under way. */
  running(): number
  close(): void
}

export function createApp(deps: AppDeps): App {
  const reader = createBodyReader(deps.body)
  let running = 0
  const refuse = (request: AnyRequest, response: AnyResponse, refusal: Refusal): void => {
    deps.refused(refusal.status)
    // One line for each that is no usual way of an API server, and nothing of it that a caller chose.
    if (refusal.status !== 503)
      deps.log.warn({ status: refusal.status, why: refusal.text }, 'request refused')
    send(request, response, refusal, true)
  }
  const judge = async (request: AnyRequest, response: AnyResponse, body: Uint8Array<ArrayBuffer>) => {
    running += 1
    try {
      const reply = await deps.judge(body)
      if (reply.status === 200) {
        sendReview(request, response, reply.body, deps.isDraining())
        finish(reply.answered)
      } else send(request, response, reply, deps.isDraining())
    } catch (error) {
      deps.log.error({ err: error }, 'request failed')
      send(request, response, { status: 500, text: 'failed' }, true)
    } finally {
      running -= 1
    }
  }
  /** The answer has left, whatever becomes of the rest. */
  const finish = (answered: (() => void) | undefined): void => {
    try {
      answered?.()
    } catch (error) {
      deps.log.error({ err: error }, 'review answered, and not finished')
    }
  }
  return {
    handle(request, response) {
      // Somebody who is gone cannot be told.
      response.on('error', () => undefined)
      const wrong = refusalOf(request)
      if (wrong !== undefined) return refuse(request, response, wrong)
      reader.read(request, {
        read: (body) => {
          if (running >= deps.maxConcurrent) refuse(request, response, BUSY)
          else void judge(request, response, body)
        },
        refused: (problem) => {
          if (problem === 'aborted') response.destroy()
          else refuse(request, response, BODY_REFUSALS[problem])
        },
      })
    },
    running: () => running,
    close: () => reader.close(),
  }
}

type Refusal = {
  readonly status: number
  readonly text: string
  readonly headers?: Readonly<Record<string, string>>
}

/** kube-apiserver asks again within its timeout. */
const BUSY: Refusal = { status: 503, text: 'busy', headers: { 'retry-after': '1' } }
const TOO_LARGE: Refusal = { status: 413, text: 'the review is larger than 8 MiB' }

const BODY_REFUSALS: Readonly<Record<Exclude<BodyProblem, 'aborted'>, Refusal>> = {
  too_large: TOO_LARGE,
  too_slow: { status: 408, text: 'the review came too slowly' },
  too_many: BUSY,
}

function refusalOf(request: AnyRequest): Refusal | undefined {
  const { url = '', method, headers } = request
  // kube-apiserver adds its timeout.
  const mark = url.indexOf('?')
  if ((mark === -1 ? url : url.slice(0, mark)) !== REVIEW_PATH) return { status: 404, text: 'not found' }
  if (method !== 'POST') return { status: 405, text: 'reviews are posted', headers: { allow: 'POST' } }
  if (!isJson(headers['content-type'])) return { status: 415, text: 'a review is application/json' }
  return isAnnouncedTooLarge(request) ? TOO_LARGE : undefined
}

function isJson(contentType: string | undefined): boolean {
  return contentType === 'application/json' || /^application\/json\s*(?:;|$)/i.test(contentType ?? '')
}

function sendReview(request: AnyRequest, response: AnyResponse, body: string, isLast: boolean): void {
  write(request, response, { status: 200, type: 'application/json', body, isLast })
}

function send(
  request: AnyRequest,
  response: AnyResponse,
  { status, text, headers }: Refusal,
  isLast: boolean,
): void {
  write(request, response, { status, type: 'text/plain; charset=utf-8', body: `${text}\n`, isLast, headers })
}

type Written = {
  readonly status: number
  readonly type: string
  readonly body: string
  /** Nothing more comes over this connection. */
  readonly isLast: boolean
  readonly headers?: Readonly<Record<string, string>> | undefined
}

function write(
  request: AnyRequest,
  response: AnyResponse,
  { status, type, body, isLast, headers }: Written,
): void {
  if (response.destroyed || response.headersSent) return
  const length = Buffer.byteLength(body)
  const all: Record<string, string | number> = { ...headers, 'content-type': type, 'content-length': length }
  if ('stream' in response) {
    response.writeHead(status, all)
    response.end(body)
    const { stream } = response
    if (!request.complete) stream.once('finish', () => stream.close())
    if (isLast) stream.session?.close()
    return
  }
  if (isLast) all['connection'] = 'close'
  response.writeHead(status, all)
  // Head and body in one write; as many bytes as characters is ASCII, which needs no encoding.
  response.end(body, length === body.length ? 'latin1' : 'utf8')
  // What still comes of a refused body is read by nobody.
  if (!request.complete) response.once('finish', () => request.socket.destroySoon())
}
