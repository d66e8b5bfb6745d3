// What is wrong with the issuers of an AuthenticationConfiguration over the network: whether a kube-apiserver would find
// their keys, could read them, and how often it would ask for them.
import type { AuthenticationConfiguration, JwtIssuer } from '#core/kube/authentication_configuration.ts'
import type { KubeProblem } from '#core/kube/kube_problem.ts'
import type { GoJoseKey } from '#core/kube/go_jose_keys.ts'
import { readIssuerDocuments } from './issuer_documents.ts'
import type { DocumentFailure, IssuerDeps, IssuerDocuments, IssuerKeys } from './issuer_documents.ts'

/** Every code of `checkIssuers`, for the documentation. */
export const ISSUER_CODES = [
  'issuer_unreachable',
  'issuer_not_looked_at',
  'issuer_document_status',
  'issuer_document_unreadable',
  'issuer_names_another',
  'issuer_without_jwks_uri',
  'issuer_redirects',
  'issuer_keys_over_http',
  'issuer_key_odd',
  'issuer_keys_empty',
  'issuer_keys_unusable',
  'issuer_key_secret',
  'issuer_keys_not_cached',
  'issuer_keys_cached_long',
] as const
type IssuerCode = (typeof ISSUER_CODES)[number]

/**
 * Asks every issuer at once, as the apiserver would, and says what it would stumble over. Errors of the network are
 * problems like any other; never rejects.
 */
export async function checkIssuers(
  config: AuthenticationConfiguration,
  deps: IssuerDeps,
): Promise<KubeProblem[]> {
  const all = await Promise.all(
    config.jwt.map(async ({ issuer }, index) =>
      problemsOf(issuer, index, await readIssuerDocuments(issuer, deps)),
    ),
  )
  return all.flat()
}

/** As `checkIssuers`, of documents that have been fetched already. */
function problemsOf(issuer: JwtIssuer, index: number, documents: IssuerDocuments): KubeProblem[] {
  const at = place(index)
  if (documents.kind === 'not discovered') return [failureProblem(documents.failure, issuer, index)]
  const { jwksUri, redirects, keys } = documents
  const problems: KubeProblem[] = []
  const moved = keys.ok ? [...redirects, ...keys.value.redirects] : redirects
  if (moved.length > 0)
    problems.push(
      at(
        'warning',
        'issuer_redirects',
        `${moved.length === 1 ? 'a redirect leads' : 'redirects lead'} to ${moved.map(hostOf).join(', ')}: whoever holds those names holds the keys`,
        'write the last address into issuer.discoveryURL, or let the issuer answer itself',
      ),
    )
  if ([jwksUri, ...moved].some((url) => url.startsWith('http:')))
    problems.push(
      at(
        'error',
        'issuer_keys_over_http',
        'the keys are fetched over plain http: whoever is on the way can put in a key of their own and be anybody',
        'let jwks_uri, and what it redirects to, begin with https',
      ),
    )
  if (!keys.ok) return [...problems, failureProblem(keys.denial, issuer, index)]
  return [...problems, ...keyProblems(keys.value, at)]
}

type Place = (
  severity: KubeProblem['severity'],
  code: IssuerCode,
  message: string,
  wayOut: string,
  key?: 'url' | 'discoveryURL' | 'certificateAuthority',
) => KubeProblem

function place(index: number): Place {
  return (severity, code, message, wayOut, key = 'url') => ({
    severity,
    code,
    keys: ['jwt', index, 'issuer', key],
    inExpression: undefined,
    message,
    wayOut,
  })
}

function failureProblem(failure: DocumentFailure, issuer: JwtIssuer, index: number): KubeProblem {
  const at = place(index)
  const what = `${failure.what === 'discovery' ? 'the discovery document' : 'the key set'} ${failure.url}`
  switch (failure.why) {
    case 'unreachable':
      return unreachable(failure, what, issuer, at)
    case 'not looked at':
      return at(
        'warning',
        'issuer_not_looked_at',
        `${what} was not fetched (${failure.detail}): the file does not name this host, and it is no public address. The apiserver would go there`,
        'look at it by hand, from where the apiserver runs',
      )
    case 'status':
      return at(
        'error',
        'issuer_document_status',
        `${what} answers with ${failure.detail}, and nothing but 200 counts`,
        'open the address without credentials; compare it with what the issuer documents',
      )
    case 'unreadable':
      return at(
        'error',
        'issuer_document_unreadable',
        `${what} cannot be read: ${failure.detail}`,
        'it must be one JSON object: look for a login page or a proxy that answers in its place',
      )
    case 'another issuer':
      return at(
        'error',
        'issuer_names_another',
        failure.detail,
        'write issuer.url as the document has it, letter by letter, slash at the end included; if the address must differ, name it in issuer.discoveryURL',
      )
    case 'no jwks_uri':
      return at(
        'error',
        'issuer_without_jwks_uri',
        `${what} has no jwks_uri: every token gets 401 "authenticator not initialized"`,
        'let the issuer publish its keys, or ask another discovery document',
      )
    case 'odd key':
      return oddKey(failure, at)
  }
}

