// An HTTP call without an answer. In a file of its own, since who only names the failure shall not load TLS.

export class HttpFailure extends Error {
  readonly code: string
  constructor(code: string, message: string, options?: { cause?: unknown }) {
    super(message, options)
    this.name = 'HttpFailure'
    this.code = code
  }
}
