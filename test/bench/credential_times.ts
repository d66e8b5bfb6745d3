// `sallyport credential` as kubectl starts it, a cold process each time, beside the least that a Node process costs here:
// with a token that is kept, and with an exchange at our own broker over TLS. Pairs, so that a busy moment hits both.
// usage, alone: node test/bench/credential_times.ts [RUNS] (after `npm run build`)
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { stringify } from 'yaml'
import { freePorts, startChildServer } from '../support/child_server.ts'
import type { ChildServer } from '../support/child_server.ts'
import { gitlabClaims } from '../support/test_broker.ts'
import { makeTestCertificate, startTestIssuer } from '../support/test_issuer.ts'
import type { TestIssuer } from '../support/test_issuer.ts'
import { entryOf } from './contestants.ts'
import { median } from './measure.ts'
import type { Row } from './verdict.ts'

export type CredentialTimes = {
  /** Milliseconds, medians. */
  readonly bareNode: number
  readonly kept: number
  readonly exchanged: number
  /** Medians of what each run was to the `node -e 0` just before it. */
  readonly keptRatio: number
  readonly exchangedRatio: number
}

const AUDIENCE = 'kubernetes'
const GOALS = { kept: 1.6, exchanged: 3 } as const

export async function measureCredential(runs: number, entry = entryOf('packed')): Promise<CredentialTimes> {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-bench-credential-'))
  const issuer = await startTestIssuer()
  let broker: ChildServer | undefined
  try {
    const { env, start } = await prepare(folder, issuer)
    broker = await start(entry)
    const times = { bare: [] as number[], kept: [] as number[], exchanged: [] as number[] }
    const [kept, exchanged] = [
      [entry, 'credential'],
      [entry, 'credential', '--no-cache'],
    ]
    // Keeps the token, and has every file in the page cache.
    for (const argv of [kept, exchanged]) await timeNode(argv, env)
    for (let run = 0; run < runs; run += 1) {
      times.bare.push(await timeNode(['-e', '0'], env))
      times.kept.push(await timeNode(kept, env))
      times.exchanged.push(await timeNode(exchanged, env))
    }
    const ratio = (ours: readonly number[]): number =>
      median(ours.map((time, run) => time / (times.bare[run] ?? Number.NaN)))
    return {
      bareNode: median(times.bare),
      kept: median(times.kept),
      exchanged: median(times.exchanged),
      keptRatio: ratio(times.kept),
      exchangedRatio: ratio(times.exchanged),
    }
  } finally {
    await broker?.stop()
    await issuer.close()
    rmSync(folder, { recursive: true, force: true })
  }
}

/** The goals are stated as multiples; there is no floor beside them. */
export function judgeCredential(times: CredentialTimes): readonly Row[] {
  const row = (title: string, ours: number, ratio: number, goal: number): Row => ({
    title,
    figure: 'wall',
    ours: `${ours.toFixed(0)} ms`,
    theirs: `${times.bareNode.toFixed(0)} ms`,
    ratio,
    cpuRatio: undefined,
    goal: `<= ${goal}x`,
    floor: `<= ${goal}x`,
    verdict: ratio <= goal ? 'goal' : 'MISS',
    noisy: false,
  })
  return [
    row('`credential`, token kept', times.kept, times.keptRatio, GOALS.kept),
    row('`credential`, exchange over TLS', times.exchanged, times.exchangedRatio, GOALS.exchanged),
  ]
}

type Prepared = {
  readonly env: NodeJS.ProcessEnv
  readonly start: (entry: string) => Promise<ChildServer>
}

async function prepare(folder: string, issuer: TestIssuer): Promise<Prepared> {
  const [port = 0, opsPort = 0] = await freePorts(2)
  const url = `https://localhost:${port}`
  const { certPem, keyPem, caFile } = await makeTestCertificate(['localhost', '127.0.0.1'])
  writeFileSync(join(folder, 'tls.crt'), certPem)
  writeFileSync(join(folder, 'tls.key'), keyPem, { mode: 0o600 })
  const file = join(folder, 'sallyport.yaml')
  writeFileSync(file, stringify(configOf(url, opsPort, issuer)))
  const env = {
    PATH: process.env['PATH'],
    HOME: folder,
    GITLAB_CI: 'true',
    SALLYPORT_ID_TOKEN: issuer.mint({ ...gitlabClaims(url), exp: Math.floor(Date.now() / 1000) + 3600 }),
    SALLYPORT_BROKER: url,
    SALLYPORT_CA_FILE: caFile,
    SALLYPORT_CLIENT_ID: 'ci',
    SALLYPORT_CLIENT_AUTH: 'federated',
    SALLYPORT_AUDIENCE: AUDIENCE,
  }
  const start = (entry: string): Promise<ChildServer> =>
    startChildServer({
      name: 'sallyport',
      command: process.execPath,
      args: [entry, 'serve', '--config', file],
      cwd: folder,
      ready: async () => (await fetch(`http://127.0.0.1:${opsPort}/readyz`)).ok,
    })
  return { env, start }
}

function configOf(url: string, opsPort: number, issuer: TestIssuer): object {
  return {
    issuer: url,
    listen: {
      public: { address: new URL(url).host, tls: { certFile: 'tls.crt', keyFile: 'tls.key' } },
      ops: `127.0.0.1:${opsPort}`,
    },
    store: { type: 'memory' },
    connectors: [
      // One job asks again and again here, which it could not do otherwise.
      { id: 'gitlab', type: 'gitlab-ci', issuer: issuer.url, caFile: issuer.caFile, singleUse: 'off' },
    ],
    clients: [{ id: 'ci', auth: { method: 'federated_jwt', connector: 'gitlab', policy: 'deploy' } }],
    audiences: [{ id: AUDIENCE, profile: 'kubernetes', clients: ['ci'] }],
    policies: [
      {
        name: 'deploy',
        connector: 'gitlab',
        claims: { project_id: '48291', ref: 'main' },
        grant: { audiences: [AUDIENCE], groups: ['deployers'], ttl: '15m' },
      },
    ],
  }
}

/** Standard output is a pipe, as kubectl makes it. */
async function timeNode(args: readonly string[], env: NodeJS.ProcessEnv): Promise<number> {
  const began = performance.now()
  const child = spawn(process.execPath, args, { env, stdio: ['ignore', 'pipe', 'inherit'] })
  child.stdout.resume()
  const [code] = await once(child, 'close')
  if (code !== 0) throw new Error(`node ${args.join(' ')} ended with ${String(code)}`)
  return performance.now() - began
}

if (import.meta.main) {
  const [runs = '15', entry] = process.argv.slice(2)
  const times = await measureCredential(Number(runs), entry)
  for (const { title, ours, theirs, ratio, goal, verdict } of judgeCredential(times))
    console.log(`${title}: ${ours}, bare Node ${theirs}, ${ratio?.toFixed(2)}x (${goal}): ${verdict}`)
}
