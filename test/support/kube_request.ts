// One HTTPS request to a server of a test cluster, with a bearer token or with the administrator's certificate.
import { request as httpsRequest } from 'node:https'

/** Who answers, and who asks without a token. */
export type KubeAccess = {
  readonly caPem: string
  readonly admin: { readonly certPem: string; readonly keyPem: string }
}

export type KubeAsked = {
  readonly method?: string
  /** Without one the administrator asks. */
  readonly token?: string
  /** Sent as JSON. */
  readonly body?: unknown
  /** What kind of JSON, such as that of a patch; `application/json` when absent. */
  readonly contentType?: string
}

export type KubeAnswer = { readonly status: number; readonly body: string }

/** Rejects when nothing answers within ten seconds. */
export function askKube(access: KubeAccess, url: string, asked: KubeAsked = {}): Promise<KubeAnswer> {
  const { token, method = 'GET', body, contentType = 'application/json' } = asked
  const credentials = token === undefined ? { cert: access.admin.certPem, key: access.admin.keyPem } : {}
  const headers: Record<string, string> = body === undefined ? {} : { 'content-type': contentType }
  if (token !== undefined) headers['authorization'] = `Bearer ${token}`
  const options = { method, headers, ca: access.caPem, ...credentials, agent: false, timeout: 10_000 }
  return new Promise((resolve, reject) => {
    const request = httpsRequest(url, options, (response) => {
      let text = ''
      response.setEncoding('utf8')
      response.on('data', (chunk: string) => (text += chunk))
      response.once('end', () => resolve({ status: response.statusCode ?? 0, body: text }))
      response.once('error', reject)
    })
    request.once('timeout', () => request.destroy(new Error(`${url} does not answer`)))
    request.once('error', reject)
    request.end(body === undefined ? undefined : JSON.stringify(body))
  })
}
