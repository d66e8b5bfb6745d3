// What a connection may cost before it has said anything worth answering: time for a request, and how many there may be.

export type ServerTimeouts = {
  /** For a whole request, from its first byte, or the connection's, to its last. */
  readonly requestMs: number
  /** How often it is looked who exceeds that. */
  readonly checkMs: number
}

export const SERVER_TIMEOUTS: ServerTimeouts = { requestMs: 10_000, checkMs: 1000 }

/** More than any fleet needs behind a broker that answers in milliseconds; what they hold at most fits into memory. */
export const MAX_CONNECTIONS = 10_000

/**
 * Node looks at slow requests each 30 s unless told otherwise, and of two timeouts takes the smaller for the head and the
 * larger for the rest: so all three are said.
 */
export function serverOptions({ requestMs, checkMs }: ServerTimeouts) {
  return {
    connectionsCheckingInterval: checkMs,
    headersTimeout: requestMs,
    requestTimeout: requestMs,
  }
}
