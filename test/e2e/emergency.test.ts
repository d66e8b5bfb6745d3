// The levers of docs/operations.md, typed as they stand there, on two brokers that share a PostgreSQL: both obey, how long
// that takes, one event each, and both go on when a lever is lifted.
import { execFile } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import t from 'tap'
import type { Test } from 'tap'
import { CLIENT_CREDENTIALS, ID_TOKEN_TYPE, TOKEN_EXCHANGE } from '../../src/core/oauth/names.ts'
import { SECRETS } from '../support/broker_config.ts'
import { postgresOrSkip, startPostgres } from '../support/postgres.ts'
import type { PostgresServer } from '../support/postgres.ts'
import { commandFolder } from '../support/sallyport_command.ts'
import { SERVE_ENV, makeFolder } from '../support/served.ts'
import type { Folder } from '../support/served.ts'
import { decodeToken, encodeForm } from '../support/test_broker.ts'
import type { Form } from '../support/test_broker.ts'
import { startTestIssuer } from '../support/test_issuer.ts'

const exec = promisify(execFile)
const [, page = ''] = readFileSync('docs/operations.md', 'utf8').split('\n## Emergency\n')
const [runbook = ''] = page.split(/^## /m)
const upstream = await startTestIssuer()
t.teardown(() => upstream.close())

/** What the page promises, of the time from the end of a command until both replicas obey. */
const PROMISED_MS = 2000

const peer = await postgresOrSkip()
if (peer.skip !== false) t.pass('skipped', { skip: peer.skip })
else await withServer(await startPostgres(t, peer.value))

type Replicas = {
  readonly folders: readonly [Folder, Folder]
  readonly issuer: string
  /** Runs the only block of commands of the runbook with these words, in the first one's folder. */
  readonly type: (words: string, env?: Readonly<Record<string, string>>) => Promise<string>
  /** Blocks of the runbook that nobody ran. */
  readonly untyped: () => readonly string[]
  /** Events of both audit logs. */
  readonly events: () => readonly Readonly<Record<string, unknown>>[]
}

async function startReplicas(t: Test, server: PostgresServer): Promise<Replicas> {
  const { user, host, port, database } = await server.database()
  const folders = [await makeFolder(t, upstream), await makeFolder(t, upstream)] as const
  const [{ issuer, path }] = folders
  for (const folder of folders) {
    const url = `postgres://${user}@${encodeURIComponent(host)}:${port}/${database}\n`
    writeFileSync(join(folder.path, 'store.url'), url, { mode: 0o600 })
    folder.write((config) => {
      const { connectors } = config
      if (!Array.isArray(connectors)) throw new Error('no connectors')
      Object.assign(connectors[0], { singleUse: 'off' })
      Object.assign(config, { issuer, store: { type: 'postgres', urlFile: 'store.url' } })
    })
  }
  await Promise.all(folders.map(async (folder) => folder.start()))
  const bin = `${commandFolder(t, 'false')}:${dirname(process.execPath)}:${process.env['PATH']}`
  const done = new Set<string>()
  const blocks = [...runbook.matchAll(/^```sh\n([\s\S]*?)^```$/gm)].map(([, body = '']) => body)
  return {
    folders,
    issuer,
    async type(words, env = {}) {
      const [block, second] = blocks.filter((each) => each.includes(words))
      if (block === undefined || second !== undefined) throw new Error(`not one block with ${words}`)
      done.add(block)
      const world = { cwd: path, env: { ...SERVE_ENV, USER: 'jane', ...env, PATH: bin } }
      return (await exec('sh', ['-eu', '-c', block], world)).stdout
    },
    untyped: () => blocks.filter((block) => !done.has(block)),
    events: () =>
      folders.flatMap((folder) =>
        readFileSync(join(folder.path, 'audit.log'), 'utf8')
          .split('\n')
          .filter((line) => line !== '')
          .map((line) => Object(JSON.parse(line))),
      ),
  }
}

type Answer = { readonly status: number; readonly text: string; readonly token: string }

async function ask({ url }: Folder, form: Form): Promise<Answer> {
  const headers = { 'content-type': 'application/x-www-form-urlencoded' }
  const answer = await fetch(`${url}/dex/token`, { method: 'POST', headers, body: encodeForm(form) })
  const text = await answer.text()
  return { status: answer.status, text, token: String(Object(JSON.parse(text)).access_token) }
}

/** The exchange of a job of the policy, by a client that is no other step's. */
function exchange(folder: Folder, issuer: string): Promise<Answer> {
  return ask(folder, {
    grant_type: TOKEN_EXCHANGE,
    client_id: 'open',
    connector_id: 'gitlab',
    subject_token: upstream.mint({ ...claimsOf(folder), aud: issuer }),
    subject_token_type: ID_TOKEN_TYPE,
    scope: 'openid audience:server:client_id:app',
  })
}

/** Of the folder's own valid token. */
function claimsOf(folder: Folder): Readonly<Record<string, unknown>> {
  const { exp: _exp, iat: _iat, nbf: _nbf, jti: _jti, ...claims } = decodeToken(folder.mint()).claims
  return claims
}

/** A token of the client for itself: no policy grants it. */
function ofClient(folder: Folder): Promise<Answer> {
  return ask(folder, {
    grant_type: CLIENT_CREDENTIALS,
    client_id: 'ci',
    client_secret: SECRETS.ci,
    scope: 'openid',
  })
}

async function isGood({ url }: Folder, token: string): Promise<boolean> {
  const answer = await fetch(`${url}/dex/userinfo`, { headers: { authorization: `Bearer ${token}` } })
  await answer.text()
  return answer.status === 200
}

/** Milliseconds until it holds at every replica. */
async function obeyed(replicas: Replicas, holds: (folder: Folder) => Promise<boolean>): Promise<number> {
  const began = performance.now()
  for (const folder of replicas.folders) {
    while (!(await holds(folder))) {
      if (performance.now() - began > 20_000) throw new Error('a replica does not follow')
      await sleep(20)
    }
  }
  return Math.round(performance.now() - began)
}

async function withServer(server: PostgresServer): Promise<void> {
  await t.test('what the runbook says is done, by both, in less than two seconds', async (t) => {
    const replicas = await startReplicas(t, server)
    const { folders, issuer, type, untyped, events } = replicas
    const [first] = folders
    const took: Record<string, number> = {}

    // 1. one token
    const seen = (await ofClient(first)).token
    const jti = String(decodeToken(seen).claims['jti'])
    t.equal(await isGood(first, seen), true)
    t.match(await type('emergency deny token', { JTI: jti }), `deny token ${jti}  since `)
    took['deny token'] = await obeyed(replicas, async (folder) => !(await isGood(folder, seen)))

    // 2. one token, by its client
    const own = (await ofClient(first)).token
    writeFileSync(join(first.path, 'ci.secret'), SECRETS.ci)
    writeFileSync(join(first.path, 'token.jwt'), own)
    t.equal(await type('curl', { ISSUER: issuer }), '')
    t.equal(await isGood(first, own), false, 'at once where it was asked for')
    took['revocation by the client'] = await obeyed(replicas, async (folder) => !(await isGood(folder, own)))

    // 3. an issuer
    const bought = (await exchange(first, issuer)).token
    t.equal(await isGood(first, bought), true)
    await type('emergency disable connector')
    const isServed = async (folder: Folder) => (await exchange(folder, issuer)).status === 200
    took['disable connector'] = await obeyed(replicas, async (folder) => !(await isServed(folder)))
    t.match(events().at(-1), { reason: 'connector_disabled', decision: 'deny' })
    t.equal(await isGood(first, bought), true, 'what was issued lives on')
    await type('emergency lift disable connector')
    took['lift disable connector'] = await obeyed(replicas, isServed)

    // 4. a policy
    await type('emergency disable policy')
    took['disable and deny policy'] = await obeyed(
      replicas,
      async (folder) => !(await isServed(folder)) && !(await isGood(folder, bought)),
    )
    t.ok(events().some(({ reason }) => reason === 'policy_disabled'))
    t.ok(events().some(({ reason, event }) => reason === 'token_denied' && event === 'userinfo'))
    await type('emergency lift disable policy')
    took['lift disable policy'] = await obeyed(replicas, isServed)

    // 5. a client
    const held = (await ofClient(first)).token
    t.equal(await isGood(first, held), true)
    t.match(
      await type('emergency disable client'),
      /^disable client ci {2}since \S+Z {2}until lifted {2}by jane {2}INC-42: its secret stood in a log\ndeny client ci /,
    )
    const isServedClient = async (folder: Folder) => (await ofClient(folder)).status === 200
    took['disable and deny client'] = await obeyed(
      replicas,
      async (folder) => !(await isServedClient(folder)) && !(await isGood(folder, held)),
    )
    t.ok(events().some(({ reason }) => reason === 'client_disabled'))
    await type('emergency lift disable client')
    took['lift disable client'] = await obeyed(replicas, isServedClient)

    // 6. a signing key
    const kid = String(decodeToken((await ofClient(first)).token).header['kid'])
    const last = (await exchange(first, issuer)).token
    t.match(await type('keys revoke'), new RegExp(`^revoked  ${kid}\nsigning  (?!${kid})`))
    took['keys revoke'] = await obeyed(replicas, async (folder) => {
      const keys = await (await fetch(`${folder.url}/dex/keys`)).text()
      return !keys.includes(kid) && !(await isGood(folder, last))
    })
    const kids = await Promise.all(folders.map(async (folder) => decodeToken((await ofClient(folder)).token)))
    t.equal(new Set(kids.map(({ header }) => header['kid'])).size, 1, 'both sign with the same new one')
    t.not(kids[0]?.header['kid'], kid)

    t.comment(JSON.stringify(took))
    const times = Object.values(took).toSorted((a, b) => a - b)
    const median = times[Math.floor(times.length / 2)] ?? Infinity
    t.ok(median < PROMISED_MS, `${median} ms, the median of ${times.length}`)

    // 7. what was done is told once, whichever of the two told it
    const done = events().filter(({ event }) => event === 'emergency')
    t.same(
      done.map(({ lever }) => `${Object(lever).did} ${Object(lever).kind} by ${Object(lever).by}`).toSorted(),
      [
        'denied client by jane',
        'denied policy by jane',
        'denied token by jane',
        'disabled client by jane',
        'disabled connector by jane',
        'disabled policy by jane',
        'lifted client by jane',
        'lifted connector by jane',
        'lifted policy by jane',
        'revoked key by jane',
      ],
    )
    t.equal(events().filter(({ event }) => event === 'revocation').length, 1)
    t.notMatch(JSON.stringify(events()), /eyJ/)
    t.same(untyped(), [], 'nothing on the page was left out')
  })
}
