// A file of a command that is no good. In a file of its own, since who only names the failure shall not load what reads.

/** A file that cannot be read, is too long or may not be written to; the message names the file and never quotes it. */
export class InputFailure extends Error {
  readonly code = 'SALLYPORT_INPUT'
  constructor(message: string, options?: { cause?: unknown }) {
    super(message, options)
    this.name = 'InputFailure'
  }
}
