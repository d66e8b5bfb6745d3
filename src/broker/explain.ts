// Why a token gets what it gets: the grants' own functions, run with a store that writes nothing and a signer that signs
// nothing. For operators; a caller of the token endpoint never learns this.
import { STEPS, stepOf } from '#core/audit_event.ts'
import type { DecisionFacts, Step } from '#core/audit_event.ts'
import type { JsonValue } from '#core/claims.ts'
import type { Client } from '#core/client.ts'
import type { Denial } from '#core/denial.ts'
import { checkIssuer } from '#core/jwt/claim_rules.ts'
import { tokenHash } from '#core/jwt/compact.ts'
import type { ParsedToken } from '#core/jwt/compact.ts'
import { CLIENT_CREDENTIALS, TOKEN_EXCHANGE } from '#core/oauth/names.ts'
import { deny, ok } from '#core/result.ts'
import type { Result } from '#core/result.ts'
import { tokenClaims } from '#core/token/claims.ts'
import { createSpareClaims } from '#platform/store/spare_claims.ts'
import { createSecretCheck } from '#platform/secret_check.ts'
import { checkSignedClaims } from '#platform/subject_verifier.ts'
import type { SubjectVerifier } from '#platform/subject_verifier.ts'
import type { Clock } from '#core/clock.ts'
import type { BrokerConfig } from './config/broker_config.ts'
import { grantClientCredentials } from './grants/client_credentials.ts'
import type { TokenRequest } from './grants/request.ts'
import { exchangeToken } from './grants/token_exchange.ts'
import { buildGrantDeps, secretHashes } from './live_broker.ts'
import type { GrantParts } from './live_broker.ts'
import { contentsOf } from './tokens/issue.ts'
import { servedGrant } from './wire/token_endpoint.ts'

export type ExplainRequest = Omit<TokenRequest, 'credentials' | 'network'> & {
  readonly client: string
  /** What the client showed; `undefined` takes it as authenticated. */
  readonly clientSecret: string | undefined
}

type ExplainedStep = {
  readonly step: Step
  readonly outcome: 'yes' | 'no' | 'not reached'
}

export type Explanation = {
  readonly steps: readonly ExplainedStep[]
  readonly facts: DecisionFacts
  /** The first no, with its evidence; `undefined` when the answer is yes. */
  readonly denial: Denial | undefined
  /** What the job's token lacks that stands for its client; only when that is why the client is refused. */
  readonly proof: ClientProof | undefined
  /** Claims of the token that would be issued. */
  readonly claims: Readonly<Record<string, JsonValue | undefined>> | undefined
}

export type ClientProof = {
  readonly connector: string
  readonly policy: string
  readonly steps: readonly ExplainedStep[]
  /** The check that failed, where the audit event says `client_assertion_invalid`. */
  readonly denial: Denial
}

/** The steps of `authenticateClient` with the token of a `federated_jwt` client, in its order. */
const PROOF_STEPS = ['connector', 'subject', 'policy'] as const satisfies readonly Step[]

/** Stands for the client's secret, which an operator does not have: explain takes the client as authenticated. */
const TAKEN_AS_GIVEN = 'taken-as-given'

/**
 * Explains one request. `parts` may hold a verifier that asks the issuer for its keys, or `claimsVerifier` for a bare
 * claim set. `parts.levers` is what counts as switched off. The store is not asked: a token that was used before is
 * explained as if it were new.
 */
export async function explain(
  request: ExplainRequest,
  config: BrokerConfig,
  parts: Omit<GrantParts, 'store' | 'spare'>,
  parse: (token: string) => Result<ParsedToken>,
): Promise<Explanation> {
  const facts: DecisionFacts = {
    grant: request.grantType === TOKEN_EXCHANGE ? 'token-exchange' : request.grantType,
  }
  const served = servedGrant(request.grantType, new Set(config.grants))
  if (!served.ok) return { ...refused(served.denial), facts, proof: undefined, claims: undefined }
  let claims: Explanation['claims']
  const store = { claimOnce: async () => true, claimAllOnce: async () => true }
  const spare = createSpareClaims(parts)
  const grants = buildGrantDeps(config, { ...parts, store, spare }, async (order) => {
    const issuing = { issuer: config.issuer, defaultTtlSeconds: config.tokens.ttlSeconds, ...parts }
    claims = tokenClaims(contentsOf(order, issuing))
    return ok({ accessToken: '', issuedTokenType: undefined, expiresInSeconds: 0, idToken: undefined })
  })
  const deps = {
    ...grants,
    parse,
    atSigner: <T>(work: () => Promise<Result<T>>) => work(),
    secrets:
      request.clientSecret === undefined
        ? { verify: async () => true, dummy: async () => {} }
        : createSecretCheck({ ...parts, clients: secretHashes(config) }),
    checkAssertion: async () => ok(undefined),
  }
  const client = grants.clients.get(request.client)
  const credentials = credentialsOf(client, request)
  const run = request.grantType === CLIENT_CREDENTIALS ? grantClientCredentials : exchangeToken
  const result = await run({ ...request, credentials, network: '' }, deps, facts)
  if (!result.ok) return { ...refused(result.denial), facts, proof: proofOf(result.denial, client), claims }
  return { steps: stepsUntil(STEPS, undefined), facts, denial: undefined, proof: undefined, claims }
}

/** A verifier for claim sets without a signature: every rule but header, key and signature. */
export function claimsVerifier(clock: Clock): SubjectVerifier {
  return {
    async verify(parsed, connector) {
      const { claims, signingInput } = parsed
      const denial =
        checkIssuer(claims, connector.issuer) ?? checkSignedClaims(claims, connector, clock() / 1000)
      return denial === undefined ? ok({ claims, hash: tokenHash(signingInput), kid: '' }) : deny(denial)
    },
  }
}

function credentialsOf(client: Client | undefined, request: ExplainRequest): TokenRequest['credentials'] {
  const { clientSecret } = request
  if (clientSecret !== undefined) return { kind: 'secret', clientId: request.client, secret: clientSecret }
  switch (client?.auth.method) {
    case 'federated_jwt':
    case 'private_key_jwt':
      return { kind: 'assertion', clientId: request.client, assertion: request.subjectToken }
    case 'none':
      return { kind: 'secret', clientId: request.client, secret: '' }
    case 'client_secret':
    case undefined:
      return { kind: 'secret', clientId: request.client, secret: TAKEN_AS_GIVEN }
  }
}

function refused(denial: Denial): Pick<Explanation, 'steps' | 'denial'> {
  return { steps: stepsUntil(STEPS, stepOf(denial.reason)), denial }
}

function proofOf(denial: Denial, client: Client | undefined): ClientProof | undefined {
  if (denial.reason !== 'client_assertion_invalid' || typeof denial.cause === 'string') return undefined
  if (client?.auth.method !== 'federated_jwt') return undefined
  const { connector, policy } = client.auth
  const step = stepOf(denial.cause.reason)
  // Whatever is neither of the connector nor of the policy is about the token itself.
  const refusing = PROOF_STEPS.find((known) => known === step) ?? 'subject'
  return { connector, policy, steps: stepsUntil(PROOF_STEPS, refusing), denial: denial.cause }
}

/** `refusing`: the step that says no; `undefined` when none does. */
function stepsUntil(all: readonly Step[], refusing: Step | undefined): readonly ExplainedStep[] {
  const last = refusing === undefined ? all.length : all.indexOf(refusing)
  return all.map((step, index) => ({
    step,
    outcome: index < last ? 'yes' : index === last ? 'no' : 'not reached',
  }))
}
