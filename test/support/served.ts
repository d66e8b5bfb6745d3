// `sallyport serve` as its users run it: a process in a folder of its own, on a native configuration with free ports,
// plain HTTP on the loopback. Restarted in the same folder, it finds what the last one left.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'
import { stringify } from 'yaml'
import { ID_TOKEN_TYPE, TOKEN_EXCHANGE } from '../../src/core/oauth/names.ts'
import { SECRETS, nativeConfig } from './broker_config.ts'
import { freePorts, startChildServer } from './child_server.ts'
import type { ChildServer } from './child_server.ts'
import { encodeForm, gitlabClaims } from './test_broker.ts'
import type { Config, Form } from './test_broker.ts'
import type { TestIssuer } from './test_issuer.ts'

export const MAIN = join(import.meta.dirname, '..', '..', 'src', 'main.ts')
export const SERVE_ENV = {
  PATH: process.env['PATH'],
  CI_SECRET: SECRETS.ci,
  PIPELINE_SECRET: SECRETS.pipeline,
}

export type Folder = {
  readonly path: string
  readonly issuer: string
  readonly url: string
  readonly opsUrl: string
  /** Writes the configuration, changed. */
  readonly write: (change?: (config: Config) => void) => void
  /** `args` behind `serve`; `env` beside its own. */
  readonly start: (args?: readonly string[], env?: NodeJS.ProcessEnv) => Promise<ChildServer>
  readonly post: (form: Form) => Promise<{ readonly status: number; readonly json: Config }>
  readonly text: (url: string) => Promise<string>
  readonly mint: (claims?: Readonly<Record<string, unknown>>) => string
}

export async function makeFolder(t: Test, upstream: TestIssuer): Promise<Folder> {
  const path = mkdtempSync(join(tmpdir(), 'sallyport-serve-'))
  t.teardown(() => rmSync(path, { recursive: true, force: true }))
  const [port = 0, opsPort = 0] = await freePorts(2)
  const url = `http://127.0.0.1:${port}`
  const opsUrl = `http://127.0.0.1:${opsPort}`
  const issuer = `${url}/dex`
  writeFileSync(join(path, 'ca.pem'), upstream.caPem)
  writeFileSync(join(path, 'upstream.jwks.json'), JSON.stringify(upstream.publicJwks()))
  const folder: Folder = {
    path,
    issuer,
    url,
    opsUrl,
    write(change) {
      const config = nativeConfig(upstream, issuer)
      Object.assign(config, {
        listen: { public: `127.0.0.1:${port}`, ops: `127.0.0.1:${opsPort}` },
        store: { type: 'sqlite', file: 'sallyport.db' },
        audit: { destination: 'audit.log' },
        connectors: [
          { id: 'gitlab', type: 'gitlab-ci', issuer: upstream.url, jwksFile: 'upstream.jwks.json' },
        ],
      })
      dropSigner(config)
      change?.(config)
      writeFileSync(join(path, 'sallyport.yaml'), stringify(config))
    },
    start: async (args = [], env = {}) => {
      const server = await startChildServer({
        name: 'sallyport',
        command: process.execPath,
        args: [MAIN, 'serve', ...args],
        cwd: path,
        env: { ...SERVE_ENV, ...env },
        ready: async () => (await fetch(`${opsUrl}/livez`)).ok,
      })
      t.teardown(() => server.stop())
      return server
    },
    async post(form) {
      const headers = { 'content-type': 'application/x-www-form-urlencoded' }
      const answer = await fetch(`${issuer}/token`, { method: 'POST', headers, body: encodeForm(form) })
      return { status: answer.status, json: Object(await answer.json()) }
    },
    text: async (address) => (await fetch(address)).text(),
    mint: (claims = {}) => upstream.mint({ ...gitlabClaims(issuer), ...claims }),
  }
  folder.write()
  return folder
}

/** The client with keys of its own needs a file that these tests have no use for. */
function dropSigner(config: Config): void {
  const { clients, audiences, policies } = config
  if (!Array.isArray(clients) || !Array.isArray(audiences) || !Array.isArray(policies))
    throw new Error('no lists')
  clients.splice(
    clients.findIndex((client: unknown) => isSigner(Object(client).id)),
    1,
  )
  for (const list of [Object(audiences[0]).clients, Object(policies[0]).grant.audiences])
    list.splice(list.findIndex(isSigner), 1)
}

function isSigner(name: unknown): boolean {
  return name === 'signer'
}

/** The exchange of a job's token by a client with a secret; `where` says for whom. */
export function exchangeForm(subjectToken: string, where: Form = { audience: 'app' }): Form {
  return {
    grant_type: TOKEN_EXCHANGE,
    client_id: 'ci',
    client_secret: SECRETS.ci,
    connector_id: 'gitlab',
    subject_token: subjectToken,
    subject_token_type: ID_TOKEN_TYPE,
    ...where,
  }
}

/** As Dex is asked. */
export const FOR_APP: Form = { scope: 'openid audience:server:client_id:app' }

/** Has job tokens good once. */
export function setSingleUse({ connectors }: Config): void {
  if (!Array.isArray(connectors)) throw new Error('no connectors')
  Object.assign(connectors[0], { singleUse: 'once' })
}
