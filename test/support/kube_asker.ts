// Requests to a test cluster's apiserver over one kept connection, as anybody: the administrator impersonates, which costs no
// certificate and no kubectl. Answers say what a person would be told: the message, and the warnings.
import { readFileSync } from 'node:fs'
import { Agent, request as httpsRequest } from 'node:https'
import type { KubeCluster } from './kube_cluster.ts'

export type Impersonated = {
  readonly user: string
  readonly groups?: readonly string[]
  readonly extra?: Readonly<Record<string, string>>
}

export type Ask = {
  readonly method: 'POST' | 'PUT' | 'PATCH' | 'DELETE' | 'GET'
  readonly path: string
  readonly body?: unknown
  /** `application/json` unless it is a patch. */
  readonly contentType?: string
  /** The administrator himself when absent. */
  readonly as?: Impersonated | undefined
}

export type Told = {
  readonly status: number
  /** Of a Status; '' of an object. */
  readonly message: string
  readonly warnings: readonly string[]
  readonly body: string
  readonly milliseconds: number
}

export type KubeAsker = { ask(asked: Ask): Promise<Told>; close(): void }

export function kubeAsker({ url, caPem, adminCert, adminKey }: KubeCluster): KubeAsker {
  const agent = new Agent({
    keepAlive: true,
    ca: caPem,
    cert: readFileSync(adminCert),
    key: readFileSync(adminKey),
  })
  return {
    ask: ({ method, path, body, contentType = 'application/json', as }) =>
      new Promise((resolve, reject) => {
        const began = performance.now()
        const headers = { ...(body === undefined ? {} : { 'content-type': contentType }), ...headersOf(as) }
        const sent = httpsRequest(`${url}${path}`, { method, agent, headers, timeout: 30_000 }, (answer) => {
          let text = ''
          answer.setEncoding('utf8')
          answer.on('data', (chunk: string) => (text += chunk))
          answer.once('error', reject)
          answer.once('end', () => {
            const milliseconds = performance.now() - began
            const warnings = warningsIn(answer.headers['warning'])
            const status = answer.statusCode ?? 0
            resolve({ status, message: messageIn(text), warnings, body: text, milliseconds })
          })
        })
        sent.once('timeout', () => sent.destroy(new Error(`${path} is not answered`)))
        sent.once('error', reject)
        sent.end(body === undefined ? undefined : JSON.stringify(body))
      }),
    close: () => agent.destroy(),
  }
}

function headersOf(as: Impersonated | undefined): Record<string, string | string[]> {
  if (as === undefined) return {}
  const extra = Object.entries(as.extra ?? {}).map(([key, value]) => [
    `Impersonate-Extra-${encodeURIComponent(key)}`,
    value,
  ])
  return {
    'Impersonate-User': as.user,
    ...(as.groups === undefined ? {} : { 'Impersonate-Group': [...as.groups] }),
    ...Object.fromEntries(extra),
  }
}

/** `299 - "text", 299 - "text"`, with \" and \\ inside. */
function warningsIn(header: string | undefined): readonly string[] {
  const found = (header ?? '').matchAll(/299 \S+ "((?:[^"\\]|\\.)*)"/g)
  return [...found].map(([, text = '']) => text.replaceAll(/\\(.)/g, '$1'))
}

function messageIn(text: string): string {
  const { kind, message } = Object(JSON.parse(text))
  return kind === 'Status' && typeof message === 'string' ? message : ''
}
