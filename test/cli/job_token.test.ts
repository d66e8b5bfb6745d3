// Where each platform keeps the job's own token, played by local servers and programs.
import { chmodSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { JobTokenDeps } from '../../src/cli/job_token/source.ts'
import { JOB_TOKEN_SOURCES, obtainJobToken } from '../../src/cli/job_token/sources.ts'
import { fakeServer, folder, GRANTED, runCli, unsignedJwt } from '../support/cli.ts'

const TOKEN = unsignedJwt({ iss: 'https://ci.example.test' })
const BROKER = 'https://broker.example.test'
const nothing = { file: undefined, variable: undefined, source: undefined }

/** A world without network, programs or files; each test gives what its platform has. */
function deps(over: Partial<JobTokenDeps> = {}): JobTokenDeps {
  return {
    http: async () => {
      throw new Error('no request expected')
    },
    run: async () => {
      throw Object.assign(new Error('spawn ENOENT'), { code: 'ENOENT' })
    },
    readFile: async () => {
      throw new Error('ENOENT')
    },
    ...over,
  }
}

for (const platform of [
  { name: 'github', env: { GITHUB_ACTIONS: 'true' }, lacks: /permissions: \{id-token: write/ },
  {
    name: 'gitea',
    env: { GITHUB_ACTIONS: 'true', GITEA_ACTIONS: 'true' },
    lacks: /permissions: \{id-token: write/,
  },
  {
    name: 'forgejo',
    env: { GITHUB_ACTIONS: 'true', GITEA_ACTIONS: 'true', FORGEJO_ACTIONS: 'true' },
    lacks: /enable-openid-connect: true/,
  },
]) {
  t.test(
    `a ${platform.name} job asks its server, keeping the query, for the broker as audience`,
    async (t) => {
      const server = await fakeServer(t, [{ body: { value: TOKEN } }])
      const broker = await fakeServer(t, [GRANTED])
      const env = {
        ...platform.env,
        ACTIONS_ID_TOKEN_REQUEST_URL: `${server.url}/idtoken?placeholder=true`,
        ACTIONS_ID_TOKEN_REQUEST_TOKEN: 'runtime-token',
      }
      const run = await runCli(['exchange', '--broker', broker.url, '--client-id', 'ci'], { env })
      t.equal(run.code, 0)
      t.equal(server.asked[0]?.url, `/idtoken?placeholder=true&audience=${encodeURIComponent(broker.url)}`)
      t.equal(server.asked[0]?.headers.authorization, 'Bearer runtime-token')
      t.equal(broker.asked[0]?.form.get('subject_token'), TOKEN)
    },
  )

  t.test(`a ${platform.name} job without the right learns what to add`, async (t) => {
    const run = await runCli(['exchange', '--broker', BROKER, '--client-id', 'ci'], { env: platform.env })
    t.equal(run.code, 1)
    t.match(run.stderr, platform.lacks)
  })
}

t.test('a refusal of the token request is told with the way out, and not the answer', async (t) => {
  const server = await fakeServer(t, [{ status: 403, body: { message: 'missing scope' } }])
  const env = {
    GITHUB_ACTIONS: 'true',
    ACTIONS_ID_TOKEN_REQUEST_URL: `${server.url}/x?y=1`,
    ACTIONS_ID_TOKEN_REQUEST_TOKEN: 'runtime-token',
  }
  const run = await runCli(['exchange', '--broker', BROKER, '--client-id', 'ci'], { env })
  t.equal(run.code, 1)
  t.match(run.stderr, 'the token request was answered 403')
  t.notMatch(run.stderr, /runtime-token|missing scope/)
})

t.test('a GitLab job has it in a variable, by one of the usual names or by a named one', async (t) => {
  const env = { GITLAB_CI: 'true' }
  const usual = await obtainJobToken(nothing, { ...env, GITLAB_OIDC_TOKEN: TOKEN }, BROKER, deps())
  t.match(usual, { ok: true, value: { token: TOKEN, source: 'GitLab CI ($GITLAB_OIDC_TOKEN)' } })
  const named = { ...nothing, variable: 'MY_TOKEN' }
  t.match(await obtainJobToken(named, { ...env, MY_TOKEN: `${TOKEN}\n` }, BROKER, deps()), { ok: true })
  t.match(await obtainJobToken(named, { ...env, GITLAB_OIDC_TOKEN: TOKEN }, BROKER, deps()), {
    ok: false,
    denial: { message: '$MY_TOKEN is not set' },
  })
  t.match(await obtainJobToken(nothing, { ...env, VAULT_ID_TOKEN: TOKEN }, BROKER, deps()), {
    ok: false,
    denial: { wayOut: /id_tokens: \{SALLYPORT_ID_TOKEN: \{aud: https:\/\/broker\.example\.test\}\}/ },
  })
})

t.test('an Azure DevOps job posts to its request URI', async (t) => {
  const server = await fakeServer(t, [{ body: { oidcToken: TOKEN } }])
  const broker = await fakeServer(t, [GRANTED])
  const env = {
    TF_BUILD: 'True',
    SYSTEM_OIDCREQUESTURI: `${server.url}/oidctoken`,
    SYSTEM_ACCESSTOKEN: 'access',
  }
  t.equal((await runCli(['exchange', '--broker', broker.url, '--client-id', 'ci'], { env })).code, 0)
  t.equal(server.asked[0]?.method, 'POST')
  t.equal(server.asked[0]?.url, '/oidctoken?api-version=7.1-preview.1')
  t.equal(server.asked[0]?.headers.authorization, 'Bearer access')
  const mapped = { TF_BUILD: 'True', SYSTEM_OIDCREQUESTURI: server.url }
  const run = await runCli(['exchange', '--broker', broker.url, '--client-id', 'ci'], { env: mapped })
  t.equal(run.code, 1)
  t.match(run.stderr, 'SYSTEM_ACCESSTOKEN: $(System.AccessToken)')
})

t.test('a Buildkite job runs the agent, no shell between', async (t) => {
  const calls: unknown[] = []
  const run = async (program: string, args: readonly string[]): Promise<string> => {
    calls.push([program, ...args])
    return `${TOKEN}\n`
  }
  const got = await obtainJobToken(nothing, { BUILDKITE: 'true' }, 'https://b/;reboot', deps({ run }))
  t.match(got, { ok: true, value: { token: TOKEN } })
  t.strictSame(calls, [['buildkite-agent', 'oidc', 'request-token', '--audience', 'https://b/;reboot']])
  t.match(await obtainJobToken(nothing, { BUILDKITE: 'true' }, BROKER, deps()), {
    ok: false,
    denial: { wayOut: /buildkite-agent/ },
  })
})

t.test('a program of the platform is really run', async (t) => {
  const bin = folder(t)
  const agent = join(bin, 'buildkite-agent')
  writeFileSync(agent, `#!/bin/sh\n[ "$1 $2 $3" = 'oidc request-token --audience' ] && echo '${TOKEN}'\n`)
  chmodSync(agent, 0o755)
  const broker = await fakeServer(t, [GRANTED])
  const before = process.env['PATH']
  process.env['PATH'] = `${bin}:${before}`
  t.teardown(() => {
    process.env['PATH'] = before
  })
  const env = { BUILDKITE: 'true' }
  const run = await runCli(['exchange', '--broker', broker.url, '--client-id', 'ci'], { env })
  t.equal(run.code, 0, run.stderr)
  t.equal(broker.asked[0]?.form.get('subject_token'), TOKEN)
})

t.test('a CircleCI job asks its program for our audience, or takes the token it has', async (t) => {
  const run = async (_program: string, args: readonly string[]): Promise<string> => {
    t.strictSame(args, ['run', 'oidc', 'get', '--claims', '{"aud":"https://broker.example.test"}'])
    return TOKEN
  }
  const env = { CIRCLECI: 'true', CIRCLE_OIDC_TOKEN_V2: 'from.the.environment' }
  t.match(await obtainJobToken(nothing, env, BROKER, deps({ run })), { ok: true, value: { token: TOKEN } })
  t.match(await obtainJobToken(nothing, env, BROKER, deps()), {
    ok: true,
    value: { token: 'from.the.environment' },
  })
  t.match(await obtainJobToken(nothing, { CIRCLECI: 'true' }, BROKER, deps()), { ok: false })
})

t.test('a pod reads its projected file', async (t) => {
  const files: string[] = []
  const readFile = async (path: string): Promise<string> => {
    files.push(path)
    return `${TOKEN}\n`
  }
  const env = { KUBERNETES_SERVICE_HOST: '10.0.0.1' }
  t.match(await obtainJobToken(nothing, env, BROKER, deps({ readFile })), {
    ok: true,
    value: { token: TOKEN },
  })
  t.strictSame(files, ['/var/run/secrets/sallyport/token'])
  t.match(await obtainJobToken(nothing, env, BROKER, deps()), {
    ok: false,
    denial: { wayOut: /serviceAccountToken: \{path: token, audience: "https:\/\/broker/ },
  })
})

t.test('a CI job inside a pod uses the job token, unless it is told otherwise', async (t) => {
  const env = { KUBERNETES_SERVICE_HOST: '10.0.0.1', GITLAB_CI: 'true', ID_TOKEN: TOKEN }
  const world = deps({ readFile: async () => 'pod.token.x' })
  t.match(await obtainJobToken(nothing, env, BROKER, world), { ok: true, value: { token: TOKEN } })
  t.match(await obtainJobToken({ ...nothing, source: 'kubernetes' }, env, BROKER, world), {
    ok: true,
    value: { token: 'pod.token.x' },
  })
})

t.test('a token comes from a file or from standard input, and must look like one', async (t) => {
  const broker = await fakeServer(t, [GRANTED])
  const cwd = folder(t)
  writeFileSync(join(cwd, 'good'), `${TOKEN}\r\n`)
  writeFileSync(join(cwd, 'empty'), '\n')
  writeFileSync(join(cwd, 'page'), '<html>\nSign in\n</html>')
  writeFileSync(join(cwd, 'huge'), 'a'.repeat(70_000))
  const argv = ['exchange', '--broker', broker.url, '--client-id', 'ci', '--subject-token-file']
  t.equal((await runCli([...argv, 'good'], { cwd })).code, 0)
  t.equal((await runCli([...argv, '-'], { stdin: TOKEN })).code, 0)
  t.strictSame(
    broker.asked.map(({ form }) => form.get('subject_token')),
    [TOKEN, TOKEN],
  )
  for (const [file, said] of [
    ['empty', 'the token is empty'],
    ['page', 'this is not a token'],
    ['huge', 'longer than 65536 bytes'],
    ['absent', 'cannot be read (ENOENT)'],
  ] as const) {
    const run = await runCli([...argv, file], { cwd })
    t.equal(run.code, 1)
    t.match(run.stderr, said)
  }
  t.equal(broker.asked.length, 2, 'nothing of that was sent')
})

t.test('outside of any CI the way out is named', async (t) => {
  t.match(await obtainJobToken(nothing, {}, BROKER, deps()), {
    ok: false,
    denial: { message: 'no CI platform is recognised here', wayOut: /--subject-token-file/ },
  })
})

t.test('the help of exchange lists every source', async (t) => {
  const { stdout } = await runCli(['exchange', '--help'])
  for (const { name } of JOB_TOKEN_SOURCES) t.match(stdout, name)
})
