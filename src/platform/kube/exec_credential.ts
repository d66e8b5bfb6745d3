// The credential that a kubeconfig's exec plugin gives (client.authentication.k8s.io/v1 and v1beta1): the program is started once,
// bounded in time and in what it may say. @kubernetes/client-node waits for it for ever.
import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import type { User } from '@kubernetes/client-node'
import { clip } from '#core/audit_event.ts'
import { isJsonObject } from '#core/claims.ts'
import type { JsonValue } from '#core/claims.ts'
import type { Result } from '#core/result.ts'

/** A person may have to log in with a browser, which a plugin waits for. */
const EXEC_TIMEOUT_MS = 60_000
const MAX_OUTPUT_BYTES = 1024 * 1024

export type ProcessEnv = Readonly<Record<string, string | undefined>>

type Plugin = {
  readonly command: string
  readonly args: readonly string[]
  readonly env: ProcessEnv
}

/**
 * The user with what its plugin gives in the plugin's place; a user without one as it is. A denial is one line for a person and
 * holds nothing of what the plugin printed but what it told a person on standard error. Never rejects.
 */
export async function withExecCredential(
  user: User,
  inherited: ProcessEnv,
  timeoutMs = EXEC_TIMEOUT_MS,
): Promise<Result<User, string>> {
  const plugin = pluginOf(user)
  if (plugin === undefined) return { ok: true, value: user }
  const named = `the exec plugin ${plugin.command} of user "${user.name}"`
  if (plugin.command === '') return { ok: false, denial: `user "${user.name}": exec names no command` }
  const env = { ...inherited, ...plugin.env }
  const ran = await run({ ...plugin, env }, timeoutMs)
  if (!ran.ok) return { ok: false, denial: `${named} ${ran.denial}` }
  const status = statusOf(ran.value)
  if (status === undefined)
    return { ok: false, denial: `${named} printed no ExecCredential with a credential` }
  const { name, certData, keyData, certFile, keyFile, token, username, password } = user
  const own = { certData, keyData, certFile, keyFile, token, username, password }
  const kept = Object.fromEntries(Object.entries(own).filter(([, value]) => value !== undefined))
  return { ok: true, value: { name, ...kept, ...status } }
}

/** Also where Kubernetes before 1.11 had it. */
function pluginOf(user: User): Plugin | undefined {
  const provider: JsonValue | undefined = user.authProvider
  const config = isJsonObject(provider) ? provider['config'] : undefined
  const exec: JsonValue | undefined = user.exec ?? (isJsonObject(config) ? config['exec'] : undefined)
  if (!isJsonObject(exec)) return undefined
  const { command, args, env } = exec
  const variables = (Array.isArray(env) ? env : [])
    .filter(isJsonObject)
    .flatMap(({ name, value }) =>
      typeof name === 'string' && typeof value === 'string' ? [[name, value] as const] : [],
    )
  return {
    command: typeof command === 'string' ? command : '',
    args: Array.isArray(args) ? args.map(String) : [],
    env: Object.fromEntries(variables),
  }
}

/** What it printed, or why that is not to be had. */
function run({ command, args, env }: Plugin, timeoutMs: number): Promise<Result<string, string>> {
  const { promise, resolve } = Promise.withResolvers<Result<string, string>>()
  const child = spawn(command, args, { env, stdio: ['ignore', 'pipe', 'pipe'] })
  const end = (result: Result<string, string>): void => {
    clearTimeout(timer)
    resolve(result)
    if (!result.ok) stop(child)
  }
  const timer = setTimeout(
    () => end({ ok: false, denial: `gave no credential within ${timeoutMs / 1000} s, and was stopped` }),
    timeoutMs,
  )
  const tooMuch = (): void => end({ ok: false, denial: `printed more than ${MAX_OUTPUT_BYTES} bytes` })
  const printed = collect(child.stdout, tooMuch)
  const told = collect(child.stderr, tooMuch)
  child.on('error', (error) => end({ ok: false, denial: `cannot be started: ${clip(error.message)}` }))
  child.on('close', (code, signal) => {
    if (code === 0) return end({ ok: true, value: printed() })
    end({ ok: false, denial: `ended with ${code ?? signal}: ${clip(told().trim())}` })
  })
  return promise
}

function collect(stream: NodeJS.ReadableStream, tooMuch: () => void): () => string {
  const chunks: Buffer[] = []
  let bytes = 0
  stream.on('data', (chunk: Buffer) => {
    bytes += chunk.length
    if (bytes > MAX_OUTPUT_BYTES) tooMuch()
    else chunks.push(chunk)
  })
  return () => Buffer.concat(chunks).toString('utf8')
}

/** What it started itself may hold the pipes open: they are closed here, so that nothing keeps this process. */
function stop(child: ChildProcess): void {
  child.kill('SIGKILL')
  child.stdout?.destroy()
  child.stderr?.destroy()
  child.unref()
}

function statusOf(text: string): Pick<User, 'token' | 'certData' | 'keyData'> | undefined {
  const status = jsonOf(text)
  const { token, clientCertificateData: certificate, clientKeyData: key } = status
  const bearer = typeof token === 'string' && token !== '' ? { token } : undefined
  const pair =
    typeof certificate === 'string' && typeof key === 'string' && certificate !== '' && key !== ''
      ? { certData: base64(certificate), keyData: base64(key) }
      : undefined
  return bearer === undefined && pair === undefined ? undefined : { ...pair, ...bearer }
}

function jsonOf(text: string): Readonly<Record<string, JsonValue>> {
  try {
    const value: JsonValue = JSON.parse(text)
    const status = isJsonObject(value) ? value['status'] : undefined
    return isJsonObject(status) ? status : {}
  } catch {
    // Told by the caller as no ExecCredential: the text may hold a token.
    return {}
  }
}

function base64(text: string): string {
  return Buffer.from(text).toString('base64')
}
