// Names that something hangs on: versions, sources, users, addresses; and times.
import { secondsOfTime, timeOfSeconds } from '../../../src/core/date_time.ts'
import { hostAndPath } from '../../../src/core/issuer/claim_shape.ts'
import { reviewedUser } from '../../../src/core/kube/token_review.ts'
import { readStrictJsonObject, TOKEN_JSON_LIMITS } from '../../../src/core/jwt/strict_json.ts'
import { foldSource, sourceOf } from '../../../src/core/module/source_of.ts'
import { compareVersions, readVersionIdentity } from '../../../src/core/module/version_identity.ts'
import { parseDuration } from '../../../src/platform/config/duration.ts'
import { aModule } from '../../support/module_changes.ts'
import { isPlainSource, slowDuration, slowOrder, slowTime, slowVersion } from '../reference/names.ts'
import { agree, must, textOf } from '../target.ts'
import type { FuzzTarget } from '../target.ts'

const version: FuzzTarget = {
  name: 'version',
  about:
    "version identity and order, beside semver.org's expression and §11 with big integers; several parted by line feeds",
  seeds: [
    '1.2.3\nv1.2.3\n1.2.3-rc.1',
    '1.0.0-alpha\n1.0.0-alpha.1\n1.0.0-alpha.beta\n1.0.0-beta.11\n1.0.0-beta.2',
    '01.2.3\n1.2.3+b\n1.2\nV1.0.0',
    '999999999999999999.0.0\n1000000000000000000.0.0',
  ],
  words: ['.', '-', '+', 'v', '0', '1', '00', '-rc.1', 'alpha', '.0', '\n', '--', '.-', '999999999999999999'],
  check: (input) => {
    const texts = input.toString('utf8').split('\n').slice(0, 6)
    const read = texts.map((text) => ({
      text,
      ours: readVersionIdentity(text),
      reference: slowVersion(text),
    }))
    for (const { text, ours, reference } of read) {
      must(
        ours.ok === (reference !== undefined),
        `"${text}": ${ours.ok ? 'accepted' : ours.denial}; the reference differs`,
      )
      if (!ours.ok) continue
      must(
        `v${ours.value.plain}` === text || ours.value.plain === text,
        'the plain spelling is another version',
      )
      agree('core', ours.value.core, reference?.core.map(String))
      agree('pre-release', ours.value.prerelease, reference?.prerelease)
    }
    for (const left of read)
      for (const right of read) {
        if (!left.ours.ok || !right.ours.ok || left.reference === undefined || right.reference === undefined)
          continue
        agree(
          `${left.text} and ${right.text}`,
          Math.sign(compareVersions(left.ours.value, right.ours.value)),
          slowOrder(left.reference, right.reference),
        )
      }
    const refusal = read.map(({ ours }) => (ours.ok ? '' : ours.denial)).find((denial) => denial !== '')
    return refusal === undefined ? `${read.length} accepted` : `refused: ${refusal}`
  },
}

