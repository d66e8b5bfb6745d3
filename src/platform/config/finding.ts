// One thing to say about a configuration file: where, what, and the way out. Loaders return all of them at once.

export type Finding = {
  readonly severity: 'error' | 'warning' | 'note'
  /** Stable, snake_case: `client_secret_empty`. Listed in docs/configuration.md. */
  readonly code: string
  /** Path of the key: `connectors[0].config.issuer`. */
  readonly path: string
  readonly message: string
  /** What to write instead. */
  readonly wayOut: string | undefined
  readonly place: Place | undefined
}

export type Place = { readonly file: string; readonly line: number; readonly column: number }

/** `sallyport.yaml:12:5: error client_secret_empty (clients[0].secretEnv): ... -> ...` */
export function formatFinding(finding: Finding): string {
  const place =
    finding.place === undefined ? '' : `${finding.place.file}:${finding.place.line}:${finding.place.column}: `
  const wayOut = finding.wayOut === undefined ? '' : `\n    -> ${finding.wayOut}`
  const path = finding.path === '' ? '' : ` (${finding.path})`
  return `${place}${finding.severity} ${finding.code}${path}: ${finding.message}${wayOut}`
}