function unreachable(failure: DocumentFailure, what: string, issuer: JwtIssuer, at: Place): KubeProblem {
  const isTrust = /CERT|SELF_SIGNED|UNABLE_TO_VERIFY|ALTNAME/.test(failure.detail)
  const wayOut = isTrust
    ? issuer.certificateAuthority === ''
      ? 'put the CA of the issuer into issuer.certificateAuthority; the roots of the system are all that counts now'
      : 'issuer.certificateAuthority is the only CA that counts: it must be the one that signed, and the certificate must hold the host of the address'
    : 'make the address reachable from the apiserver (DNS, firewall, proxy), or name another with issuer.discoveryURL'
  return at(
    'error',
    'issuer_unreachable',
    `${what} cannot be fetched (${failure.detail}): until it can, every token of this issuer gets 401, and no change of the file is taken up for any issuer`,
    wayOut,
    isTrust ? 'certificateAuthority' : issuer.discoveryURL === undefined ? 'url' : 'discoveryURL',
  )
}

function oddKey({ odd, url }: DocumentFailure, at: Place): KubeProblem {
  const kid = odd?.kid === undefined ? '' : ` (kid ${odd.kid})`
  return at(
    'error',
    'issuer_key_odd',
    `key ${(odd?.index ?? 0) + 1}${kid} of ${url} makes the whole set unreadable: ${odd?.message ?? ''}. Keys that an apiserver holds go on working until it restarts, reloads or the next rotation; then every token is refused`,
    'let the issuer publish, for Kubernetes, only RSA and EC (P-256, P-384, P-521) keys with kty, crv, x, y, n, e, kid, alg and use',
  )
}

/** Up to and including 30 s the apiserver takes a key set for expired as soon as it has it. */
const SKEW_SECONDS = 30
const LONG_SECONDS = 3600

function keyProblems({ keys, freshness }: IssuerKeys, at: Place): KubeProblem[] {
  const problems: KubeProblem[] = []
  if (keys.length === 0)
    problems.push(
      at(
        'error',
        'issuer_keys_empty',
        'the key set is empty: no token can be verified',
        'start the issuer, or let it make a signing key',
      ),
    )
  else if (!keys.some(canVerify))
    problems.push(
      at(
        'error',
        'issuer_keys_unusable',
        `none of its ${keys.length} keys can verify what kube-apiserver takes (RS, ES and PS with 256, 384, 512)`,
        'let the issuer sign with ES256 or RS256: EdDSA is not known to kube-apiserver',
      ),
    )
  if (keys.some(({ kind }) => kind === 'secret'))
    problems.push(
      at(
        'error',
        'issuer_key_secret',
        'the key set publishes a private or symmetric key: whoever reads it can be anybody',
        'revoke that key now, and publish public parts only',
      ),
    )
  const seconds = Math.floor(freshness.seconds)
  if (seconds <= SKEW_SECONDS)
    problems.push(
      at(
        'warning',
        'issuer_keys_not_cached',
        `the keys are fresh for ${seconds} s (${freshness.from}): every token with an unknown kid, anybody's, makes each apiserver fetch them again`,
        'let the issuer send Cache-Control: public, max-age=90',
      ),
    )
  if (seconds > LONG_SECONDS)
    problems.push(
      at(
        'warning',
        'issuer_keys_cached_long',
        `the keys are fresh for ${seconds} s (${freshness.from}): a new key is refused, and a revoked one trusted, for up to ${seconds - SKEW_SECONDS} s`,
        freshness.from === 'Last-Modified'
          ? 'without a max-age a tenth of the age of Last-Modified counts: let the issuer send Cache-Control: public, max-age=90'
          : 'let the issuer send Cache-Control: public, max-age=90',
      ),
    )
  return problems
}

function canVerify(key: GoJoseKey): boolean {
  return key.kind === 'public' && key.kty !== 'OKP'
}

function hostOf(url: string): string {
  return URL.canParse(url) ? new URL(url).host : url
}
