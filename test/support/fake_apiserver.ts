// A kube-apiserver in shape only, over HTTPS with a throw-away CA: it answers each path with what the test says, and
// writes a kubeconfig that leads to it. The real one is asked in test/e2e.
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import type { ServerResponse } from 'node:http'
import { createServer } from 'node:https'
import { join } from 'node:path'
import { stringify } from 'yaml'
import type { Test } from 'tap'
import { issueCertificate, makeAuthority } from '../../src/platform/dev_certificate_authority.ts'

export type ApiCall = {
  readonly method: string
  readonly path: string
  readonly authorization: string
  readonly body: Readonly<Record<string, unknown>>
}

export type ApiAnswer =
  | { readonly status?: number; readonly body: unknown }
  /** Answers by itself, whenever and as brokenly as it likes. */
  | { readonly stream: (response: ServerResponse) => void }

export type FakeApiserver = {
  readonly url: string
  readonly kubeconfig: string
  readonly calls: readonly ApiCall[]
}

export const ADMIN_TOKEN = 'administrator'

export async function fakeApiserver(
  t: Test,
  folder: string,
  answer: (call: ApiCall) => ApiAnswer,
): Promise<FakeApiserver> {
  const authority = await makeAuthority(['localhost'], Date.now())
  const { certPem, keyPem } = await issueCertificate(authority, ['localhost', '127.0.0.1'], Date.now())
  const calls: ApiCall[] = []
  const server = createServer({ cert: certPem, key: keyPem }, (request, response) => {
    let text = ''
    request.setEncoding('utf8')
    request.on('data', (chunk: string) => (text += chunk))
    request.on('end', () => {
      const call = {
        method: request.method ?? '',
        path: request.url ?? '',
        authorization: request.headers.authorization ?? '',
        body: text === '' ? {} : Object(JSON.parse(text)),
      }
      calls.push(call)
      const answered = answer(call)
      if ('stream' in answered) {
        answered.stream(response)
        return
      }
      const { status = 200, body } = answered
      response.writeHead(status, { 'content-type': 'application/json' })
      response.end(typeof body === 'string' ? body : JSON.stringify(body))
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(async () => {
    server.closeAllConnections()
    server.close()
    await once(server, 'close')
  })
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  const url = `https://localhost:${address.port}`
  const kubeconfig = join(folder, 'kubeconfig')
  writeFileSync(kubeconfig, kubeconfigText(url, authority.certPem))
  return { url, kubeconfig, calls }
}

export function kubeconfigText(server: string, caPem: string, token = ADMIN_TOKEN): string {
  const ca = Buffer.from(caPem).toString('base64')
  return stringify({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'local', cluster: { server, 'certificate-authority-data': ca } }],
    users: [{ name: 'admin', user: { token } }],
    contexts: [{ name: 'local', context: { cluster: 'local', user: 'admin' } }],
    'current-context': 'local',
  })
}
