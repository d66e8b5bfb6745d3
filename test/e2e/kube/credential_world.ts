// A GitLab whose jobs have one token each, our broker over TLS as it takes them (once for each cluster), and a folder for
// the PATH of a job whose `sallyport` counts its starts.
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import type { Test } from 'tap'
import { stringify } from 'yaml'
import { freePorts, startChildServer } from '../../support/child_server.ts'
import { MAIN } from '../../support/served.ts'
import { gitlabClaims } from '../../support/test_broker.ts'
import { makeTestCertificate, startTestIssuer } from '../../support/test_issuer.ts'

export const AUDIENCE = 'kube:local'

export type Job = {
  readonly env: Readonly<Record<string, string>>
  readonly home: string
  /** The token that the platform gave it. */
  readonly token: string
}

export type World = {
  readonly folder: string
  readonly issuer: string
  readonly caFile: string
  readonly configFile: string
  /** A new job of this branch, with a home of its own unless it is given one. */
  readonly job: (ref?: string, home?: string) => Job
  /** How often the plugin was started, and how often the broker was asked, since the last call. */
  readonly count: () => { readonly starts: number; readonly exchanges: number }
}

export async function startWorld(t: Test): Promise<World> {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-kubectl-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const gitlab = await startTestIssuer()
  t.teardown(() => gitlab.close())
  const [port = 0, opsPort = 0] = await freePorts(2)
  const issuer = `https://localhost:${port}`
  const { certPem, keyPem, caFile } = await makeTestCertificate(['localhost', '127.0.0.1'])
  writeFileSync(join(folder, 'tls.crt'), certPem)
  writeFileSync(join(folder, 'tls.key'), keyPem, { mode: 0o600 })
  const configFile = join(folder, 'sallyport.yaml')
  const connector = { id: 'gitlab', type: 'gitlab-ci', issuer: gitlab.url, caFile: gitlab.caFile }
  writeFileSync(configFile, stringify(brokerConfig(issuer, opsPort, connector)))
  const broker = await startChildServer({
    name: 'sallyport',
    command: process.execPath,
    args: [MAIN, 'serve', '--config', configFile],
    cwd: folder,
    ready: async () => (await fetch(`http://127.0.0.1:${opsPort}/readyz`)).ok,
  })
  t.teardown(() => broker.stop())
  const bin = jobFolder(folder)
  const job = (ref = 'main', home = mkdtempSync(join(folder, 'home-'))): Job => {
    const token = gitlab.mint({ ...gitlabClaims(issuer), ref })
    const env = {
      PATH: `${bin}:${process.env['PATH'] ?? ''}`,
      HOME: home,
      GITLAB_CI: 'true',
      SALLYPORT_ID_TOKEN: token,
      SALLYPORT_CA_FILE: caFile,
    }
    return { env, home, token }
  }
  const seen = { starts: 0, exchanges: 0 }
  const count = () => {
    const starts = existsSync(startsFile(folder)) ? readFileSync(startsFile(folder), 'utf8').length : 0
    const exchanges = broker.logs().split('"decision":').length - 1
    const since = { starts: starts - seen.starts, exchanges: exchanges - seen.exchanges }
    Object.assign(seen, { starts, exchanges })
    return since
  }
  return { folder, issuer, caFile, configFile, job, count }
}

function brokerConfig(issuer: string, opsPort: number, connector: { readonly id: string }): object {
  return {
    issuer,
    listen: {
      public: { address: new URL(issuer).host, tls: { certFile: 'tls.crt', keyFile: 'tls.key' } },
      ops: `127.0.0.1:${opsPort}`,
    },
    store: { type: 'memory' },
    connectors: [connector],
    clients: [
      { id: 'ci', auth: { method: 'federated_jwt', connector: 'gitlab', policy: 'deploy' } },
      { id: 'ci-long', auth: { method: 'federated_jwt', connector: 'gitlab', policy: 'long' } },
    ],
    audiences: [
      { id: AUDIENCE, profile: 'kubernetes', clients: ['ci', 'ci-long'] },
      { id: 'kube:other', profile: 'kubernetes', clients: ['ci'] },
    ],
    policies: [
      {
        name: 'deploy',
        connector: 'gitlab',
        claims: { project_id: '48291', ref: 'main' },
        grant: { audiences: [AUDIENCE, 'kube:other'], groups: ['deployers'] },
      },
      {
        name: 'long',
        connector: 'gitlab',
        clients: ['ci-long'],
        claims: { project_id: '48291', ref: 'release' },
        grant: { audiences: [AUDIENCE], groups: ['deployers'], singleUse: 'off' },
      },
    ],
  }
}

/** `sallyport` and the script, each of which leaves a mark at its start. */
function jobFolder(folder: string): string {
  const bin = join(folder, 'bin')
  mkdirSync(bin)
  const mark = `printf x >>'${startsFile(folder)}'`
  const scripts = {
    sallyport: `#!/bin/sh\n${mark}\nexec '${process.execPath}' '${MAIN}' "$@"\n`,
    'counted-script': `#!/bin/sh\n${mark}\nexec '${resolve('deploy/ci/sallyport-credential.sh')}' "$@"\n`,
  }
  for (const [name, text] of Object.entries(scripts)) {
    writeFileSync(join(bin, name), text)
    chmodSync(join(bin, name), 0o755)
  }
  symlinkSync(process.execPath, join(bin, 'node'))
  return bin
}

function startsFile(folder: string): string {
  return join(folder, 'starts')
}
