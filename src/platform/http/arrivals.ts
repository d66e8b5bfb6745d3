// Requests whose heads were read in one turn of the event loop are routed together, right after it. What reads a request, what
// routes it and what decides it are each more code than a core's first caches hold: one request after the other, each from its
// first byte to its decision, has all of it loaded anew for each. In groups a step runs for all of them, which takes a tenth of the
// processor's time away (docs/decisions/0003-runtime.md).
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { Server as HttpsServer } from 'node:https'

const ARRIVED_AT = Symbol('arrivedAt')
type Stamped = IncomingMessage & { [ARRIVED_AT]?: number }
type Arrived = readonly [request: IncomingMessage, response: ServerResponse]

/**
 * As many requests as wait for each other: locality gains nothing from more, and what came of their bodies is in no
 * account (connection_gate.ts) before they are routed: 2 MB of these.
 */
const MAX_TOGETHER = 32

export type ArrivalsOptions = {
  /** Whether nobody would have to wait: then a request is routed as soon as it is there. */
  readonly isIdle: () => boolean
  /** Calls back when whoever had something to say in this turn was heard; `setImmediate` by default. */
  readonly afterTurn?: (act: () => void) => unknown
}

/**
 * From now on the server's router is called at the end of a turn, or for 32 requests, for those that came in it, in the order in which
 * they came. To be called while the router is the only listener.
 */
export function routeTogether(
  server: Server | HttpsServer,
  { isIdle, afterTurn = setImmediate }: ArrivalsOptions,
): void {
  const [router] = server.listeners('request')
  if (router === undefined) throw new Error('the server has no router')
  let arrived: Arrived[] = []
  let isTurnAwaited = false
  const route = (): void => {
    const due = arrived
    arrived = []
    // A request that is closed for good would be waited for without an end: its body says nothing any more.
    for (const one of due) if (!one[0].destroyed) Reflect.apply(router, server, one)
  }
  const endOfTurn = (): void => {
    isTurnAwaited = false
    route()
  }
  server.removeAllListeners('request')
  server.on('request', (request: Stamped, response: ServerResponse) => {
    request[ARRIVED_AT] = performance.now()
    // Nobody overtakes those who wait.
    if (arrived.length === 0 && isIdle()) return void Reflect.apply(router, server, [request, response])
    if (arrived.push([request, response]) === MAX_TOGETHER) return route()
    if (isTurnAwaited) return
    isTurnAwaited = true
    afterTurn(endOfTurn)
  })
}

/** `performance.now()` when the head of a request was read; `undefined` where it came another way. */
export function arrivedAt(request: Stamped): number | undefined {
  return request[ARRIVED_AT]
}