const source: FuzzTarget = {
  name: 'source',
  about:
    'the repository of a Module: a plain host and path, folded once and for all, the same for every spelling of it',
  seeds: [
    'https://github.com/Acme/VPC.git',
    'git@gitlab.example.com:group/sub/x.git',
    'ssh://git@host:2222/a/b',
    'https://github.com/a/b?x=1',
    'http://[::1]:8080/a/b',
    'https://user:pw@host/a/b//',
    'https://git%68ub.com/a/b',
    'https://127.1/a/b',
    'git@a..b.:x/../y/z',
  ],
  words: [
    'https://',
    'http://',
    'ssh://',
    'git://',
    'git@',
    ':',
    '/',
    '//',
    '.git',
    '.GIT',
    '..',
    '.',
    '%2f',
    '%2e%2e',
    '?',
    '#',
    '@',
    '\\',
    ' ',
    '\u212a',
    '\t',
    '[::1]',
    '127.1',
    '0x7f',
    '%68',
    '\u3002',
    '\u00ad',
    'xn--',
    '-',
  ],
  check: (input) => {
    const address = input.toString('utf8')
    const ours = sourceOf(aModule({ config: { repoUrl: address } }))
    if (address === '' || ours === undefined) return 'no source'
    must(isPlainSource(ours), `"${ours}" is no plain source`)
    // As somebody wrote it: nothing was decoded, mapped or cut out to make one host of another.
    const host = /^[^/:[]*/.exec(ours)?.[0] ?? ''
    must(address.toLowerCase().includes(host), `"${host}" is no host that was written`)
    must(foldSource(ours) === ours, 'folded twice it is another')
    must(!ours.endsWith('.git.git') || /\.git\.git/i.test(address), 'an ending that nobody wrote')
    // Numbers, punycode and the like are spelled differently below another scheme, and an ending goes once.
    if (/^[a-wyz][a-z0-9-]*(?:\.[a-wyz][a-z0-9-]*)*\//.test(ours) && !ours.endsWith('.git'))
      agree('again', sourceOf(aModule({ config: { repoUrl: `https://${ours}` } })) ?? 'no source', ours)
    return `source of ${Math.min(6, ours.split('/').length)} parts`
  },
}

const time: FuzzTarget = {
  name: 'time',
  about: "RFC 3339 times and Go's durations, beside Date and a reader of single units",
  seeds: [
    '2027-02-28T23:59:59Z',
    '2028-02-29T00:00:00.123+05:30',
    '2027-02-29T00:00:00Z',
    '0001-01-01T00:00:00Z',
    '1h30m',
    '-1.5s',
    '.5ms1\u00b5s',
    '0',
    '1',
    '9999-12-31T23:59:59-23:59',
  ],
  words: [
    '-',
    ':',
    'T',
    'Z',
    '.',
    '+',
    '00',
    '29',
    '02',
    '60',
    '24',
    'h',
    'm',
    's',
    'ms',
    'ns',
    '\u00b5s',
    '\u03bcs',
    '1',
  ],
  check: (input) => {
    const text = input.toString('utf8')
    const seconds = secondsOfTime(text)
    agree('time', seconds, slowTime(text))
    if (seconds !== undefined && seconds >= -62135596800 && seconds <= 253402300799)
      agree('written again', secondsOfTime(timeOfSeconds(seconds)), seconds)
    const duration = parseDuration(text)
    const reference = slowDuration(text)
    // Longer ones are refused here alone.
    if (text.length <= 64) agree('duration', duration === undefined, reference === undefined)
    if (duration !== undefined && reference !== undefined)
      must(Math.abs(duration - reference) <= Math.abs(reference) * 1e-9, `${duration} s and ${reference} s`)
    return `${seconds === undefined ? 'no time' : 'time'}, ${duration === undefined ? 'no duration' : 'duration'}`
  },
}

const user: FuzzTarget = {
  name: 'kube-user',
  about:
    'the user of a token review: behind the prefixes, from that claim and no other, and never a reserved name',
  seeds: [
    '{"token_use":"kube","aud":"c","sub":"s","username":"ci","uid":"u","groups":["a","b",""],"jti":"j"}',
    '{"token_use":"kube","aud":["c"],"sub":"s","username":"system:admin","uid":"u"}',
    '{"token_use":"kube","aud":["c","d"],"sub":"s","username":"x","uid":"u","groups":"one"}',
  ],
  words: [
    '"aud":',
    '"c"',
    '["c"]',
    '"groups":',
    '"username":',
    '"uid":',
    '"sub":',
    'system:',
    'client:',
    '"token_use":"kube"',
    'null',
    '[]',
    '{}',
    ',',
    '"',
    '1',
    'SYSTEM:',
    '"jti":',
  ],
  check: (input) => {
    const claims = readStrictJsonObject(input, TOKEN_JSON_LIMITS)
    if (!claims.ok) return 'not JSON'
    let outcome = ''
    for (const [usernamePrefix, groupsPrefix] of [
      ['', ''],
      ['b:', 'g:'],
      ['system', 'client'],
    ] as const) {
      const read = reviewedUser(claims.value, { audience: 'c', usernamePrefix, groupsPrefix })
      outcome += read.ok ? 'accepted ' : `${read.denial.reason} `
      if (!read.ok) continue
      const { username, groups } = read.value
      const { username: said, groups: saidGroups, aud } = claims.value
      agree('audience', [aud].flat(), ['c'])
      agree('user', username, `${usernamePrefix}${textOf(said)}`)
      agree(
        'groups',
        groups,
        [saidGroups ?? []]
          .flat()
          .filter((group) => group !== '')
          .map((group) => `${groupsPrefix}${textOf(group)}`),
      )
      for (const name of [username, ...groups])
        must(!/^(?:system|client):/.test(name), `"${name}" is reserved`)
    }
    return outcome
  },
}

const address: FuzzTarget = {
  name: 'address',
  about: 'addresses of issuers: host and path, or nothing',
  seeds: [
    'https://gitlab.example.com/a/',
    'http://[::1]:8080',
    'HTTPS://EXAMPLE.com:443/x//',
    'ftp://x',
    'https://a/..//b',
  ],
  words: [
    'https://',
    'http://',
    '/',
    '//',
    ':',
    '@',
    '..',
    '%2f',
    '[',
    ']',
    '?',
    '#',
    '\\',
    '\t',
    '//////////////////////////////////x',
  ],
  check: (input) => {
    const text = input.toString('utf8')
    const read = hostAndPath(text)
    if (read === undefined) return 'none'
    must(read.host !== '' && !read.host.includes('/') && !read.host.includes('@'), 'a host that is none')
    must(
      read.path === '' || (read.path.startsWith('/') && !read.path.endsWith('/')),
      'a path with slashes at its end',
    )
    agree(
      'again',
      hostAndPath(
        `${text.toLowerCase().trim().startsWith('https:') ? 'https' : 'http'}://${read.host}${read.path}`,
      ),
      read,
    )
    return `host, ${read.path === '' ? 'no path' : 'path'}`
  },
}

export const NAME_TARGETS: readonly FuzzTarget[] = [version, source, time, user, address]
