// Checks what is to stand in a kubeconfig and prints it. The plugin's settings go where each plugin looks: for the
// command into the cluster's extension, so that one user serves several clusters; for the script into its arguments.
import { isAbsolute } from 'node:path'
import { stringify } from 'yaml'
import { readCaBundle } from '#core/kube/ca_bundle.ts'
import { EXIT } from '../command.ts'
import type { CommandIo, ExitCode } from '../command.ts'
import { EXEC_API_VERSION } from '../credential/exec_info.ts'
import { brokerUrlProblem } from '../exchange_plan.ts'
import { InputFailure } from '../input_failure.ts'
import { readInput } from '../secret_input.ts'
import type { KubeconfigFlags } from './kubeconfig.ts'

/** A bundle of all public CAs is half of that. */
const MAX_CA_BYTES = 512 * 1024
/** client-go gives a plugin the extension of this name. */
const EXTENSION = 'client.authentication.k8s.io/exec'
const METHODS = new Set(['basic', 'secret', 'none', 'federated'])

/** Exit codes: ok, denied for a CA file that cannot be read, usage. */
export async function runKubeconfig(flags: KubeconfigFlags, io: CommandIo): Promise<ExitCode> {
  const problems: string[] = []
  const server = serverOf(flags, problems)
  checkExchange(flags, problems)
  try {
    const caPem = await readCa(flags, io, problems)
    if (problems.length > 0) {
      io.stderr.write(problems.map((problem) => `error: ${problem}\n`).join(''))
      io.stderr.write('(see sallyport kube kubeconfig --help)\n')
      return EXIT.usage
    }
    warnOfCommand(flags, io)
    warnOfClient(flags, io)
    io.stdout.write(`${HEAD}${stringify(kubeconfigOf(flags, server, caPem), { lineWidth: 0 })}`)
    return EXIT.ok
  } catch (error) {
    if (!(error instanceof InputFailure)) throw error
    io.stderr.write(`sallyport: failed: ${error.message}\n`)
    return EXIT.denied
  }
}

const HEAD = `# Made by sallyport kube kubeconfig. No credential stands in it: kubectl calls the plugin, which exchanges the token of
# the job that runs it. Whoever may write this file decides which program kubectl starts.
`

function serverOf({ server }: KubeconfigFlags, problems: string[]): URL | undefined {
  const url = server !== undefined && URL.canParse(server) ? new URL(server) : undefined
  if (server === undefined || server === '') problems.push('--server is missing')
  else if (url === undefined) problems.push('--server is not a URL')
  else if (url.protocol !== 'https:') problems.push('--server must begin with https://')
  else if (url.username !== '' || url.password !== '')
    problems.push('--server must not hold a user or password')
  return url
}

function checkExchange(flags: KubeconfigFlags, problems: string[]): void {
  const { broker = '', audience = '', clientAuth } = flags
  if (broker === '') problems.push('--broker (or SALLYPORT_BROKER) is missing')
  else problems.push(...brokerUrlProblem('--broker', broker, false))
  if (audience === '') problems.push('--audience (or SALLYPORT_AUDIENCE) is missing')
  else if (/\s/.test(audience)) problems.push('--audience names several: a token for an API server has one')
  if (clientAuth !== undefined && !METHODS.has(clientAuth))
    problems.push('--client-auth must be basic (or secret), none or federated')
}

/** The certificates only, whatever else lies in that file. */
async function readCa(
  { caFile }: KubeconfigFlags,
  io: CommandIo,
  problems: string[],
): Promise<string | undefined> {
  if (caFile === undefined) return undefined
  const bundle = readCaBundle(await readInput(caFile, io, MAX_CA_BYTES))
  if (bundle.ok) return bundle.certificates.map(String).join('')
  problems.push(`--ca-file ${caFile}: ${bundle.reason}`)
  return undefined
}

function warnOfCommand({ command }: KubeconfigFlags, io: CommandIo): void {
  if (command === undefined || isAbsolute(command) || !/[/\\]/.test(command)) return
  io.stderr.write(
    `warning: --command ${command} is relative: kubectl looks for it beside the kubeconfig, wherever that lies, and runs ` +
      'what stands there\n    -> name an absolute path, or a program on the PATH\n',
  )
}

/** A job may set the variable of its own, so it is no mistake yet. */
function warnOfClient({ clientId }: KubeconfigFlags, io: CommandIo): void {
  if (clientId !== undefined) return
  io.stderr.write(
    'warning: no client is named: kubectl works only in jobs that set SALLYPORT_CLIENT_ID\n    -> add --client-id ID\n',
  )
}

function kubeconfigOf(flags: KubeconfigFlags, server: URL | undefined, caPem: string | undefined): unknown {
  const name = flags.name ?? server?.host ?? ''
  const extension = { name: EXTENSION, extension: settingsOf(flags) }
  const cluster = {
    server: flags.server,
    ...(caPem && { 'certificate-authority-data': Buffer.from(caPem).toString('base64') }),
    ...(flags.script !== true && { extensions: [extension] }),
  }
  const context = { cluster: name, user: name, ...(flags.namespace && { namespace: flags.namespace }) }
  return {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name, cluster }],
    users: [{ name, user: { exec: execOf(flags) } }],
    contexts: [{ name, context }],
    'current-context': name,
  }
}

function execOf(flags: KubeconfigFlags): unknown {
  const { script = false, brokerCaFile } = flags
  const program = script ? 'sallyport-credential.sh' : 'sallyport'
  const ca = brokerCaFile === undefined ? [] : ['--ca-file', brokerCaFile]
  return {
    apiVersion: EXEC_API_VERSION,
    command: flags.command ?? program,
    args: script ? [...argumentsOf(flags), ...ca] : ['credential', ...ca],
    // kubectl shows it when it does not find the program on the PATH.
    installHint: `${program} is not on the PATH. It exchanges the job's own token for one that this cluster takes: put it into the image of the job, or name it by its absolute path (sallyport kube kubeconfig --command PATH).`,
    // Nobody is there to be asked, and standard input stays kubectl's (apply -f -).
    interactiveMode: 'Never',
    provideClusterInfo: !script,
  }
}

/** Each plugin has a word of its own for it, and takes the other's, too. */
function isBasic({ clientAuth }: KubeconfigFlags): boolean {
  return clientAuth === 'basic' || clientAuth === 'secret'
}

function settingsOf(flags: KubeconfigFlags): Readonly<Record<string, string>> {
  const { audience, broker, clientId, connector, policy, jobAudience } = flags
  const clientAuth = isBasic(flags) ? 'basic' : flags.clientAuth
  return present({ audience, broker, clientId, clientAuth, connector, policy, jobAudience })
}

function argumentsOf(flags: KubeconfigFlags): readonly string[] {
  const settings = present({
    '--broker': flags.broker,
    '--audience': flags.audience,
    '--client-id': flags.clientId,
    '--client-auth': isBasic(flags) ? 'secret' : flags.clientAuth,
    '--connector': flags.connector,
    '--policy': flags.policy,
    '--job-audience': flags.jobAudience,
  })
  return Object.entries(settings).flat()
}

function present(settings: Readonly<Record<string, string | undefined>>): Readonly<Record<string, string>> {
  const given = Object.entries(settings).flatMap(([name, value]) => (value ? [[name, value] as const] : []))
  return Object.fromEntries(given)
}
