// One finding about a Dex configuration: what was changed in a file that loads, and what is said of it.
import type { DexCode } from '../../../src/broker/config/dex/dex_codes.ts'
import { dexFixture } from '../../support/dex_config.ts'
import type { World } from '../../support/dex_config.ts'

export const BASE = dexFixture('seed_002.yaml')
export const MEMORY = 'storage:\n  type: memory\n'
export const SQLITE = 'storage:\n  type: sqlite3\n  config:\n    file: /var/dex/dex.db\n'
export const CLIENTS = 'staticClients:\n'
export const OWN_TOKENS = { DEX_CLIENT_CREDENTIAL_GRANT_ENABLED_BY_DEFAULT: 'true' }
export const CI = '  - id: dex-client-ci-token-exchange@d8-user-authn\n    name: ci-token-exchange\n'
export const GITLAB = '      issuer: https://gitlab.example.test\n'

export type Case = {
  readonly code: DexCode
  readonly says: string
  readonly from: string
  readonly to: string
  /** Text of the changed file that the finding points at. */
  readonly at: string
  readonly severity: 'error' | 'warning' | 'note'
  readonly wayOut?: RegExp
  readonly message?: RegExp
  readonly world?: World
  /** The base has the password database, too. */
  readonly withPasswords?: boolean
}

const finding =
  (severity: Case['severity']) =>
  (code: DexCode, says: string, from: string, to: string, at: string, more: Partial<Case> = {}): Case => ({
    code,
    says,
    from,
    to,
    at,
    severity,
    ...more,
  })
export const error = finding('error')
export const warning = finding('warning')
export const note = finding('note')

/** The same file as values of the chart. */
export function chart(): string {
  const lines = BASE.replace('telemetry:\n  http: 127.0.0.1:5558\n', '')
    .split('\n')
    .map((line) => (line === '' ? '' : `  ${line}`))
  return `config:\n${lines.join('\n')}`
}
