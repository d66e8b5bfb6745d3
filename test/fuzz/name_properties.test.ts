// Versions, sources, users and times that are nearly good, beside their specifications.
import { array, constantFrom, date, integer, oneof, record, string, tuple } from 'fast-check'
import type { Arbitrary } from 'fast-check'
import t from 'tap'
import { secondsOfTime, timeOfSeconds } from '../../src/core/date_time.ts'
import { hostAndPath } from '../../src/core/issuer/claim_shape.ts'
import { foldSource, sourceOf } from '../../src/core/module/source_of.ts'
import { formatDuration, parseDuration } from '../../src/platform/config/duration.ts'
import { aModule } from '../support/module_changes.ts'
import { anyText, holdsForAll } from './property.ts'
import { agree } from './target.ts'
import { targetNamed } from './targets.ts'

const versionOf = (prefix: Arbitrary<string>, core: Arbitrary<string>, tail: Arbitrary<string>) =>
  tuple(prefix, core, core, core, array(tail, { maxLength: 3 })).map(
    ([start, major, minor, patch, parts]) =>
      `${start}${major}.${minor}.${patch}${parts.length === 0 ? '' : `-${parts.join('.')}`}`,
  )

t.test('a version is what semver.org says one is, and their order is that of its paragraph 11', async (t) => {
  const number = constantFrom('0', '1', '2', '10')
  const part = constantFrom('alpha', 'rc', '1', '10', '2', '0', 'a-1', 'A', '-', '1a')
  const good = versionOf(constantFrom('', 'v'), number, part)
  const odd = versionOf(
    constantFrom('', 'v', 'V', 'vv'),
    oneof(number, constantFrom('01', '', '999999999999999999', '1000000000000000000')),
    oneof(part, constantFrom('01', '', '+b', '_')),
  )
  const close = array(part, { maxLength: 3 }).map(
    (parts) => `1.0.0${parts.length === 0 ? '' : `-${parts.join('.')}`}`,
  )
  const version = oneof(good, odd, close)
  holdsForAll(
    t,
    2500,
    array(oneof(version, string({ maxLength: 8 })), { minLength: 1, maxLength: 4 }),
    (versions) => {
      targetNamed('version').check(Buffer.from(versions.join('\n')))
    },
  )
})

const ours = (address: string) => sourceOf(aModule({ config: { repoUrl: address } }))

t.test('every spelling of a repository is one source, folded once and for all', async (t) => {
  const segment = string({
    unit: constantFrom('a', 'B', '1', '-', '_', 'k', '\u212a'),
    minLength: 1,
    maxLength: 6,
  })
  const path = array(segment, { minLength: 2, maxLength: 4 })
  holdsForAll(t, 1500, tuple(constantFrom('GitHub.com', 'gitlab.example.com'), path), ([host, parts]) => {
    const plain = ours(`https://${host}/${parts.join('/')}`)
    for (const address of [
      `http://${host.toUpperCase()}/${parts.join('/')}.git`,
      `ssh://git@${host}:2222/${parts.join('/')}.git`,
      `git@${host}:${parts.join('/')}`,
      `https://user@${host}//${parts.join('/')}//`,
    ])
      agree(address, ours(address), plain)
    agree('folded', plain, foldSource(plain ?? ''))
  })
  const scrap = constantFrom(
    'https://',
    'ssh://',
    'git@',
    'a',
    'A',
    '/',
    ':',
    '.git',
    '..',
    '.',
    '%2f',
    '?',
    '#',
    '@',
    '\\',
    ' ',
    '[::1]',
    '\u212a',
  )
  holdsForAll(t, 2000, array(scrap, { maxLength: 8 }), (parts) => {
    targetNamed('source').check(Buffer.from(parts.join('')))
    targetNamed('address').check(Buffer.from(parts.join('')))
  })
})

t.test('an address of nothing but slashes takes no time to speak of', async (t) => {
  const began = performance.now()
  for (let round = 0; round < 20; round += 1)
    agree(
      'path',
      hostAndPath(`https://h/${round}${'/'.repeat(15_000)}x`)?.path.length,
      15_002 + String(round).length,
    )
  t.ok(performance.now() - began < 500)
})

