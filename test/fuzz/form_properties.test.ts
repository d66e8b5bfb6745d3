// Forms, headers, scopes and audiences: what a request may name, beside slow references and the laws of sets.
import { array, boolean, constantFrom, oneof, record, subarray, tuple, uint8Array } from 'fast-check'
import t from 'tap'
import { resolveAudiences } from '../../src/core/audience.ts'
import type { Audience } from '../../src/core/audience.ts'
import type { Client } from '../../src/core/client.ts'
import { parseForm } from '../../src/core/oauth/form.ts'
import { requestedAudiences } from '../../src/core/oauth/target.ts'
import { anyText, holdsForAll } from './property.ts'
import { slowRequested, slowResolved } from './reference/audiences.ts'
import { agree, must } from './target.ts'
import { targetNamed } from './targets.ts'

t.test('a form is read as a decoder of single bytes reads it', async (t) => {
  const part = oneof(
    constantFrom(
      'a',
      'audience',
      'resource',
      'client_id',
      '%61',
      '%zz',
      '%',
      '%e2%82%ac',
      '%ff',
      '+',
      '',
      '=',
      ';',
    ),
    anyText(4),
  )
  const pair = array(part, { maxLength: 4 }).map((parts) => parts.join(''))
  holdsForAll(
    t,
    3000,
    array(
      oneof(
        pair,
        tuple(pair, pair).map((both) => both.join('=')),
      ),
      { maxLength: 8 },
    ),
    (pairs) => {
      targetNamed('form').check(Buffer.from(pairs.join('&').toWellFormed()))
    },
  )
})

t.test(
  'a parameter that comes twice is refused, in whatever spelling, but for audience and resource',
  async (t) => {
    const spelled = constantFrom(
      'client_id',
      'client%5fid',
      '%63lient_id',
      'audience',
      '%61udience',
      'resource',
      'scope',
      'a+b',
      'a%20b',
    )
    const pair = tuple(spelled, constantFrom('', 'x', '%20')).map(([name, value]) => `${name}=${value}`)
    holdsForAll(t, 2000, array(pair, { maxLength: 5 }), (pairs) => {
      targetNamed('form').check(Buffer.from(pairs.join('&')))
    })
  },
)

t.test('what URLSearchParams writes is read back, value for value', async (t) => {
  const name = constantFrom('grant_type', 'client_id', 'client_secret', 'scope', 'subject_token', '__proto__')
  const repeated = array(
    tuple(
      constantFrom('audience' as const, 'resource' as const),
      anyText().map((value) => `é${value.toWellFormed()}`),
    ),
    { maxLength: 5 },
  )
  holdsForAll(
    t,
    1500,
    tuple(array(tuple(name, anyText()), { maxLength: 5 }), repeated),
    ([singles, several]) => {
      const pairs = [...new Map(singles.map(([key, value]) => [key, value.toWellFormed()])), ...several]
      const form = parseForm(
        new URLSearchParams(pairs.map(([key, value]): [string, string] => [key, value])).toString(),
      )
      must(form.ok, 'refused')
      for (const [key, value] of pairs) {
        if (key === 'audience' || key === 'resource')
          must(form.value.all(key).includes(value), `${key} is lost`)
        else agree(key, form.value.get(key), value)
      }
    },
  )
})

t.test('a header is a form, or Basic, only where Go says so', async (t) => {
  const token = constantFrom(
    'application/x-www-form-urlencoded',
    'application',
    'x',
    'charset',
    'utf-8',
    'UTF-8',
    'utf-16',
    '/',
    ';',
    '=',
    '"',
    '\\',
    ' ',
    '\t',
    ',',
    '\u00a0',
    '',
  )
  holdsForAll(t, 3000, array(token, { maxLength: 9 }), (parts) => {
    targetNamed('content-type').check(Buffer.from(parts.join(''), 'latin1'))
  })
  const parameter = tuple(
    constantFrom('charset', 'CHARSET', 'a', ''),
    constantFrom('utf-8', '"utf-8"', 'latin1', '"a;b"', '"a', '', 'a=b'),
  )
  const space = constantFrom('', ' ', '\t')
  const written = tuple(
    space,
    array(tuple(space, parameter, space), { maxLength: 3 }),
    constantFrom('', ';', ';;', ','),
  )
  holdsForAll(t, 3000, written, ([before, parameters, tail]) => {
    const rest = parameters.map(([left, [name, value], right]) => `${left};${right}${name}=${value}`)
    targetNamed('content-type').check(
      Buffer.from(`${before}application/x-www-form-urlencoded${rest.join('')}${tail}`),
    )
  })
  const half = oneof(
    uint8Array({ maxLength: 6 }),
    constantFrom('ci', '%3A', '%', '+', '').map((text) => Buffer.from(text)),
  )
  holdsForAll(
    t,
    2000,
    tuple(
      constantFrom('Basic ', 'basic ', 'Basic', 'Basic  ', 'Bearer '),
      half,
      constantFrom(':', '', '::'),
      half,
      constantFrom('', '=', ' '),
    ),
    ([scheme, id, colon, secret, tail]) => {
      const encoded = Buffer.concat([id, Buffer.from(colon), secret]).toString('base64')
      targetNamed('basic').check(Buffer.from(`${scheme}${encoded}${tail}`, 'latin1'))
    },
  )
})

