// `sallyport token`: decodes with the broker's strict parser, verifies nothing, sends nothing.
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { folder, NOW, runCli, unsignedJwt } from '../support/cli.ts'

const SECONDS = NOW / 1000
const CLAIMS = { iss: 'https://broker.example.test', aud: 'kubernetes', sub: 'x', exp: SECONDS + 552 }

t.test('a token is shown with its claims, its audience and its time left', async (t) => {
  const run = await runCli(['token', '-'], { stdin: `${unsignedJwt(CLAIMS)}\n` })
  t.equal(run.code, 0)
  t.match(run.stdout, '"alg": "RS256"')
  t.match(run.stdout, '"iss": "https://broker.example.test"')
  t.match(run.stdout, 'good for   kubernetes alone')
  t.match(run.stdout, '9 min 12 s left (until 2026-11-21T00:09:12.000Z)')
  t.match(run.stdout, 'not verified')
})

t.test('the words fit what is unusual about a token', async (t) => {
  const cases: readonly (readonly [Record<string, unknown>, string])[] = [
    [{ aud: ['a', 'b', 'c'], azp: 'ci' }, 'good for   a, b and c, asked for by ci'],
    [{ aud: undefined }, 'no audience: anybody may take it for meant'],
    [{ exp: undefined }, 'no end (no exp)'],
    [{ exp: 9e12 }, 'no end (no exp)'],
    [{ exp: SECONDS - 90_000 }, 'expired 1 d 1 h ago'],
    [{ nbf: SECONDS + 60 }, 'not valid for another 1 min'],
  ]
  for (const [change, said] of cases) {
    const run = await runCli(['token', '-'], { stdin: unsignedJwt({ ...CLAIMS, ...change }) })
    t.equal(run.code, 0)
    t.match(run.stdout, said)
  }
})

t.test('--json gives a program the same', async (t) => {
  const run = await runCli(['token', '--json', '-'], { stdin: unsignedJwt(CLAIMS) })
  t.strictSame(JSON.parse(run.stdout), {
    header: { alg: 'RS256', kid: 'k1', typ: 'JWT' },
    claims: CLAIMS,
    expires_at: '2026-11-21T00:09:12.000Z',
    seconds_left: 552,
    verified: false,
  })
})

t.test('a CI token from a file is read as it is', async (t) => {
  const cwd = folder(t)
  const claims: unknown = JSON.parse(readFileSync('test/fixtures/issuers/gitlab-push-main.json', 'utf8'))
  t.type(claims, 'object')
  writeFileSync(join(cwd, 'job.jwt'), unsignedJwt({ ...Object(claims) }))
  const run = await runCli(['token', 'job.jwt'], { cwd })
  t.equal(run.code, 0)
  t.match(run.stdout, '"project_path": "acme-platform/terraform-aws-eks"')
})

t.test('text that reorders or steers the terminal is shown as an escape', async (t) => {
  const run = await runCli(['token', '-'], { stdin: unsignedJwt({ ...CLAIMS, iss: 'a\u202eb\u009bc\n::x' }) })
  t.match(run.stdout, 'issued by  a\\u202eb\\u009bc\\u000a::x\n')
  t.match(run.stdout, '"iss": "a\\u202eb\\u009bc\\n::x"')
  t.notOk(/[\u0080-\u009f\u202e]/.test(run.stdout))
})

t.test('what the broker would not read is exit code 1 with the reason, and is not echoed', async (t) => {
  const good = unsignedJwt(CLAIMS)
  for (const [text, reason] of [
    ['hello', 'not three non-empty segments'],
    [`${good}=`, 'not canonical base64url'],
    [good.replace('.', '..'), 'segments'],
  ] as const) {
    const run = await runCli(['token', '-'], { stdin: text })
    t.equal(run.code, 1)
    t.match(run.stderr, reason)
    t.equal(run.stdout, '')
    t.notOk(run.stderr.includes(text))
  }
  const absent = await runCli(['token', 'absent.jwt'], { cwd: '/nonexistent' })
  t.equal(absent.code, 1)
  t.match(absent.stderr, '/nonexistent/absent.jwt cannot be read (ENOENT)')
})
