// Keys of a signer elsewhere in the ring: their public half is stored and published as that of any key, and where the
// private one would stand is `elsewhere:<kind>:<what the signer calls it>`.
import { createPublicKey } from 'node:crypto'
import type { KeyObject } from 'node:crypto'
import { elsewherePrefix, isElsewhere } from '#core/key_rotation.ts'
import type { KeyOrder, RotationRules, SigningAlgorithm } from '#core/key_rotation.ts'
import { jwkThumbprint } from '#core/public_jwk.ts'
import type { PublicJwk } from '#core/public_jwk.ts'
import { KeyFailure } from '../keys/key_failure.ts'
import type { StoredKey } from '../keys/ring_state.ts'
import type { SigningKey } from '../keys/signer.ts'
import type { GuardedSigner } from './guarded_signer.ts'
import { createRemoteKey } from './remote_key.ts'
import { SignerFailure } from './remote_signer.ts'

type SignerKind = 'pkcs11' | 'http'

export type RemoteKeys = {
  readonly kind: SignerKind
  /** The key that signs, or that follows the one which does; `undefined`: keys are made here again. */
  readonly key: string | undefined
  /** `undefined`: nothing is signed here (a command that only looks at the ring or takes a key out of it). */
  readonly signer: GuardedSigner | undefined
}

/** The key that the configuration names, as the signer has it. */
export type NamedKey = {
  readonly kid: string
  readonly jwk: PublicJwk
  readonly algorithm: SigningAlgorithm
  /** What stands in the ring for its private half. */
  readonly reference: string
}

/** Asks the signer for the public half and for one signature, before anybody relies on it. Rejects with KeyFailure. */
export async function readNamedKey(
  remote: RemoteKeys | undefined,
  algorithm: SigningAlgorithm,
): Promise<NamedKey | undefined> {
  if (remote?.key === undefined || remote.signer === undefined) return undefined
  const { key, kind, signer } = remote
  try {
    const jwk = await signer.publicKey(key)
    if ((jwk.kty === 'EC') !== (algorithm === 'ES256'))
      throw new KeyFailure(
        `keys.signer.key ${key} is an ${jwk.kty} key: it does not fit keys.algorithm ${algorithm}`,
      )
    const kid = jwkThumbprint(jwk)
    const publicKey = createPublicKey({ key: { ...jwk }, format: 'jwk' })
    // No token: there is no dot in it.
    await signer.sign({ key, algorithm, input: 'sallyport looks whether this key signs' }, { kid, publicKey })
    return { kid, jwk, algorithm, reference: `${elsewherePrefix}${kind}:${key}` }
  } catch (error) {
    if (!(error instanceof SignerFailure)) throw error
    throw new KeyFailure(`keys.signer: ${error.message}`, { cause: error })
  }
}

/** What the ring's arithmetic has to know. `wasThere`: whether a key has left the ring before. */
export async function elsewhereRule(
  remote: RemoteKeys | undefined,
  named: NamedKey | undefined,
  stored: readonly StoredKey[],
  wasThere: (kid: string) => Promise<boolean>,
): Promise<RotationRules['elsewhere']> {
  if (remote === undefined) return undefined
  if (remote.key === undefined) return { kind: 'leave' }
  if (named === undefined) return { kind: 'named', kid: '', mayJoin: false }
  const { kid } = named
  const mayJoin = stored.some((key) => key.kid === kid) || !(await wasThere(kid))
  return { kind: 'named', kid, mayJoin }
}

/** The named key as an entry of the ring. Throws a KeyFailure where it may not, or not again, be one. */
export function joinRing(
  order: KeyOrder,
  named: NamedKey | undefined,
  rule: RotationRules['elsewhere'],
  stored: readonly StoredKey[],
): StoredKey {
  const mayJoin = rule?.kind === 'named' && rule.mayJoin
  if (named === undefined || !mayJoin || stored.some(({ kid }) => kid === named.kid))
    throw new KeyFailure(
      'no other key could sign: name another one under keys.signer.key and restart a broker, which publishes it',
    )
  const { kid, jwk, algorithm, reference } = named
  return { ...order, kid, jwk, algorithm, privateKey: reference }
}

/** Kids of keys elsewhere that signed until now: they left the ring, or are there to verify with alone. */
export function leftBehind(before: readonly StoredKey[], after: readonly StoredKey[]): readonly string[] {
  return before
    .filter(isElsewhere)
    .filter(({ kid }) => !after.some((key) => key.kid === kid && isElsewhere(key)))
    .map(({ kid }) => kid)
}

/** Where the store remembers that a key elsewhere has signed its last: for good, for its name may stay configured. */
export function goneKeyOf(kid: string): string {
  return `keys/gone/${kid}`
}

export type OpenedElsewhere = {
  readonly signer: SigningKey
  readonly refusal: () => SignerFailure | undefined
}

/** A key that signs where its signer is configured, and says so where it is not. `undefined` for keys of our own. */
export function openElsewhere(
  stored: StoredKey,
  publicKey: KeyObject,
  remote: RemoteKeys | undefined,
): OpenedElsewhere | undefined {
  const { kid, algorithm, privateKey = '' } = stored
  if (!isElsewhere(stored)) return undefined
  const { signer } = remote ?? {}
  const own = remote === undefined ? undefined : `${elsewherePrefix}${remote.kind}:`
  if (signer !== undefined && own !== undefined && privateKey.startsWith(own)) {
    const key = privateKey.slice(own.length)
    return {
      signer: createRemoteKey({ kid, algorithm, key, publicKey }, signer),
      refusal: () => signer.refusal(),
    }
  }
  const place = privateKey.slice(elsewherePrefix.length)
  const failure = new SignerFailure(
    'unreachable',
    `key ${kid} lies with a signer elsewhere (${place}) that is not configured here: see keys.signer`,
  )
  return {
    signer: { kid, algorithm, sign: () => Promise.reject(failure) },
    refusal: () => failure,
  }
}
