// Token buckets, client addresses, request ids, randomness, and the log's text form.
import { execFileSync } from 'node:child_process'
import t from 'tap'
import { callerNetwork, createClientAddress } from '../../src/platform/http/client_address.ts'
import { createRequestIds } from '../../src/platform/http/request_id.ts'
import { createRandomBytes } from '../../src/platform/random.ts'
import { createRateLimit } from '../../src/platform/rate_limit.ts'

function limitAt(over: { readonly rate?: number; readonly burst?: number; readonly maxKeys?: number } = {}) {
  const clock = { now: 1_000_000 }
  return {
    clock,
    limit: createRateLimit({ rate: 2, burst: 3, maxKeys: 100, clock: () => clock.now, ...over }),
  }
}

t.test('a burst passes, then the rate, and the wait is told in whole seconds', async (t) => {
  const { clock, limit } = limitAt()
  t.same(
    [1, 2, 3, 4].map(() => limit.take('a')),
    [0, 0, 0, 1],
  )
  t.equal(limit.take('b'), 0, 'another key has its own bucket')
  clock.now += 500
  t.same([limit.take('a'), limit.take('a')], [0, 1])
  clock.now += 60_000
  t.same(
    [1, 2, 3, 4].map(() => limit.take('a')),
    [0, 0, 0, 1],
    'never more than the burst',
  )
})

t.test('a slow rate tells a longer wait', async (t) => {
  const { limit } = limitAt({ rate: 0.1, burst: 1 })
  t.same([limit.take('a'), limit.take('a')], [0, 10])
})

t.test('a clock that jumps back locks nobody out for long', async (t) => {
  const { clock, limit } = limitAt({ burst: 1 })
  t.equal(limit.take('a'), 0)
  clock.now -= 3_600_000
  t.equal(limit.take('a'), 1)
  clock.now += 1000
  t.equal(limit.take('a'), 0)
})

t.test('rate 0 is no limit, and memory is bounded whatever keys come', async (t) => {
  const off = limitAt({ rate: 0 })
  t.ok(Array.from({ length: 1000 }, () => off.limit.take('a')).every((wait) => wait === 0))
  for (const [others, wait] of [
    [9, 1],
    [10, 0],
  ] as const) {
    const { limit } = limitAt({ maxKeys: 10, burst: 1 })
    limit.take('first')
    for (let count = 0; count < others; count += 1) limit.take(`key-${count}`)
    t.equal(limit.take('first'), wait, 'the least recently seen of more than ten is forgotten')
  }
})

t.test('an address is the socket’s, in one spelling', async (t) => {
  const plain = createClientAddress(undefined)
  t.equal(
    plain('::ffff:192.0.2.1', () => '1.2.3.4'),
    '192.0.2.1',
  )
  t.equal(
    plain('2001:db8::1', () => undefined),
    '2001:db8::1',
  )
})

t.test('only a trusted proxy’s header is read, from the right, past further proxies', async (t) => {
  const addressOf = createClientAddress({
    header: 'X-Real',
    trustedProxies: ['10.0.0.0/8', '2001:db8::/32', '192.0.2.9'],
  })
  const rows: readonly (readonly [socket: string, header: string | undefined, expected: string])[] = [
    ['10.1.1.1', '198.51.100.7', '198.51.100.7'],
    ['10.1.1.1', '1.2.3.4, 198.51.100.7', '198.51.100.7'],
    ['10.1.1.1', '198.51.100.7, 10.2.2.2', '198.51.100.7'],
    ['::ffff:10.1.1.1', '198.51.100.7', '198.51.100.7'],
    ['2001:db8::1', '2001:4860::1', '2001:4860::1'],
    ['10.1.1.1', 'fe80::1%a:.b', 'fe80::1'],
    ['10.1.1.1', '::FFFF:198.51.100.7', '198.51.100.7'],
    ['192.0.2.9', '198.51.100.7', '198.51.100.7'],
    ['203.0.113.1', '198.51.100.7', '203.0.113.1'],
    ['10.1.1.1', undefined, '10.1.1.1'],
    ['10.1.1.1', 'unknown', '10.1.1.1'],
    ['10.1.1.1', '198.51.100.7, evil\n', '10.1.1.1'],
    ['10.1.1.1', '10.2.2.2', '10.1.1.1'],
  ]
  for (const [socket, header, expected] of rows)
    t.equal(
      addressOf(socket, (name) => (name === 'x-real' ? header : 'wrong header')),
      expected,
      `${socket} ${header}`,
    )
  t.throws(() => createClientAddress({ header: 'x', trustedProxies: ['nonsense'] }), RangeError)
})

