// Whether an issuer's keys, as kube-apiserver holds them, verify a token. go-oidc v2.5 `remoteKeySet.verify`: every key
// of the token's kid is tried, all of them when it has none, and neither `alg` nor `use` of a key is looked at.
import type { SignatureAnswer } from '#core/kube/authenticate.ts'
import { signatureWayOut } from '#core/kube/authentication_way_out.ts'
import type { BearerToken } from '#core/kube/bearer_token.ts'
import { readGoJoseKeySet } from '#core/kube/go_jose_keys.ts'
import type { GoJoseKey } from '#core/kube/go_jose_keys.ts'
import { algorithmOf } from '#core/jwt/algorithms.ts'
import { inPlacePool } from '#platform/crypto_pool.ts'
import { verifySignature } from '#platform/jws_signature.ts'
import { keySetFailureText } from './issuer_documents.ts'
import type { DocumentFailure, IssuerDocuments } from './issuer_documents.ts'

/** What the documents of the issuer say of the token's signature. `from`: for people, where the keys came from. */
export async function signatureAnswer(
  token: BearerToken,
  documents: IssuerDocuments,
  from: string,
): Promise<SignatureAnswer> {
  if (documents.kind === 'not discovered') return notInitialized(documents.failure)
  const { keys } = documents
  if (keys.ok) return verifyWith(token, keys.value.keys, from)
  if (keys.denial.why === 'not looked at')
    return {
      kind: 'unchecked',
      why: `the keys at ${keys.denial.url} were not fetched (${keys.denial.detail})`,
    }
  return keysFailure(keys.denial)
}

/** The same for a JWKS that was handed over as a file. */
export async function signatureByFile(
  token: BearerToken,
  body: Buffer,
  file: string,
): Promise<SignatureAnswer> {
  const keys = readGoJoseKeySet(body)
  if (keys.ok) return verifyWith(token, keys.value, file)
  const reason = keySetFailureText(keys.denial, 'application/json')
  const isKeySet = keys.denial.index !== undefined
  const wayOut = isKeySet
    ? ODD_KEY_WAY_OUT
    : `${file} is no key set: save what the issuer answers at its jwks_uri, {"keys": [...]}`
  return { kind: 'fails', code: 'keys_not_readable', reason, wayOut }
}

const ODD_KEY_WAY_OUT =
  'one key of the set is of a kind that kube-apiserver cannot read, and spoils all the others: let the issuer publish RSA and EC keys only'

function notInitialized({ why, url, detail }: DocumentFailure): SignatureAnswer {
  if (why === 'not looked at') return { kind: 'unchecked', why: `${url} was not fetched (${detail})` }
  return {
    kind: 'not initialized',
    detail: `${url}: ${detail}`,
    wayOut: `the apiserver waits for the discovery document ${url} and refuses everything until it has it (${detail}): sallyport kube lint --issuers says more`,
  }
}

function keysFailure({ why, url, detail }: DocumentFailure): SignatureAnswer {
  if (why === 'odd key' || why === 'unreadable')
    return { kind: 'fails', code: 'keys_not_readable', reason: detail, wayOut: ODD_KEY_WAY_OUT }
  return {
    kind: 'fails',
    code: 'keys_not_readable',
    reason: `fetching keys oidc: get keys failed ${detail}`,
    wayOut: `the keys at ${url} cannot be fetched (${detail}): an apiserver that holds the key goes on, one that does not refuses`,
  }
}

async function verifyWith(
  token: BearerToken,
  keys: readonly GoJoseKey[],
  from: string,
): Promise<SignatureAnswer> {
  if (!token.header.ok) return { kind: 'unchecked', why: 'the header cannot be read' }
  const { alg, kid, isCriticalKnown } = token.header.value
  const named = keys.filter((key) => kid === '' || key.kid === kid)
  for (const key of isCriticalKnown ? named : []) {
    if (await holds(token, key, alg))
      return { kind: 'holds', by: `by key ${key.kid || 'without kid'} of ${from}` }
  }
  const crit = isCriticalKnown ? undefined : 'its header names critical extensions (crit) that nobody knows'
  return {
    kind: 'fails',
    code: 'signature_not_verified',
    reason: 'failed to verify id token signature',
    wayOut:
      crit ??
      signatureWayOut(
        kid,
        keys.map((key) => key.kid),
      ),
  }
}

async function holds(
  { signingInput, signature }: BearerToken,
  key: GoJoseKey,
  alg: string,
): Promise<boolean> {
  const algorithm = algorithmOf(alg)
  if (key.kind !== 'public' || algorithm === undefined) return false
  const { kid, kty, crv, key: publicKey } = key
  const row = { kid, kty, crv, alg: undefined, key: publicKey }
  return Boolean(await verifySignature(algorithm, row, { signingInput, signature }, inPlacePool))
}
