// `sallyport explain` for people: a client that the job's own token stands for, and the same client with a secret.
import {
  chmodSync,
  copyFileSync,
  existsSync,
  readFileSync,
  readdirSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import t from 'tap'
import type { Test } from 'tap'
import { stringify } from 'yaml'
import type { LeverName } from '../../src/core/levers.ts'
import { pullLever } from '../../src/platform/levers/lever_store.ts'
import { openSqliteStore } from '../../src/platform/store/sqlite_store.ts'
import { NOW, folder, runCli } from '../support/cli.ts'
import type { CliRun } from '../support/cli.ts'
import { runSallyport } from '../support/sallyport_command.ts'
import { gitlabClaims } from '../support/test_broker.ts'
import { startTestIssuer } from '../support/test_issuer.ts'

const ISSUER = 'https://broker.example.test'
const upstream = await startTestIssuer()
t.teardown(() => upstream.close())

const BY_JOB = { method: 'federated_jwt', connector: 'gitlab', policy: 'acme-main' }
const BY_NAME = { method: 'none' }

type Said = {
  readonly auth?: object
  readonly claims?: object
  readonly store?: object
  readonly cwd?: string
}

function explain(t: Test, auth: object, claims: object, ...flags: string[]): Promise<CliRun> {
  return explainWith(t, { auth, claims }, ...flags)
}

async function explainWith(t: Test, said: Said, ...flags: string[]): Promise<CliRun> {
  const { cwd = folder(t) } = said
  const { argv, token } = prepare({ ...said, cwd })
  return runCli([...argv, ...flags], { cwd, stdin: token })
}

type Prepared = { readonly argv: readonly string[]; readonly token: string }

/** Writes the configuration into the folder. */
function prepare(said: Said & { readonly cwd: string }): Prepared {
  const { auth = BY_NAME, claims = {}, store = { type: 'memory' }, cwd } = said
  writeFileSync(join(cwd, 'jwks.json'), JSON.stringify(upstream.publicJwks()))
  const config = {
    issuer: ISSUER,
    listen: { public: '127.0.0.1:0', ops: 'off' },
    store,
    connectors: [{ id: 'gitlab', type: 'gitlab-ci', issuer: upstream.url, jwksFile: 'jwks.json' }],
    clients: [{ id: 'job', auth, connectors: ['gitlab'] }],
    audiences: [{ id: 'app', clients: ['job'] }],
    policies: [
      {
        name: 'acme-main',
        connector: 'gitlab',
        claims: { project_id: '48291', ref: 'main' },
        grant: { audiences: ['app'], username: 'gitlab:${project_path}' },
      },
    ],
  }
  writeFileSync(join(cwd, 'sallyport.yaml'), stringify(config))
  const now = NOW / 1000
  const times = { iat: now - 10, nbf: now - 10, exp: now + 300 }
  const token = upstream.mint({ ...gitlabClaims(ISSUER), ...times, ...claims })
  const argv = ['explain', '--token', '-', '--client-id', 'job', '--connector', 'gitlab', '--audience', 'app']
  return { argv, token }
}

const EXPIRED = { iat: NOW / 1000 - 900, nbf: NOW / 1000 - 900, exp: NOW / 1000 - 600 }

t.test(
  'a late token of a federated client: the steps of the token, its reason and its own way out',
  async (t) => {
    const { code, stdout, stderr } = await explain(t, BY_JOB, EXPIRED)
    t.equal(code, 1, stderr)
    t.match(
      stdout,
      /^NO {3}client\nyes {4}connector {2}gitlab\nNO {5}subject\n - {5}policy\n - {3}connector\n/m,
    )
    t.match(stdout, /\nsubject_expired: the token’s exp lies in the past\n {2}exp: \d+\n/)
    t.match(stdout, /\n {2}-> exchange earlier in the job, or ask for a fresh token\n/)
    t.match(stdout, /the job gets invalid_client, the audit event says\nclient_assertion_invalid/)
    t.notMatch(stdout, /explain shows all steps|\{"/)

    const named = await explain(t, BY_NAME, EXPIRED)
    t.match(named, { code: 1, stdout: /^yes {2}client {5}job\n[^]*\n {2}-> exchange earlier in the job/m })
    t.notMatch(named.stdout, /invalid_client/)
  },
)

t.test('a job of another branch of a federated client: the policy’s first missing step', async (t) => {
  const { code, stdout } = await explain(t, BY_JOB, { ref: 'feature' })
  t.equal(code, 1)
  t.match(
    stdout,
    /^NO {3}client\nyes {4}connector {2}gitlab\nyes {4}subject {4}project_path:.*\nNO {5}policy {5}acme-main\n/m,
  )
  t.match(stdout, /\npolicy_none_matched: no policy of the connector holds\n {2}acme-main: .*ref/)
})

t.test(
  'a federated job that may gets its token, and JSON keeps both reasons of one that may not',
  async (t) => {
    t.match(await explain(t, BY_JOB, {}), { code: 0, stdout: /^yes {2}client {5}job\nyes {2}connector/m })
    const { stdout } = await explain(t, BY_JOB, EXPIRED, '--json')
    t.match(JSON.parse(stdout), {
      denial: { reason: 'client_assertion_invalid', cause: { reason: 'subject_expired' } },
      proof: { denial: { reason: 'subject_expired' }, policy: 'acme-main' },
    })
  },
)

const SQLITE = { type: 'sqlite', file: 'sallyport.db' }

async function pulled(t: Test, lever: LeverName): Promise<string> {
  const cwd = folder(t)
  const store = await openSqliteStore({ file: join(cwd, 'sallyport.db'), clock: () => NOW })
  const said = { at: NOW, by: 'jane', why: 'INC-42' }
  const event = { id: 'e', at: NOW, lever: { did: 'disabled', ...lever, by: 'jane', why: 'INC-42' } } as const
  await pullLever(store, { ...lever, ...said, until: undefined }, event)
  await store.close()
  return cwd
}

const LEVERS = [
  [
    { kind: 'client', id: 'job' },
    /^NO {3}client$[^]*^client_disabled: .*$[^]*^ {2}-> .*sallyport emergency/m,
  ],
  [{ kind: 'connector', id: 'gitlab' }, /^NO {3}connector$[^]*^connector_disabled: .*$/m],
  [{ kind: 'policy', id: 'acme-main' }, /^NO {3}policy$[^]*^policy_disabled: .*$/m],
] as const
for (const [lever, expected] of LEVERS) {
  t.test(`a ${lever.kind} that is switched off is the step that says no`, async (t) => {
    const cwd = await pulled(t, { action: 'disable', ...lever })
    const run = await explainWith(t, { store: SQLITE, cwd })
    t.match(run, { code: 1, stdout: expected, stderr: '' })
  })
}

t.test(
  'what is switched off is not seen without the store, which is said and is no reason not to explain',
  async (t) => {
    const cwd = await pulled(t, { action: 'disable', kind: 'client', id: 'job' })
    writeFileSync(join(cwd, 'other.db'), 'no database of ours, but long enough to be read as one'.repeat(9))
    for (const [store, why] of [
      [{ type: 'memory' }, 'the store is memory'],
      [{ ...SQLITE, file: 'nowhere.db' }, 'there is no store at '],
      [{ ...SQLITE, file: 'other.db' }, 'other.db'],
    ] as const) {
      const run = await explainWith(t, { store, cwd })
      t.match(run, { code: 0, stdout: /^yes {2}mint/m })
      t.match(run.stderr, /^note: what is switched off in an emergency is not seen: .*\n {4}-> /m)
      t.match(run.stderr, why)
      const json = JSON.parse((await explainWith(t, { store, cwd }, '--json')).stdout)
      t.match(json.leversUnseen, why)
    }
    t.notOk(existsSync(join(cwd, 'nowhere.db')), 'none is made')
    const seen = JSON.parse((await explainWith(t, { store: SQLITE, cwd }, '--json')).stdout)
    t.match(seen, { leversUnseen: null, denial: { reason: 'client_disabled' } })
  },
)

/** Names, modes and bytes of everything in a folder. */
function lying(cwd: string): readonly string[] {
  return readdirSync(cwd).map((name) => {
    const path = join(cwd, name)
    return `${name} ${statSync(path).mode.toString(8)} ${readFileSync(path).toString('base64')}`
  })
}

t.test('a store is read as it lies there: no byte, mode or file of it is another one after', async (t) => {
  const lever = { action: 'disable', kind: 'client', id: 'job' } as const
  const closed = await pulled(t, lever)
  const open = await pulled(t, lever)
  const held = await openSqliteStore({ file: join(open, 'sallyport.db'), clock: () => NOW })
  t.teardown(() => held.close())
  await held.put('other/entry', 'in the log')
  const crashed = folder(t)
  for (const name of readdirSync(open)) copyFileSync(join(open, name), join(crashed, name))
  const noIndex = folder(t)
  for (const name of ['sallyport.db', 'sallyport.db-wal']) copyFileSync(join(open, name), join(noIndex, name))
  const [empty, foreign, without] = [folder(t), folder(t), folder(t)]
  writeFileSync(join(empty, 'sallyport.db'), '')
  const dex = new DatabaseSync(join(foreign, 'sallyport.db'))
  dex.exec('CREATE TABLE client (id TEXT)')
  dex.close()
  for (const [says, cwd, expected] of [
    ['closed', closed, { denial: { reason: 'client_disabled' }, leversUnseen: null }],
    ['of a running server', open, { denial: { reason: 'client_disabled' }, leversUnseen: null }],
    ['of a server that was killed', crashed, { denial: { reason: 'client_disabled' }, leversUnseen: null }],
    ['a copy whose log has no index', noIndex, { leversUnseen: /sallyport\.db: cannot be opened/ }],
    ['empty', empty, { leversUnseen: /there is no store at / }],
    ['another program’s', foreign, { leversUnseen: /belongs to another program/ }],
    ['not there', without, { leversUnseen: /there is no store at / }],
  ] as const) {
    const { argv, token } = prepare({ store: SQLITE, cwd })
    for (const name of readdirSync(cwd)) chmodSync(join(cwd, name), 0o644)
    const before = lying(cwd)
    // A process of its own, as beside a server: SQLite shares what it holds of a file within one.
    const { stdout } = await runSallyport([...argv, '--json'], { cwd, input: token })
    t.match(JSON.parse(stdout), expected, says)
    t.same(lying(cwd), before, says)
  }
})
