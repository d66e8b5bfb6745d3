// Runs `sallyport explain` and prints what it found. Writes nothing; asks the store for what is switched off, and
// the issuer for its keys when a signed token is given.
import { clip } from '#core/audit_event.ts'
import type { DecisionFacts } from '#core/audit_event.ts'
import type { Claims } from '#core/claims.ts'
import type { Denial } from '#core/denial.ts'
import { DENIAL_MEANINGS } from '#core/denial_meaning.ts'
import { parseScopes } from '#core/dex/scopes.ts'
import { parseCompact } from '#core/jwt/compact.ts'
import type { ParsedToken } from '#core/jwt/compact.ts'
import { TOKEN_JSON_LIMITS, readStrictJsonObject } from '#core/jwt/strict_json.ts'
import type { Levers } from '#core/levers.ts'
import { ACCESS_TOKEN_TYPE, CLIENT_CREDENTIALS, ID_TOKEN_TYPE, TOKEN_EXCHANGE } from '#core/oauth/names.ts'
import { ok } from '#core/result.ts'
import { inPlacePool } from '#platform/crypto_pool.ts'
import { createIssuerKeysRegistry } from '#platform/issuer_keys/registry.ts'
import { createSubjectVerifier } from '#platform/subject_verifier.ts'
import { createUpstreamLookups } from '#platform/upstream_lookups.ts'
import type { BrokerConfig } from '../broker/config/broker_config.ts'
import { claimsVerifier, explain } from '../broker/explain.ts'
import type { ClientProof, ExplainRequest, Explanation } from '../broker/explain.ts'
import { EXIT } from './command.ts'
import type { CommandIo, ExitCode } from './command.ts'
import { loadConfig, tellFindings } from './config_source.ts'
import type { ExplainFlags } from './explain.ts'
import { seeLevers } from './explain_levers.ts'
import { readSecret } from './secret_input.ts'
import { stepLine, subStepLine } from './steps_text.ts'

/** Lifetime of a claim set that says none. */
const FILLED_IN_SECONDS = 300
/** Of the longest name of a step. */
const STEP_WIDTH = 10

export async function runExplain(flags: ExplainFlags, io: CommandIo): Promise<ExitCode> {
  const explained = await explainExchange(flags, io)
  if ('exit' in explained) return explained.exit
  const { explanation, unseen } = explained
  // `null`: they were seen.
  const json = { ...explanation, leversUnseen: unseen ?? null }
  io.stdout.write(
    flags.json === true ? `${JSON.stringify(json, undefined, 2)}\n` : explanationText(explanation),
  )
  return explanation.denial === undefined ? EXIT.ok : EXIT.denied
}

/** Reads what the flags mean and explains it; `exit` when there is nothing to explain, which has been told then. */
export async function explainExchange(
  flags: ExplainFlags,
  io: CommandIo,
): Promise<
  | {
      readonly config: BrokerConfig
      readonly explanation: Explanation
      /** Why what is switched off in an emergency was not seen, which has been told. */
      readonly unseen: string | undefined
    }
  | { readonly exit: ExitCode }
> {
  if ((flags.token === undefined) === (flags.claims === undefined)) {
    io.stderr.write('sallyport explain: give either --token or --claims\n')
    return { exit: EXIT.usage }
  }
  const load = await loadConfig(flags, io)
  if (!tellFindings(load, io, false)) return { exit: EXIT.configuration }
  const input = (await readSecret(flags.token ?? flags.claims ?? '-', io)).trim()
  const claims = flags.claims === undefined ? undefined : readClaims(input, io)
  if (flags.claims !== undefined && claims === undefined) {
    io.stderr.write('sallyport explain: --claims must hold one JSON object\n')
    return { exit: EXIT.usage }
  }
  const { config } = load
  const { levers, unseen } = await seeLevers(config.store, io.clock)
  if (unseen !== undefined) io.stderr.write(unseenText(unseen))
  const explanation = await explainInput(flags, { config, levers }, claims ?? input, io)
  return { config, explanation, unseen }
}

function unseenText(why: string): string {
  return `note: what is switched off in an emergency is not seen: ${why}\n    -> look with \`sallyport emergency list\` where the broker's store is\n`
}

async function explainInput(
  flags: ExplainFlags,
  { config, levers }: { readonly config: BrokerConfig; readonly levers: Levers },
  input: string | ParsedToken,
  io: CommandIo,
): Promise<Explanation> {
  const { clock, randomBytes } = io
  const issuers = createIssuerKeysRegistry({ clock })
  const isBare = typeof input !== 'string'
  const parts = {
    clock,
    randomBytes,
    verifier: isBare ? claimsVerifier(clock) : createSubjectVerifier({ clock, issuerKeys: issuers }),
    ...createUpstreamLookups(issuers),
    pool: inPlacePool,
    levers: { current: () => levers },
  }
  try {
    const file = flags.clientSecretFile
    const clientSecret = file === undefined ? undefined : await readSecret(file, io)
    const request = { ...requestOf(flags, isBare ? 'claims.without.signature' : input), clientSecret }
    return await explain(request, config, parts, isBare ? () => ok(input) : parseCompact)
  } finally {
    issuers.close()
  }
}

