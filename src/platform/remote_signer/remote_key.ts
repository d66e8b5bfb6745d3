// A key whose private half a signer elsewhere holds, as the ring and the grants know keys.
import type { KeyObject } from 'node:crypto'
import type { SigningAlgorithm } from '#core/key_rotation.ts'
import type { SigningKey } from '../keys/signer.ts'
import type { GuardedSigner } from './guarded_signer.ts'

export type RemoteKey = {
  readonly kid: string
  readonly algorithm: SigningAlgorithm
  /** What the signer calls it. */
  readonly key: string
  readonly publicKey: KeyObject
}

export function createRemoteKey(
  { kid, algorithm, key, publicKey }: RemoteKey,
  signer: GuardedSigner,
): SigningKey {
  return { kid, algorithm, sign: (input) => signer.sign({ key, algorithm, input }, { kid, publicKey }) }
}
