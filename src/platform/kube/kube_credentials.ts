// The credentials of a lasting connection: read again as files and plugins renew them, and the sockets that go with them.
import { createHash } from 'node:crypto'
import { Agent as HttpAgent } from 'node:http'
import type { OutgoingHttpHeaders } from 'node:http'
import { Agent as HttpsAgent } from 'node:https'
import type { RequestOptions } from 'node:https'
import type { User } from '@kubernetes/client-node'
import type { Result } from '#core/result.ts'
import { withExecCredential } from './exec_credential.ts'
import { textOf } from './kube_target.ts'
import type { KubeClientOptions, KubeTarget } from './kube_target.ts'

/** A ServiceAccount's token is renewed an hour and more before it ends. */
const CREDENTIALS_TTL_MS = 30_000
/** When a socket says nothing for so long, the kernel asks whether the other side is there. */
export const TCP_KEEPALIVE_MS = 10_000

type Access = { readonly headers: OutgoingHttpHeaders; readonly agent: HttpAgent }

/** The token and the sockets of the present credentials. An exec plugin is asked again once its credential is refused. */
export class Credentials {
  readonly #target: KubeTarget
  readonly #options: KubeClientOptions
  readonly #now: () => number
  #user: Promise<Result<User, string>> | undefined
  #access: { readonly value: Promise<Result<Access, string>>; readonly untilMs: number } | undefined
  #agent: { readonly key: string; readonly agent: HttpAgent } | undefined

  constructor(target: KubeTarget, options: KubeClientOptions, now: () => number) {
    this.#target = target
    this.#options = options
    this.#now = now
  }

  get(): Promise<Result<Access, string>> {
    const known = this.#access
    if (known !== undefined && this.#now() < known.untilMs) return known.value
    const value = this.#read()
    this.#access = { value, untilMs: this.#now() + CREDENTIALS_TTL_MS }
    return value
  }

  forget(): void {
    this.#access = undefined
    this.#user = undefined
  }

  close(): void {
    this.#agent?.agent.destroy()
    this.#agent = undefined
  }

  async #read(): Promise<Result<Access, string>> {
    const { env, execTimeoutMs } = this.#options
    const { cluster, user, make } = this.#target
    this.#user ??= withExecCredential(user, env, execTimeoutMs)
    const login = await this.#user
    if (!login.ok) {
      this.forget()
      return login
    }
    // Said out loud, so that NODE_TLS_REJECT_UNAUTHORIZED cannot say otherwise; insecure-skip-tls-verify can.
    const options: RequestOptions = { headers: {}, rejectUnauthorized: true }
    try {
      await make(cluster, login.value).applyToHTTPSOptions(options)
    } catch (error) {
      this.forget()
      return { ok: false, denial: `its credentials cannot be used: ${textOf(error)}` }
    }
    const { headers, auth } = options
    const basic = auth === undefined || auth === null ? {} : { authorization: basicOf(auth) }
    return {
      ok: true,
      value: { headers: { ...basic, ...plainHeaders(headers) }, agent: this.#agentFor(options) },
    }
  }

  /** The same sockets as long as certificates and CA are the same. */
  #agentFor(options: RequestOptions): HttpAgent {
    const { ca, cert, key, servername, rejectUnauthorized, agent } = options
    if (this.#target.cluster.proxyUrl !== undefined && agent instanceof HttpAgent) return agent
    const tls = Object.fromEntries(
      Object.entries({ ca, cert, key, servername, rejectUnauthorized }).filter(
        ([, value]) => value !== undefined,
      ),
    )
    const known = createHash('sha256').update(JSON.stringify(tls)).digest('hex')
    if (this.#agent?.key === known) return this.#agent.agent
    // What is under way ends of itself: a watch within half a minute.
    for (const sockets of Object.values(this.#agent?.agent.freeSockets ?? {})) {
      for (const socket of sockets ?? []) socket.destroy()
    }
    const pool = { keepAlive: true, keepAliveMsecs: TCP_KEEPALIVE_MS, maxFreeSockets: 16, maxSockets: 64 }
    const isPlain = this.#target.cluster.server.startsWith('http:')
    const made = isPlain ? new HttpAgent(pool) : new HttpsAgent({ ...pool, ...tls })
    this.#agent = { key: known, agent: made }
    return made
  }
}

function basicOf(auth: string): string {
  return `Basic ${Buffer.from(auth).toString('base64')}`
}

function plainHeaders(headers: RequestOptions['headers']): OutgoingHttpHeaders {
  return headers === undefined || isList(headers) ? {} : headers
}

function isList(headers: OutgoingHttpHeaders | readonly string[]): headers is readonly string[] {
  return Array.isArray(headers)
}
