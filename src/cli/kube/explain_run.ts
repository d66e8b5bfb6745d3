// Runs `sallyport kube explain`: reads file and token, asks the issuer and the cluster as far as the flags allow, and
// prints. The token itself is never printed; its claims are, they are its owner's.
import { readStrictJsonObject, TOKEN_JSON_LIMITS } from '#core/jwt/strict_json.ts'
import { authenticate, findAuthenticator } from '#core/kube/authenticate.ts'
import type { SignatureAnswer } from '#core/kube/authenticate.ts'
import type { AuthenticationConfiguration } from '#core/kube/authentication_configuration.ts'
import type { Authentication } from '#core/kube/authentication_trace.ts'
import { readBearerToken, unsignedToken } from '#core/kube/bearer_token.ts'
import type { BearerToken } from '#core/kube/bearer_token.ts'
import { readAuthenticationConfiguration } from '#core/kube/read.ts'
import { validateAuthenticationConfiguration } from '#core/kube/validate.ts'
import { ok } from '#core/result.ts'
import type { Result } from '#core/result.ts'
import { formatFinding } from '#platform/config/finding.ts'
import { pathText } from '#platform/config/yaml_document.ts'
import { readAuthenticationFile } from '#platform/kube/authentication_file.ts'
import { readIssuerDocuments } from '#platform/kube/issuer_documents.ts'
import { signatureAnswer, signatureByFile } from '#platform/kube/token_signature.ts'
import { EXIT } from '../command.ts'
import type { CommandIo, ExitCode } from '../command.ts'
import { readInput, readInputBytes, readSecret } from '../secret_input.ts'
import type { KubeExplainFlags } from './explain.ts'
import { askCluster, readQuestions } from './explain_cluster.ts'
import type { ClusterAnswer } from './explain_cluster.ts'
import { exchangeFirst, isExchangeWanted } from './explain_exchange.ts'
import type { BrokerAnswer } from './explain_exchange.ts'
import { authenticationText, clusterText } from './explain_text.ts'
import { readTrustedCa } from './trusted_ca.ts'

const MAX_FILE_BYTES = 1024 * 1024
/** Lifetime of a claim set that says none. */
const FILLED_IN_SECONDS = 300

export async function runKubeExplain(flags: KubeExplainFlags, io: CommandIo): Promise<ExitCode> {
  const usage = usageProblem(flags)
  const now = readNow(flags.now, io.clock())
  if (usage !== undefined || now === undefined) {
    const problem = usage ?? '--now is neither seconds since 1970 nor a time like 2026-11-21T12:00:00Z'
    io.stderr.write(`sallyport kube explain: ${problem}\n`)
    return EXIT.usage
  }
  const { config, problems } = await readConfig(flags.config, io)
  if (config === undefined || problems.length > 0) {
    for (const problem of problems) io.stderr.write(`${problem}\n`)
    io.stderr.write(`the apiserver does not load this file: sallyport kube lint ${flags.config}\n`)
    return EXIT.denied
  }
  if (!isExchangeWanted(flags)) return explainAtApiserver(flags, io, { config, now, broker: undefined })
  const broker = await exchangeFirst(flags, config, io)
  if (typeof broker === 'number') return broker
  if (broker.claims !== undefined) return explainAtApiserver(flags, io, { config, now, broker })
  // The broker says no: there is no token to show to an apiserver.
  print(flags, io, { config, broker, authentication: undefined, cluster: undefined })
  return EXIT.denied
}

type Apiserver = {
  readonly config: AuthenticationConfiguration
  readonly now: number
  readonly broker: BrokerAnswer | undefined
}

async function explainAtApiserver(
  flags: KubeExplainFlags,
  io: CommandIo,
  { config, now, broker }: Apiserver,
): Promise<ExitCode> {
  const token = broker === undefined ? await readToken(flags, now, io) : issuedToken(broker)
  if (token === undefined) {
    io.stderr.write('sallyport kube explain: --claims must hold one JSON object\n')
    return EXIT.usage
  }
  const signature = await signatureOf(flags, config, token, io)
  const authentication = authenticate({ config, token: token.read, signature, now })
  const cluster = await askCluster(flags, token.text, authentication, io)
  print(flags, io, { config, broker, authentication, cluster })
  return isGood(authentication, cluster) ? EXIT.ok : EXIT.denied
}

async function signatureOf(
  flags: KubeExplainFlags,
  config: AuthenticationConfiguration,
  { read, unsigned }: Token,
  io: CommandIo,
): Promise<SignatureAnswer> {
  if (unsigned !== undefined) return { kind: 'unchecked', why: unsigned }
  return read.ok ? askForSignature(flags, config, read.value, io) : { kind: 'unchecked', why: '' }
}

function usageProblem(flags: KubeExplainFlags): string | undefined {
  if ((flags.token === undefined) === (flags.claims === undefined)) return 'give either --token or --claims'
  const fromStdin = [flags.config, flags.token, flags.claims, flags.jwks].filter((file) => file === '-')
  if (fromStdin.length > 1) return 'only one of --config, --token, --claims and --jwks can be standard input'
  if (flags.offline === true && flags.jwks !== undefined) return 'give either --offline or --jwks'
  if (isExchangeWanted(flags) && flags.clientId === undefined) return 'name the client with --client-id'
  if (flags.brokerConfig !== undefined && flags.brokerDexConfig !== undefined)
    return 'give either --broker-config or --broker-dex-config'
  const questions = readQuestions(flags)
  return questions.ok ? undefined : questions.denial
}