t.test('folding changes the 26 letters and nothing else', async (t) => {
  const tricky = array(constantFrom('\u212a', '\u0130', '\u017f', 'K', 'I', '\u00c4', '\u{10400}'), {
    maxLength: 4,
  })
  holdsForAll(
    t,
    1000,
    oneof(
      anyText(),
      tricky.map((parts) => parts.join('')),
    ),
    (text) => {
      const letters = Array.from(text, (point) =>
        point >= 'A' && point <= 'Z' && point.length === 1
          ? String.fromCodePoint(point.charCodeAt(0) + 32)
          : point,
      )
      agree('folded', foldSource(text), letters.join(''))
      agree('twice', foldSource(foldSource(text)), foldSource(text))
    },
  )
})

t.test('a user of a token review is what the token says behind the prefixes, or nobody', async (t) => {
  const name = oneof(
    constantFrom<unknown>(
      'ci',
      'system:admin',
      'client:x',
      'System:x',
      '',
      1,
      null,
      ['a'],
      ['system:masters', 'b'],
      [[]],
    ),
    string({ maxLength: 4 }),
  )
  const claims = record(
    {
      token_use: constantFrom('kube', 'id', 1),
      aud: constantFrom<unknown>('c', ['c'], ['c', 'd'], [], 'd'),
      sub: name,
      username: name,
      uid: name,
      groups: name,
      jti: name,
    },
    { requiredKeys: ['token_use', 'aud', 'username'] },
  )
  holdsForAll(t, 3000, claims, (token) => {
    targetNamed('kube-user').check(Buffer.from(JSON.stringify(token)))
  })
})

const digits = (least: number, most: number) =>
  integer({ min: least, max: most }).map((value) => String(value).padStart(2, '0'))

t.test('a time is read as the calendar has it, and written back', async (t) => {
  const zone = oneof(
    constantFrom('Z', 'z', ''),
    tuple(constantFrom('+', '-'), digits(0, 24), digits(0, 60)).map(
      ([sign, hours, minutes]) => `${sign}${hours}:${minutes}`,
    ),
  )
  const time = tuple(
    constantFrom('0000', '0001', '1900', '2000', '2027', '2028', '9999'),
    digits(0, 13),
    digits(0, 32),
    digits(0, 24),
    digits(0, 60),
    digits(0, 61),
    constantFrom('', '.5', '.1234567890'),
    zone,
  ).map(
    ([year, month, day, hour, minute, second, fraction, offset]) =>
      `${year}-${month}-${day}T${hour}:${minute}:${second}${fraction}${offset}`,
  )
  holdsForAll(t, 3000, time, (text) => {
    targetNamed('time').check(Buffer.from(text))
  })
  holdsForAll(
    t,
    1000,
    date({
      min: new Date('0001-01-01T00:00:00Z'),
      max: new Date('9999-12-31T23:59:59Z'),
      noInvalidDate: true,
    }),
    (moment) => {
      const seconds = Math.floor(moment.getTime() / 1000)
      agree('written', timeOfSeconds(seconds), `${new Date(seconds * 1000).toISOString().slice(0, 19)}Z`)
      agree('read', secondsOfTime(moment.toISOString()), seconds)
    },
  )
})

t.test('a duration is what Go reads, and comes back from its shortest spelling', async (t) => {
  const piece = constantFrom(
    '1',
    '10',
    '.5',
    '1.',
    '.',
    'h',
    'm',
    's',
    'ms',
    'us',
    '\u00b5s',
    'ns',
    '-',
    '+',
    '0',
    'd',
    ' ',
  )
  holdsForAll(t, 3000, array(piece, { maxLength: 7 }), (pieces) => {
    targetNamed('time').check(Buffer.from(pieces.join('')))
  })
  holdsForAll(t, 500, integer({ min: 0, max: 10_000_000 }), (seconds) =>
    agree('back', parseDuration(formatDuration(seconds)), seconds),
  )
})
