// Where the server's certificate comes from: files, or the webhook's own keeping (self_managed.ts). The listener asks for what is
// valid now and is told of a change; it never reads a file or a Secret itself.

export type ServingCertificate = {
  /** PEM, the leaf first. */
  readonly cert: string
  /** PEM. Never logged. */
  readonly key: string
  /** End of the leaf: for the metric. */
  readonly notAfterSeconds: number
}

export type CertificateSource = {
  /** What to serve now; there is always something to listen with. */
  current(): ServingCertificate
  /** Called after each change of `current`; the answer ends that. */
  onChange(changed: () => void): () => void
  /** One line for /readyz: why the apiserver would not trust what is served. `undefined`: nothing is known against it. */
  missing(): string | undefined
  close(): void
}
