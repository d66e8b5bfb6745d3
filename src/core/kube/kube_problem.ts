// What can be wrong with an AuthenticationConfiguration: `refused` is what kube-apiserver itself does not load,
// `error` and `warning` are what it loads and you would regret.

export type KubeProblem = {
  readonly severity: 'refused' | 'error' | 'warning'
  /** Stable, snake_case: `issuer_url_not_https`. Listed in docs/kube-lint.md. */
  readonly code: string
  /** Where it stands in the document: `['jwt', 0, 'issuer', 'url']`. */
  readonly keys: readonly (string | number)[]
  /** Of an expression: where in its text, both from 1, columns in UTF-16 units. */
  readonly inExpression: { readonly line: number; readonly column: number } | undefined
  readonly message: string
  /** What to write instead. */
  readonly wayOut: string
}