t.test('one caller is an IPv4 address, or an IPv6 /64 however it is written', async (t) => {
  const rows: readonly (readonly [address: string, network: string])[] = [
    ['192.0.2.1', '192.0.2.1'],
    ['2001:db8:1:2::1', '2001:db8:1:2::/64'],
    ['2001:db8:1:2:ffff:ffff:ffff:ffff', '2001:db8:1:2::/64'],
    ['2001:0DB8:0001:0002::9', '2001:db8:1:2::/64'],
    ['2001:db8::1', '2001:db8:0:0::/64'],
    ['2001::2:3:4:5:6:7', '2001:0:2:3::/64'],
    ['::1', '0:0:0:0::/64'],
    ['::', '0:0:0:0::/64'],
    ['64:ff9b::192.0.2.1', '64:ff9b:0:0::/64'],
    ['fe80::1%eth0', 'fe80:0:0:0::/64'],
    ['unknown:address', 'unknown:address'],
    ['', ''],
  ]
  for (const [address, network] of rows) t.equal(callerNetwork(address), network, address)
})

t.test('request ids differ within a process and between two', async (t) => {
  const randomBytes = createRandomBytes()
  const [first, second] = [createRequestIds(randomBytes), createRequestIds(randomBytes)]
  const ids = [first(), first(), second(), second()]
  t.equal(new Set(ids).size, 4)
  for (const id of ids) t.match(id, /^[0-9a-f]{12}-[0-9a-z]+$/)
})

t.test('pooled randomness is never handed out twice and is a copy', async (t) => {
  const randomBytes = createRandomBytes()
  const seen = new Set<string>()
  for (let count = 0; count < 2000; count += 1) seen.add(Buffer.from(randomBytes(16)).toString('hex'))
  t.equal(seen.size, 2000)
  const kept = randomBytes(32)
  const before = Buffer.from(kept).toString('hex')
  for (let count = 0; count < 1000; count += 1) randomBytes(32)
  t.equal(Buffer.from(kept).toString('hex'), before)
  t.equal(randomBytes(10_000).length, 10_000)
  t.not(Buffer.from(randomBytes(10_000)).toString('hex'), '00'.repeat(10_000))
})

t.test('log lines go to stderr, as JSON or as text on one line', async (t) => {
  const url = new URL('../../src/platform/log.ts', import.meta.url).href
  const logged = (format: string): string =>
    execFileSync(
      'sh',
      [
        '-c',
        '"$0" --input-type=module-typescript -e "$1" 2>&1 >/dev/null',
        process.execPath,
        `import { createLog } from ${JSON.stringify(url)}
         const log = createLog({ level: 'info', format: '${format}' })
         log.debug({}, 'not this'); log.warn({ a: 'x y', b: 1, c: 'new\\nline' }, 'said')`,
      ],
      { encoding: 'utf8' },
    )
  t.match(JSON.parse(logged('json')), {
    level: 40,
    msg: 'said',
    a: 'x y',
    b: 1,
    c: 'new\nline',
    time: /^\d{4}-.*Z$/,
  })
  t.match(logged('text'), /^\d{4}-\S+Z warn said a="x y" b=1 c="new\\nline"\n$/)
})