function requestOf(flags: ExplainFlags, subjectToken: string): Omit<ExplainRequest, 'clientSecret'> {
  return {
    grantType: flags.grant === 'client_credentials' ? CLIENT_CREDENTIALS : TOKEN_EXCHANGE,
    client: flags.clientId,
    scopes: parseScopes(flags.scope),
    audience: flags.audience ?? [],
    resource: [],
    nonce: '',
    connectorId: flags.connector ?? '',
    subjectToken,
    subjectTokenType: TOKEN_TYPES.get(flags.tokenType) ?? flags.tokenType,
    requestedTokenType: '',
    policy: flags.policy ?? '',
  }
}

const TOKEN_TYPES: ReadonlyMap<string, string> = new Map([
  ['id_token', ID_TOKEN_TYPE],
  ['access_token', ACCESS_TOKEN_TYPE],
])

/** A claim set as a token whose signature nobody asks about. Missing times are filled in, so that rules about them hold. */
function readClaims(text: string, io: CommandIo): ParsedToken | undefined {
  const read = readStrictJsonObject(Buffer.from(text, 'utf8'), TOKEN_JSON_LIMITS)
  if (!read.ok) return undefined
  const now = Math.floor(io.clock() / 1000)
  const claims: Claims = { iat: now, exp: now + FILLED_IN_SECONDS, ...read.value }
  return {
    header: { alg: 'none', kid: undefined, typ: undefined },
    claims,
    // Names the claim set where a token would be named by what it signs.
    signingInput: text,
    signature: Buffer.alloc(0),
  }
}

/** For people: the steps, why not, and what the token would say. */
export function explanationText({ steps, facts, denial, proof, claims }: Explanation): string {
  const known: Readonly<Record<string, string | undefined>> = {
    request: facts.grant,
    client: facts.client,
    connector: facts.connector,
    subject: subjectText(facts),
    policy: facts.policy ?? (facts.subject === undefined ? undefined : 'none needed'),
    target: facts.audiences?.join(' '),
  }
  const lines = steps.flatMap(({ step, outcome }) => [
    stepLine(outcome, step, (outcome === 'yes' && known[step]) || '', STEP_WIDTH),
    ...(step === 'client' && proof !== undefined ? proofLines(proof, facts) : []),
  ])
  const why = proof === undefined ? (denial === undefined ? [] : whyLines(denial)) : proofWhyLines(proof)
  const would = claims === undefined ? [] : ['', 'The token would say:', JSON.stringify(claims, undefined, 2)]
  return `${[...lines, ...why, ...would].join('\n')}\n`
}

/** The steps of the token that stands for its client, below the client's own. */
function proofLines({ connector, policy, steps }: ClientProof, facts: DecisionFacts): readonly string[] {
  const known: Readonly<Record<string, string | undefined>> = {
    connector,
    subject: subjectText(facts),
    policy,
  }
  // The policy is the client's own: it is known before it holds.
  return steps.map(({ step, outcome }) =>
    subStepLine(outcome, step, (outcome !== 'not reached' && known[step]) || '', STEP_WIDTH),
  )
}

function proofWhyLines({ denial }: ClientProof): readonly string[] {
  return [
    ...whyLines(denial),
    '',
    'The job’s token is the client’s credential: the job gets invalid_client, the audit event says',
    'client_assertion_invalid with this as its cause.',
  ]
}

function subjectText({ subject }: DecisionFacts): string | undefined {
  return subject === undefined ? undefined : `${clip(subject.sub)} of ${subject.iss}`
}

function whyLines(denial: Denial): readonly string[] {
  const { means, wayOut } = DENIAL_MEANINGS[denial.reason]
  return ['', `${denial.reason}: ${means}`, ...evidenceLines(denial), `  -> ${wayOut}`]
}

function evidenceLines(denial: Denial): readonly string[] {
  if (denial.reason === 'policy_none_matched') {
    return denial.tried.map((miss) => `  ${miss.policy}: ${miss.step}: ${clip(miss.detail)}`)
  }
  const { reason: _reason, ...evidence } = denial
  return Object.entries(evidence).map(
    ([name, value]) => `  ${name}: ${clip(typeof value === 'string' ? value : JSON.stringify(value))}`,
  )
}
