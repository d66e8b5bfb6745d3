// Signs JWS inputs with one private key. Two facts of Node 24 shape it: a bare KeyObject signs twice as fast as
// `{ key, dsaEncoding }`, so ES256's DER is turned into the two numbers of JWS here; and a hop to the thread pool costs
// more than an ES256 signature, so a signer with nothing else to do signs in place.
import { sign as signNow } from 'node:crypto'
import type { KeyObject } from 'node:crypto'
import type { SigningAlgorithm } from '#core/key_rotation.ts'

export type SigningKey = {
  readonly kid: string
  readonly algorithm: SigningAlgorithm
  /** The JWS signature of an ASCII signing input: RFC 7518 §3.3 (RS256) or §3.4 (ES256, R and S). */
  sign(input: string): Promise<Buffer>
}

/**
 * Whether a signature may be made on the event loop. Shared by all keys of a process: what counts is whether anybody
 * else waits.
 */
export interface SigningGate {
  /** Whether to sign here and now. Call it once for each signature. */
  tryInPlace(): boolean
  /** Counts a signature on its way through the pool, until the returned function is called. */
  enterPool(): () => void
}

/** One request asks for at most two signatures (access and ID token); more in one turn are several requests. */
const idlePerTurn = 2

/** So many signatures in a row have to find the signer idle before it signs in place again. */
const calmAfter = 32

/**
 * Idle means: nothing is in the pool, and no turn of the event loop asked for more than one request's signatures, for
 * the last `calmAfter` of them. Without that memory a loaded server would sign the first request of each turn in
 * place, while the others wait for it: measured at 32 connections, that costs 40 % of the throughput.
 * `afterTurn` runs a callback once the present turn is over (`setImmediate`).
 */
export function createSigningGate(afterTurn: (callback: () => void) => void = setImmediate): SigningGate {
  let inPool = 0
  let thisTurn = 0
  let calm = calmAfter
  return {
    tryInPlace() {
      if (thisTurn === 0) {
        afterTurn(() => {
          thisTurn = 0
        })
      }
      thisTurn += 1
      calm = inPool > 0 || thisTurn > idlePerTurn ? 0 : calm + 1
      return calm > calmAfter
    },
    enterPool() {
      inPool += 1
      return () => {
        inPool -= 1
      }
    },
  }
}

export function createSigner(
  key: { readonly kid: string; readonly algorithm: SigningAlgorithm; readonly privateKey: KeyObject },
  gate: SigningGate,
): SigningKey {
  const { kid, algorithm, privateKey } = key
  if (algorithm === 'RS256') {
    // Ten times the work of ES256: always to the pool, where it costs one hop in five and holds up nobody.
    return { kid, algorithm, sign: async (input) => signInPool(bytesOf(input), privateKey, gate) }
  }
  return {
    kid,
    algorithm,
    async sign(input) {
      if (gate.tryInPlace()) return es256FromDer(signNow('sha256', bytesOf(input), privateKey))
      return es256FromDer(await signInPool(bytesOf(input), privateKey, gate))
    },
  }
}

function bytesOf(signingInput: string): Buffer {
  return Buffer.from(signingInput, 'latin1')
}

function signInPool(bytes: Buffer, privateKey: KeyObject, gate: SigningGate): Promise<Buffer> {
  const leave = gate.enterPool()
  return new Promise((resolve, reject) => {
    signNow('sha256', bytes, privateKey, (error, signature) => {
      leave()
      if (error === null) resolve(signature)
      else reject(error)
    })
  })
}

/** ECDSA-Sig-Value (RFC 3279 §2.2.3) of a P-256 signature to R and S, 32 bytes each (RFC 7518 §3.4). */
export function es256FromDer(der: Buffer): Buffer {
  const rLength = der[3] ?? 0
  const sStart = 6 + rLength
  const sLength = der[5 + rLength] ?? 0
  // A P-256 signature is at most 72 bytes, so every length fits in one byte.
  if (der[0] !== 0x30 || der[2] !== 0x02 || der[4 + rLength] !== 0x02 || sStart + sLength !== der.length) {
    throw new TypeError('not a DER signature of P-256')
  }
  const out = Buffer.alloc(64)
  copyNumber(der, 4, rLength, out, 32)
  copyNumber(der, sStart, sLength, out, 64)
  return out
}

// DER numbers have a leading zero when the top bit is set, and none when they are short.
function copyNumber(der: Buffer, start: number, length: number, out: Buffer, end: number): void {
  const from = length > 32 ? start + length - 32 : start
  der.copy(out, end - Math.min(length, 32), from, start + length)
}
