// Whole documents and the headers around them: reviews of the apiserver, YAML of operators, who calls.
import { isIP } from 'node:net'
import { DEFAULT_KUBE_VERSION, kubeVersion } from '../../../src/core/kube/kube_version.ts'
import { lintAuthenticationConfiguration } from '../../../src/core/kube/lint.ts'
import { readTokenReview } from '../../../src/core/kube/token_review.ts'
import { readYamlDocuments } from '../../../src/platform/config/yaml_document.ts'
import { callerNetwork, createClientAddress } from '../../../src/platform/http/client_address.ts'
import { openReview } from '../../../webhook/judge/open_review.ts'
import { slowJson } from '../reference/json.ts'
import { agree, must, phrase } from '../target.ts'
import type { FuzzTarget } from '../target.ts'

const JSON_WORDS = [
  '{',
  '}',
  '[',
  ']',
  ':',
  ',',
  '"',
  'null',
  'true',
  '1',
  '""',
  '{}',
  '[]',
  '"\\u0061"',
  '\n',
  ' ',
]

const tokenReview: FuzzTarget = {
  name: 'token-review',
  about: 'a TokenReview: its token, and only from where it stands',
  seeds: [
    '{"apiVersion":"authentication.k8s.io/v1","kind":"TokenReview","metadata":{"creationTimestamp":null},"spec":{"token":"t","audiences":["a"]},"status":{"user":{}}}',
    '{"apiVersion":"authentication.k8s.io/v1beta1","kind":"TokenReview","spec":{"token":"t"}}',
    '{"kind":"TokenReview","spec":{"token":""}}',
  ],
  words: [
    ...JSON_WORDS,
    '"spec":',
    '"token":',
    '"kind":',
    '"TokenReview"',
    '"apiVersion":',
    '"authentication.k8s.io/v1"',
  ],
  check: (input) => {
    const body = input.toString('utf8')
    const read = readTokenReview(body)
    const document = slowJson(Buffer.from(body), { maxDepth: 8, maxNames: 64, maxItems: 64 })
    const said = [['kind'], ['apiVersion'], ['spec', 'token']].map((path) => memberAt(document, path))
    const [kind, version, token] = said
    const isGood =
      kind === 'TokenReview' &&
      version === 'authentication.k8s.io/v1' &&
      typeof token === 'string' &&
      token !== ''
    agree('accepted', read.ok, isGood)
    if (!read.ok) return `refused: ${read.denial.reason}`
    agree('token', read.value, token)
    return 'accepted'
  },
}

function memberAt(value: unknown, path: readonly string[]): unknown {
  const [name, ...rest] = path
  if (name === undefined) return value
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined
  return memberAt(new Map<string, unknown>(Object.entries(value)).get(name), rest)
}

const admissionReview: FuzzTarget = {
  name: 'admission-review',
  about:
    'an AdmissionReview: opened, answered without judging, or refused with a reason, and never anything thrown',
  seeds: [
    review({
      kind: 'Module',
      resource: 'modules',
      operation: 'CREATE',
      object: {
        apiVersion: 'opendepot.defdev.io/v1alpha1',
        kind: 'Module',
        metadata: { name: 'vpc', namespace: 'infra' },
        spec: { versions: [{ version: '1.0.0' }], moduleConfig: { immutable: true } },
      },
    }),
    review({
      kind: 'Version',
      resource: 'versions',
      operation: 'DELETE',
      oldObject: {
        apiVersion: 'opendepot.defdev.io/v1alpha1',
        kind: 'Version',
        metadata: { name: 'v', namespace: 'infra' },
        spec: { type: 'Module', version: '1' },
      },
    }),
    '{"kind":"AdmissionReview"}',
  ],
  words: [
    ...JSON_WORDS,
    '"object":',
    '"oldObject":',
    '"spec":',
    '"metadata":',
    '"versions":',
    '"operation":"UPDATE"',
    '"subResource":"status"',
    '"dryRun":true',
    '"Provider"',
    '"modules"',
    '"GroupBinding"',
    '"userInfo":',
  ],
  check: (input) => {
    const opened = openReview(input)
    if (!opened.ok)
      return `refused: ${phrase(
        JSON.stringify(opened.denial)
          .replaceAll(/[^A-Za-z_ ]/g, ' ')
          .trim(),
      )}`
    const { head, subject } = opened.value.asked
    if (subject !== undefined) return `opened: ${subject.resource} ${head.operation}`
    must(opened.value.decide(undefined).reason !== undefined, 'judged without a subject')
    return `not judged: ${opened.value.decide(undefined).reason}`
  },
}

type ReviewParts = {
  readonly kind: string
  readonly resource: string
  readonly operation: string
  readonly object?: unknown
  readonly oldObject?: unknown
}

