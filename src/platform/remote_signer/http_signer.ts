// A signer behind HTTP, as small as a cloud's key service can be wrapped (docs/remote-signing.md has the protocol):
//   GET  <url>/keys/<key>       -> {"algorithm": "ES256" | "RS256", "jwk": {...}}
//   POST <url>/keys/<key>/sign  {"algorithm": "ES256", "digest": "<SHA-256, base64url>"} -> {"signature": "<base64url>"}
// An ES256 signature comes as DER, as AWS KMS and Google Cloud KMS write it. What is signed never leaves, its hash does.
import { hash } from 'node:crypto'
import { BEARER_TOKEN } from '#core/oauth/credentials.ts'
import { publicMembers } from '#core/public_jwk.ts'
import type { PublicJwk } from '#core/public_jwk.ts'
import { createBoundedFetch } from '../egress/bounded_fetch.ts'
import type { Fetched, FetchFailure } from '../egress/bounded_fetch.ts'
import { es256FromDer } from '../keys/es256_der.ts'
import { createCredentialFile } from './credential_file.ts'
import { SignerFailure } from './remote_signer.ts'
import type { RemoteSigner, SignOrder } from './remote_signer.ts'

export type HttpSignerConfig = {
  /** Base of the paths above; https, or http on the loopback. */
  readonly url: string
  readonly tokenFile: string
  /** PEM; `undefined`: the system's roots. With it those are not trusted. */
  readonly caPem: string | undefined
  readonly timeoutMs: number
}

/** A signature of RSA 4096 is 700 characters long, its public key as long. */
const MAX_BODY_BYTES = 16 * 1024
const BASE64URL = /^[A-Za-z0-9_-]+$/

export function createHttpSigner({ url, tokenFile, caPem, timeoutMs }: HttpSignerConfig): RemoteSigner {
  const { hostname, protocol } = new URL(url)
  const fetch = createBoundedFetch({
    rules: { hosts: new Map([[hostname, { reach: 'private', http: protocol === 'http:' }]]) },
    tls: { caPem, withSystemRoots: caPem === undefined, insecureSkipVerify: false },
    limits: { totalMs: timeoutMs, maxBodyBytes: MAX_BODY_BYTES },
  })
  const token = createCredentialFile(tokenFile, 'bearer token', BEARER_TOKEN)
  const base = url.replace(/\/$/, '')
  const placeOf = (key: string): string => `${base}/keys/${encodeURIComponent(key)}`
  const authorized = async () => ({ headers: { authorization: `Bearer ${await token.read()}` } })
  return {
    async publicKey(key) {
      const answer = readAnswer(await fetch.get(placeOf(key), await authorized()))
      return publicKeyOf(answer, key)
    },
    async sign({ key, algorithm, input }) {
      const digest = hash('sha256', input, 'base64url')
      const body = JSON.stringify({ algorithm, digest })
      const answer = readAnswer(await fetch.post(`${placeOf(key)}/sign`, body, await authorized()))
      return signatureOf(answer, algorithm)
    },
    close: () => fetch.close(),
  }
}

type Json = Readonly<Record<string, unknown>>

/** A 200 with a JSON object in it. */
function readAnswer(answer: Fetched | FetchFailure): Json {
  if (!answer.ok) {
    const why = answer.kind === 'timeout' ? 'timeout' : answer.kind === 'network' ? 'unreachable' : 'refused'
    throw new SignerFailure(why, `the signer: ${answer.detail}`)
  }
  // Its words are not repeated: they are the service's, and could hold what it was sent.
  if (answer.status === 401 || answer.status === 403)
    throw new SignerFailure('credential', `the signer refuses the bearer token: status ${answer.status}`)
  if (answer.status !== 200) throw new SignerFailure('refused', `the signer: status ${answer.status}`)
  const json = parseObject(answer.body)
  if (json === undefined) throw new SignerFailure('answer_invalid', 'the signer answers no JSON object')
  return json
}

function publicKeyOf({ algorithm, jwk }: Json, key: string): PublicJwk {
  const members = isObject(jwk) ? publicMembers(jwk) : undefined
  if (members === undefined)
    throw new SignerFailure(
      'answer_invalid',
      `the signer's answer about ${key} holds no public EC or RSA key`,
    )
  if (algorithm !== (members.kty === 'EC' ? 'ES256' : 'RS256'))
    throw new SignerFailure('key_unfit', `the signer says that ${key} is for neither ES256 nor RS256`)
  return members
}

function signatureOf({ signature }: Json, algorithm: SignOrder['algorithm']): Buffer {
  if (typeof signature !== 'string' || !BASE64URL.test(signature))
    throw new SignerFailure('answer_invalid', "the signer's answer holds no signature in base64url")
  const bytes = Buffer.from(signature, 'base64url')
  if (algorithm === 'RS256') return bytes
  try {
    return es256FromDer(bytes)
  } catch (cause) {
    throw new SignerFailure('answer_invalid', "the signer's ES256 signature is not DER", { cause })
  }
}

function parseObject(body: Buffer): Json | undefined {
  try {
    const json: unknown = JSON.parse(body.toString('utf8'))
    return isObject(json) ? json : undefined
  } catch {
    // Said by the caller.
    return undefined
  }
}

function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
