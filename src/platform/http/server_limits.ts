// What a connection may cost before it has said anything worth answering: time for a request, and bytes of its head. How many
// there may be: connection_gate.ts.

export type ServerTimeouts = {
  /** For a whole request, from its first byte, or the connection's, to its last. */
  readonly requestMs: number
  /** How often it is looked who exceeds that. */
  readonly checkMs: number
}

/** Node's own default, said so that no NODE_OPTIONS makes it larger: 10,000 heads that do not end are 160 MB. */
const MAX_HEAD_BYTES = 16 * 1024

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
    maxHeaderSize: MAX_HEAD_BYTES,
    headersTimeout: requestMs,
    requestTimeout: requestMs,
  }
}