t.test('scopes are split where Go splits them, and none is granted that was not asked for', async (t) => {
  const item = oneof(
    constantFrom(
      'openid',
      'email',
      'groups',
      'offline_access',
      'federated:id',
      'x',
      'audience:server:client_id:a',
      'audience:server:client_id:',
    ),
    anyText(3),
  )
  const space = constantFrom(
    ' ',
    '  ',
    '\t',
    '\n',
    '\u0085',
    '\u00a0',
    '\u2003',
    '\ufeff',
    '\u200b',
    '\u3000',
  )
  holdsForAll(t, 2500, array(tuple(item, space), { maxLength: 6 }), (items) => {
    targetNamed('scopes').check(Buffer.from(items.flat().join('').toWellFormed()))
  })
})

const IDS = ['a', 'b', 'c', 'me', 'other']
const audience = record({
  profile: constantFrom('dex' as const, 'kubernetes' as const, 'rfc9068' as const),
  trustedPeers: subarray(['me', 'other']),
  resources: subarray(['https://a.example', 'https://b.example/x', 'urn:x']),
  maxTtlSeconds: constantFrom(undefined, 60, 600),
})
const table = array(tuple(constantFrom(...IDS), audience), { maxLength: 4 }).map(
  (entries): ReadonlyMap<string, Audience> => new Map(entries.map(([id, rest]) => [id, { id, ...rest }])),
)
const someIds = array(constantFrom(...IDS), { maxLength: 4 })

function client(defaultAudiences: readonly string[]): Client {
  return {
    id: 'me',
    name: 'Me',
    auth: { method: 'none' },
    grants: undefined,
    connectors: [],
    defaultAudiences,
    subject: 'dex',
    groups: [],
    ttlSeconds: undefined,
  }
}

t.test(
  'no token names an audience that the client may not name, nor one that nobody asked for',
  async (t) => {
    holdsForAll(t, 3000, tuple(table, someIds, someIds), ([audiences, requested, defaults]) => {
      const ours = resolveAudiences(requested, client(defaults), audiences)
      const reference = slowResolved(requested, defaults, 'me', [...audiences.values()])
      if (!ours.ok)
        return must(reference === undefined, `refused (${ours.denial.reason}), and the reference grants`)
      must(reference !== undefined, 'granted, and the reference refuses')
      const { profile, maxTtlSeconds } = ours.value
      agree(
        'target',
        { audiences: [...new Set(ours.value.audiences)].sort(), profile, maxTtlSeconds },
        reference,
      )
    })
  },
)

t.test(
  'asking for less is never worth more: a part of a granted request is granted, or mixes nothing',
  async (t) => {
    holdsForAll(t, 2000, tuple(table, someIds, boolean()), ([audiences, requested, isFirst]) => {
      const whole = resolveAudiences(requested, client([]), audiences)
      const part = isFirst ? requested.slice(1) : requested.slice(0, -1)
      if (!whole.ok || part.length === 0) return
      const less = resolveAudiences(part, client([]), audiences)
      must(less.ok || less.denial.reason === 'audience_profiles_mixed', 'a part of what is trusted is not')
      if (less.ok)
        for (const id of less.value.audiences)
          must(whole.value.audiences.includes(id), `"${id}" came from nowhere`)
    })
  },
)

t.test('audiences by scope, by name and by resource mean one set, or are refused', async (t) => {
  const resource = constantFrom(
    'https://a.example',
    'https://b.example/x',
    'urn:x',
    'https://none.example',
    'https://a.example#f',
    'no uri',
    '/x',
  )
  holdsForAll(
    t,
    3000,
    tuple(table, someIds, someIds, array(resource, { maxLength: 3 })),
    ([audiences, byScope, named, resources]) => {
      const ours = requestedAudiences(
        { client: 'me', byScope, audience: named, resource: resources },
        audiences,
      )
      const reference = slowRequested(byScope, named, resources, [...audiences.values()])
      agree('asked for', ours.ok ? [...new Set(ours.value)].sort() : undefined, reference)
    },
  )
})
