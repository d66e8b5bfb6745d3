// One finding: what was changed in the valid file, where the finding points and what it advises.
import type { NativeCode } from '../../../src/broker/config/finding_codes.ts'
import { PUBLIC_JWK } from '../../support/native_config.ts'

export type Case = {
  readonly code: NativeCode
  readonly says: string
  /** Replaced in the valid file; `from` stands in it exactly once. */
  readonly from: string
  readonly to: string
  /** Text in the changed file that the place points at. */
  readonly at: string
  readonly wayOut?: RegExp
  readonly severity?: 'error' | 'warning' | 'note'
  readonly files?: Readonly<Record<string, string>>
  readonly env?: Readonly<Record<string, string | undefined>>
  readonly modes?: Readonly<Record<string, number>>
  /** A second change, where the first alone would mean something else. */
  readonly rename?: readonly [string, string]
}

export const withFile = (path: string, text: string): Readonly<Record<string, string>> => ({
  [`/etc/sallyport/${path}`]: text,
})
export const privateJwks = JSON.stringify({ keys: [{ ...PUBLIC_JWK, d: 'secret' }] })
