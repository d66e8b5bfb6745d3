// Requests whose heads were read in one turn of the event loop are routed together, right after it. What reads a request, what
// routes it and what decides it are each more code than a core's first caches hold: one request after the other, each from its
// first byte to its decision, has all of it loaded anew for each. In groups a step runs for all of them, which takes a tenth of the
// processor's time away (docs/decisions/0003-runtime.md).
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { Server as HttpsServer } from 'node:https'

type Arrived = readonly [request: IncomingMessage, response: ServerResponse]

export type ArrivalsOptions = {
  /** Whether nobody would have to wait: then a request is routed as soon as it is there. */
  readonly isIdle: () => boolean
  /** Calls back when whoever had something to say in this turn was heard; `setImmediate` by default. */
  readonly afterTurn?: (act: () => void) => unknown
}

/**
 * From now on the server's router is called at the end of a turn, for those that came in it, in the order in which they came; who has
 * left meanwhile is not routed. To be called while the router is the only listener.
 */
export function routeTogether(
  server: Server | HttpsServer,
  { isIdle, afterTurn = setImmediate }: ArrivalsOptions,
): void {
  const [router] = server.listeners('request')
  if (router === undefined) throw new Error('the server has no router')
  let arrived: Arrived[] = []
  const route = (): void => {
    const due = arrived
    arrived = []
    for (const one of due) if (!one[0].destroyed) Reflect.apply(router, server, one)
  }
  server.removeAllListeners('request')
  server.on('request', (request: IncomingMessage, response: ServerResponse) => {
    // Nobody overtakes those who wait.
    if (arrived.length === 0 && isIdle()) Reflect.apply(router, server, [request, response])
    else if (arrived.push([request, response]) === 1) afterTurn(route)
  })
}