/** Milliseconds. */
function readNow(text: string | undefined, clock: number): number | undefined {
  if (text === undefined) return clock
  const ms = /^\d{1,11}$/.test(text) ? Number(text) * 1000 : Date.parse(text)
  return Number.isNaN(ms) ? undefined : ms
}

async function readConfig(
  file: string,
  io: CommandIo,
): Promise<{
  readonly config: AuthenticationConfiguration | undefined
  /** For which the apiserver would not load it, as lines. */
  readonly problems: readonly string[]
}> {
  const [source] = readAuthenticationFile(file, await readInputBytes(file, io, MAX_FILE_BYTES))
  if (source === undefined) return { config: undefined, problems: [] }
  const unread = source.findings.filter(({ severity }) => severity === 'error')
  if (unread.length > 0) return { config: undefined, problems: unread.map(formatFinding) }
  const { config, problems } = readAuthenticationConfiguration(source.data)
  const refused =
    config === undefined || problems.length > 0 ? problems : validateAuthenticationConfiguration(config)
  const lines = refused
    .filter(({ severity }) => severity === 'refused')
    .map(({ keys, code, message, wayOut }) =>
      formatFinding({
        severity: 'error',
        code,
        path: pathText(keys),
        message,
        wayOut,
        place: source.placeOf(keys),
      }),
    )
  return { config, problems: lines }
}

type Token = {
  /** As it can be shown to a cluster; `undefined` for a claim set. */
  readonly text: string | undefined
  readonly read: Result<BearerToken, string>
  /** Why it has no signature. */
  readonly unsigned: string | undefined
}

function issuedToken({ claims }: BrokerAnswer): Token {
  const read = ok(unsignedToken(JSON.stringify(claims ?? {})))
  return { text: undefined, read, unsigned: 'the broker would sign it' }
}

async function readToken(flags: KubeExplainFlags, now: number, io: CommandIo): Promise<Token | undefined> {
  const input = (await readSecret(flags.token ?? flags.claims ?? '-', io)).trim()
  if (flags.claims === undefined) return { text: input, read: readBearerToken(input), unsigned: undefined }
  const claims = readStrictJsonObject(Buffer.from(input, 'utf8'), TOKEN_JSON_LIMITS)
  if (!claims.ok) return undefined
  const seconds = Math.floor(now / 1000)
  const filled = { iat: seconds, exp: seconds + FILLED_IN_SECONDS, ...claims.value }
  const read = ok(unsignedToken(JSON.stringify(filled)))
  return { text: undefined, read, unsigned: 'a claim set has no signature' }
}

async function askForSignature(
  flags: KubeExplainFlags,
  config: AuthenticationConfiguration,
  token: BearerToken,
  io: CommandIo,
): Promise<SignatureAnswer> {
  if (flags.jwks !== undefined) {
    const body = await readInput(flags.jwks, io, MAX_FILE_BYTES)
    return signatureByFile(token, Buffer.from(body, 'utf8'), flags.jwks)
  }
  if (flags.offline === true) return { kind: 'unchecked', why: 'not asked for (--offline)' }
  const found = findAuthenticator(config, token.issuer)
  if (found === undefined) return { kind: 'unchecked', why: '' }
  const { issuer } = found.jwt
  const ca = flags.caFile === undefined ? undefined : await readTrustedCa(flags.caFile, io)
  if (ca !== undefined && !('pem' in ca)) return { kind: 'unchecked', why: `${ca.message}: ${ca.wayOut}` }
  const certificateAuthority = [issuer.certificateAuthority, ca?.pem ?? ''].filter(Boolean).join('\n')
  const documents = await readIssuerDocuments({ ...issuer, certificateAuthority }, { clock: io.clock })
  return signatureAnswer(token, documents, issuer.url)
}

function isGood({ outcome }: Authentication, cluster: ClusterAnswer | undefined): boolean {
  if (outcome.kind !== 'authenticated') return false
  if (cluster === undefined) return true
  return (
    cluster.failure === undefined &&
    cluster.bearer.kind !== 'refused' &&
    cluster.access.every(({ answer }) => answer?.allowed === true)
  )
}

type Shown = {
  readonly config: AuthenticationConfiguration
  readonly broker: BrokerAnswer | undefined
  /** `undefined`: the broker issues nothing that could be shown to an apiserver. */
  readonly authentication: Authentication | undefined
  readonly cluster: ClusterAnswer | undefined
}

function print(flags: KubeExplainFlags, io: CommandIo, shown: Shown): void {
  const { config, broker, authentication, cluster } = shown
  if (flags.json === true) {
    const json = { ...(broker && { broker: broker.explanation }), ...authentication, cluster }
    io.stdout.write(`${JSON.stringify(json, undefined, 2)}\n`)
    return
  }
  if (broker !== undefined) io.stdout.write(`The broker:\n${broker.text}`)
  if (authentication === undefined) return
  if (broker !== undefined) io.stdout.write('\nThe apiserver:\n')
  io.stdout.write(authenticationText(config, authentication))
  if (cluster !== undefined) io.stdout.write(`\n${clusterText(cluster, authentication)}`)
}