function review({ kind, resource, operation, object = null, oldObject = null }: ReviewParts): string {
  const [group, version] = ['opendepot.defdev.io', 'v1alpha1']
  const request = {
    uid: '0',
    kind: { group, version, kind },
    resource: { group, version, resource },
    name: 'vpc',
    namespace: 'infra',
    operation,
    userInfo: { username: 'alice', groups: ['system:authenticated'] },
    object,
    oldObject,
    dryRun: false,
    options: null,
  }
  return JSON.stringify({ apiVersion: 'admission.k8s.io/v1', kind: 'AdmissionReview', request })
}

const yaml: FuzzTarget = {
  name: 'auth-config',
  about: 'an AuthenticationConfiguration as YAML: read and linted, every finding at a place of the text',
  seeds: [
    'apiVersion: apiserver.config.k8s.io/v1\nkind: AuthenticationConfiguration\njwt:\n- issuer:\n    url: https://i.example\n    audiences: [a]\n  claimMappings:\n    username: {claim: sub, prefix: "x:"}\n',
    'kind: AuthenticationConfiguration\njwt:\n- issuer: {url: "http://i"}\n  claimMappings: {username: {expression: claims.sub}}\n  userValidationRules:\n  - expression: "!user.username.startsWith(\'system:\')"\n',
    'a: &x [1]\nb: *x\n---\n- 1e3\n- 0o7\n- no\n',
  ],
  words: [
    '\n',
    ' ',
    '  ',
    '- ',
    ': ',
    '[',
    ']',
    '{',
    '}',
    '&a ',
    '*a',
    '<<: ',
    '|\n',
    '>\n',
    '"',
    "'",
    '#',
    '!!',
    '---\n',
    '? ',
    '\t',
    '\u0085',
    'null',
    '~',
    'claim: ',
    'expression: ',
    'prefix: ',
    'jwt:\n',
    'anonymous: {enabled: true}\n',
    'certificateAuthority: ',
  ],
  check: (input) => {
    const text = input.toString('utf8')
    const { documents, refusal } = readYamlDocuments('f', text, 'kubernetes')
    if (refusal !== undefined) return `refused: ${refusal.code}`
    let outcome = `${Math.min(3, documents.length)} documents`
    for (const { data, findings } of documents.map((read) => ({
      data: read.document?.data,
      findings: read.findings,
    }))) {
      for (const { code } of findings) outcome += ` ${code}`
      if (data === undefined || VERSION === undefined) continue
      const { problems } = lintAuthenticationConfiguration(data, {
        version: VERSION,
        serviceAccountIssuers: [],
      })
      outcome += ` ${problems[0]?.code ?? 'good'}`
    }
    return outcome.slice(0, 80)
  },
}

/** The release that reads the files. */
const VERSION = kubeVersion(DEFAULT_KUBE_VERSION)

const PROXIES = ['10.0.0.0/8', 'fd00::/8', '192.0.2.1']
const addressOf = createClientAddress({ header: 'X-Forwarded-For', trustedProxies: PROXIES })

const clientAddress: FuzzTarget = {
  name: 'client-address',
  about: 'who calls, by a header of proxies: the last hop that is none of ours, or the socket',
  seeds: [
    '203.0.113.9, 10.0.0.1',
    '10.0.0.1,10.0.0.2',
    '2001:db8::1',
    '::ffff:203.0.113.9',
    'unknown, 10.1.1.1',
    '203.0.113.9, evil',
    'fd00::1',
  ],
  words: [
    ', ',
    ',',
    '10.0.0.1',
    '203.0.113.9',
    '2001:db8::1',
    '::ffff:',
    '::',
    '%eth0',
    ':80',
    '[::1]',
    '0',
    '.',
    ' ',
    '192.0.2.1',
    'fd00::1',
  ],
  check: (input) => {
    const header = input.toString('latin1')
    const socket = '10.9.9.9'
    const ours = addressOf(socket, () => header)
    let reference = socket
    for (const hop of header
      .split(',')
      .map((part) => plain(part.trim()))
      .reverse()) {
      if (isIP(hop) === 0) break
      if (isOurs(hop)) continue
      reference = hop
      break
    }
    agree('address', ours, reference)
    agree(
      'from a stranger',
      addressOf('203.0.113.1', () => header),
      '203.0.113.1',
    )
    const network = callerNetwork(ours)
    must(
      isIP(ours) === 4 ? network === ours : isIP(network.replace('/64', '')) === 6,
      'a network that is none',
    )
    agree('network of a network', callerNetwork(network.replace('/64', '')), network)
    return `IPv${isIP(ours)}, ${ours === socket ? 'the socket' : 'a hop'}`
  },
}

function plain(hop: string): string {
  const [address = ''] = hop.split('%')
  const mapped = /^::ffff:(.*)$/i.exec(address)?.[1]
  return mapped !== undefined && isIP(mapped) === 4 ? mapped : address
}

function isOurs(address: string): boolean {
  if (isIP(address) === 4) return address.startsWith('10.') || address === '192.0.2.1'
  // fd00::/8: the first group has four digits and begins with fd.
  return /^fd[0-9a-f]{2}:/i.test(address)
}

export const DOCUMENT_TARGETS: readonly FuzzTarget[] = [tokenReview, admissionReview, yaml, clientAddress]
