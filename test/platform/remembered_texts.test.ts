import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import t from 'tap'
import { parseScopes } from '../../src/core/dex/scopes.ts'
import { parseCompact } from '../../src/core/jwt/compact.ts'
import { ownText } from '../../src/core/own_text.ts'
import { createRateLimit } from '../../src/platform/rate_limit.ts'
import { segment } from '../support/test_issuer.ts'

setFlagsFromString('--expose-gc')
const collectGarbage: () => void = runInNewContext('gc')

const BODIES = 50
const BODY_BYTES = 400_000
/** A quarter of what the bodies weigh. */
const LITTLE_BYTES = (BODIES * BODY_BYTES) / 4

/** Bytes that stay in memory after `use` has seen 50 long requests, each with `wanted` somewhere inside. */
function kept(wanted: (index: number) => string, use: (text: string, index: number) => void): number {
  collectGarbage()
  const before = process.memoryUsage().heapUsed
  for (let index = 0; index < BODIES; index += 1) {
    const text = wanted(index)
    const body = Buffer.from(`${text}&${'p'.repeat(BODY_BYTES)}`).toString()
    use(body.slice(0, text.length), index)
  }
  collectGarbage()
  return process.memoryUsage().heapUsed - before
}

function longName(index: number): string {
  return `client-of-a-long-name-${index}`
}

function tokenOf(index: number): string {
  return `${segment({ alg: 'ES256', kid: `remembered-${index}` })}.${segment({ sub: 's' })}.${'A'.repeat(86)}`
}

t.test('a text of its own reads the same, and keeps nothing else in memory', (t) => {
  t.equal(ownText('audience:server:client_id:été'), 'audience:server:client_id:été')
  const slices: string[] = []
  const own: string[] = []
  t.ok(kept(longName, (text) => slices.push(text)) > LITTLE_BYTES, 'a slice holds the request')
  t.ok(kept(longName, (text) => own.push(ownText(text))) < LITTLE_BYTES)
  t.same(own, slices)
  t.end()
})

t.test('headers of tokens are remembered without the tokens', (t) => {
  const bytes = kept(tokenOf, (token) => {
    if (!parseCompact(token).ok) t.fail('not taken apart')
  })
  t.ok(bytes < LITTLE_BYTES, `${bytes} bytes`)
  t.end()
})

t.test('scopes are remembered without the form that they stood in', (t) => {
  const bytes = kept((index) => `audience:server:client_id:a${index}`, parseScopes)
  t.ok(bytes < LITTLE_BYTES, `${bytes} bytes`)
  t.end()
})

t.test('a rate limit remembers who asked, and not with what', (t) => {
  const limit = createRateLimit({ rate: 1, burst: 2, maxKeys: 1000, clock: () => 0 })
  const bytes = kept(longName, (id, index) => void limit.take(`${id} 192.0.2.${index}`))
  t.ok(bytes < LITTLE_BYTES, `${bytes} bytes`)
  t.equal(limit.take(`${longName(1)} 192.0.2.1`), 0)
  t.equal(limit.take(`${longName(1)} 192.0.2.1`), 1, 'and knows them again')
  t.end()
})
