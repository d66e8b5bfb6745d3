// What a request says of itself: form, query, headers, scopes.
import { grantedScope, parseScopes } from '../../../src/core/dex/scopes.ts'
import { formContentType } from '../../../src/core/oauth/content_type.ts'
import { readCredentials } from '../../../src/core/oauth/credentials.ts'
import { isMalformedQuery, parseForm } from '../../../src/core/oauth/form.ts'
import type { Form } from '../../../src/core/oauth/form.ts'
import {
  goContentType,
  isQueryRefused,
  slowBasic,
  slowForm,
  slowHalf,
  slowScopes,
} from '../reference/forms.ts'
import { agree, must } from '../target.ts'
import type { FuzzTarget } from '../target.ts'

const FORM_WORDS =
  '& = + % ; %26 %3D %2B %00 %C3%A9 %ff %ed%a0%80 %F4%90%80%80 %EF%BB%BF %e %zz grant_type audience resource scope client_id client_secret &audience= &resource= é 😀'.split(
    ' ',
  )

const form: FuzzTarget = {
  name: 'form',
  about: 'the form parser, beside a decoder of single bytes; the query check as well',
  seeds: [
    'grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange&audience=a&audience=b&scope=openid+groups',
    'a=1&a=2',
    'client_secret=%C3%A9%20x&&b&=c&=',
    'a=%zz&b=%e2%82',
  ],
  words: FORM_WORDS,
  check: (input) => {
    const body = input.toString('utf8')
    agree('query', isMalformedQuery(body), isQueryRefused(body))
    const parsed = parseForm(body)
    const reference = slowForm(body)
    must(
      parsed.ok === (reference !== undefined),
      `${parsed.ok ? 'accepted' : parsed.denial.reason}; the reference differs`,
    )
    if (!parsed.ok) return `refused: ${parsed.denial.reason}`
    for (const [name, values] of reference ?? []) {
      must(parsed.value.has(name), `"${name}" was lost`)
      if (name === 'audience' || name === 'resource') agree(name, parsed.value.all(name), values)
      else agree(name, parsed.value.get(name), values[0])
    }
    must(parsed.value.isEmpty === (reference?.size === 0), 'empty or not')
    for (const name of ['client_id', 'audience', 'grant_type', '__proto__', 'constructor'])
      agree(`has ${name}`, parsed.value.has(name), reference?.has(name))
    return `accepted: ${Math.min(4, reference?.size ?? 0)}`
  },
}

const contentType: FuzzTarget = {
  name: 'content-type',
  about: "a form's Content-Type, which is never a form where Go's mime package sees none",
  seeds: [
    'application/x-www-form-urlencoded',
    'application/x-www-form-urlencoded; charset=UTF-8',
    'Application/X-WWW-Form-Urlencoded ; charset="utf-8";',
    'application/json; a=b; c="d\\"e"',
    'application/x-www-form-urlencoded; boundary=a=b',
    'application/x-www-form-urlencoded; charset=utf-8; charset=latin1',
    'text',
  ],
  words: [
    'application/x-www-form-urlencoded',
    '; ',
    ';',
    'charset=',
    'utf-8',
    '"',
    '=',
    '/',
    '\\',
    ' ',
    '\t',
    '\u00a0',
    'a=b',
    ',',
  ],
  check: (input) => {
    const header = input.toString('latin1')
    const ours = formContentType(header)
    const reference = goContentType(header)
    must(ours !== 'form' || reference === 'form', `we read a form, Go says ${reference}`)
    must(ours !== 'other' || reference === 'other', `we pass it over, Go says ${reference}`)
    return `${ours}, Go ${reference}`
  },
}

const NO_FORM: Form = { get: () => '', all: () => [], has: () => false, isEmpty: true }
const basicOf = (text: string) => `Basic ${Buffer.from(text).toString('base64')}`

const basic: FuzzTarget = {
  name: 'basic',
  about: 'an Authorization header, beside RFC 7617 over bytes',
  seeds: [
    basicOf('ci:s3cret'),
    basicOf('a%3Ab:c+d'),
    basicOf(':'),
    'basic YTpi',
    'Bearer abc',
    basicOf('\u00e9:%zz'),
  ],
  words: ['Basic ', 'basic ', 'BASIC\t', 'YTpi', 'Og==', '=', '==', '/', '+', 'gIA6', ' ', '\u00ff', 'Ov8='],
  check: (input) => {
    const header = input.toString('latin1')
    const read = readCredentials([header], NO_FORM)
    const reference = slowBasic(header)
    if (reference === undefined) {
      agree('no Basic', read, { ok: true, value: { kind: 'secret', clientId: '', secret: '' } })
      return 'no Basic'
    }
    const [id, secret] = [slowHalf(reference.id), slowHalf(reference.secret)]
    must(
      read.ok === (id !== undefined && secret !== undefined),
      `${read.ok ? 'accepted' : read.denial.reason}; the reference differs`,
    )
    if (!read.ok) return `refused: ${read.denial.reason}`
    agree('credentials', read.value, { kind: 'secret', clientId: id, secret })
    return 'accepted'
  },
}

const scopes: FuzzTarget = {
  name: 'scopes',
  about: "Dex's scopes, beside Go's strings.Fields; a granted scope is one that was asked for and is allowed",
  seeds: [
    'openid email groups profile federated:id offline_access',
    'audience:server:client_id:a audience:server:client_id: x\ty',
    'openid\u00a0groups',
  ],
  words: [
    'openid',
    'groups',
    'federated:id',
    'offline_access',
    'audience:server:client_id:',
    ' ',
    '\t',
    '\u0085',
    '\u00a0',
    '\ufeff',
    '\u2003',
    '\u200b',
    '\u180e',
    '\u0000',
  ],
  check: (input) => {
    const text = input.toString('utf8')
    const ours = parseScopes(text)
    agree('scopes', ours, slowScopes(text))
    const allowed = ['openid', 'x', 'offline_access', 'audience:server:client_id:a']
    for (const list of [allowed, undefined, []]) {
      const granted = grantedScope(ours, list)?.split(' ') ?? []
      must(granted.length === new Set(granted).size, 'a scope twice')
      for (const scope of granted) {
        must(ours.all.includes(scope), `"${scope}" was not asked for`)
        must(list === undefined || list.includes(scope), `"${scope}" is not allowed`)
        must(
          scope !== 'offline_access' && !scope.startsWith('audience:'),
          `"${scope}" promises what there is not`,
        )
      }
    }
    return `${Math.min(3, ours.all.length)} scopes, ${Math.min(2, ours.audiences.length)} audiences, ${Math.min(2, ours.unrecognized.length)} unknown`
  },
}

export const FORM_TARGETS: readonly FuzzTarget[] = [form, contentType, basic, scopes]
