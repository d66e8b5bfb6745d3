/** The signing keys cannot be used as they are: at start the broker refuses, later it goes on with those it holds. */
export class KeyFailure extends Error {
  readonly code = 'SALLYPORT_KEYS'
  constructor(message: string, options?: { cause?: unknown }) {
    super(message, options)
    this.name = 'KeyFailure'
  }
}
