// sallyport-webhook.yaml: what holds without it, what it may say, and what is said about a wrong one.
import t from 'tap'
import { formatFinding } from '../../src/platform/config/finding.ts'
import { isPortOpen } from '../../webhook/config/webhook_config.ts'
import { WEBHOOK_CODES } from '../../webhook/config/finding_codes.ts'
import { defaultWebhookConfig, loadWebhookConfig } from '../../webhook/config/read_config.ts'
import type { WebhookConfigEnv, WebhookConfigLoad } from '../../webhook/config/read_config.ts'

const CERTIFICATE = '-----BEGIN CERTIFICATE-----\n'
const env: WebhookConfigEnv = {
  readFile: (path) => {
    if (path.includes('missing')) throw new Error('ENOENT')
    return path.includes('odd') ? 'nothing' : CERTIFICATE
  },
  fileMode: (path) => (path.includes('open') ? 0o644 : 0o600),
  baseDir: '/etc/sallyport',
  podNamespace: undefined,
}
const inPod: WebhookConfigEnv = { ...env, podNamespace: 'guards' }

function load(text: string, world: WebhookConfigEnv = env): WebhookConfigLoad {
  return loadWebhookConfig('sallyport-webhook.yaml', text, world)
}

const FILES = 'listen: {tls: {certFile: tls.crt, keyFile: tls.key}}\n'

t.test('a Pod needs no file', async (t) => {
  const { config, findings } = defaultWebhookConfig(inPod)
  t.same(findings, [])
  t.same(config, {
    host: undefined,
    port: 8443,
    certificate: {
      kind: 'selfManaged',
      namespace: 'guards',
      secret: 'sallyport-webhook-tls',
      service: 'sallyport-webhook',
      webhookConfiguration: 'sallyport-webhook',
    },
    allowFrom: undefined,
    clients: undefined,
    ops: { host: undefined, port: 9090 },
    kubeconfig: undefined,
    context: undefined,
    log: { level: 'info', format: 'json' },
    audit: { destination: 'stdout' },
    scan: { intervalSeconds: 600, reports: true },
    limits: { maxConcurrentReviews: 256, bodyTimeoutSeconds: 10, drainSeconds: 5 },
  })
})

t.test('elsewhere it says that there is no certificate, and how to give one', async (t) => {
  const { config, findings } = defaultWebhookConfig(env)
  t.equal(config, undefined)
  t.match(findings.map(formatFinding), [
    /^error certificate_missing \(listen\): no certificate to serve: this is no Pod.*\n {4}-> write listen: \{tls: /,
  ])
})

t.test('every key has its place in what is resolved', async (t) => {
  const { config, findings } = load(`
listen:
  host: 127.0.0.1
  port: 9443
  tls: {certFile: pki/tls.crt, keyFile: /run/tls.key}
  allowFrom: [10.0.0.0/28, 192.0.2.7, "2001:db8::/64", "fd00::1"]
  clientCaFile: ca.crt
  clientNames: [kube-apiserver]
ops: off
kubeconfig: kubeconfig
context: prod
log: {level: warn, format: text}
audit: {destination: audit.log}
scan: {interval: 1h, reports: false}
limits: {maxConcurrentReviews: 10, bodyTimeout: 3s, drain: 0s}
`)
  t.same(findings, [])
  t.same(config, {
    host: '127.0.0.1',
    port: 9443,
    certificate: { kind: 'files', certFile: '/etc/sallyport/pki/tls.crt', keyFile: '/run/tls.key' },
    allowFrom: ['10.0.0.0/28', '192.0.2.7', '2001:db8::/64', 'fd00::1'],
    clients: { caFile: '/etc/sallyport/ca.crt', names: ['kube-apiserver'] },
    ops: undefined,
    kubeconfig: '/etc/sallyport/kubeconfig',
    context: 'prod',
    log: { level: 'warn', format: 'text' },
    audit: { destination: '/etc/sallyport/audit.log' },
    scan: { intervalSeconds: 3600, reports: false },
    limits: { maxConcurrentReviews: 10, bodyTimeoutSeconds: 3, drainSeconds: 0 },
  })
})

t.test('a certificate of its own keeping can be named in part', async (t) => {
  const text = 'listen: {tls: {selfManaged: {secret: own, namespace: elsewhere}}}\n'
  t.match(load(text).config?.certificate, {
    kind: 'selfManaged',
    secret: 'own',
    namespace: 'elsewhere',
    service: 'sallyport-webhook',
  })
  t.match(load('listen: {tls: {selfManaged: {}}}\n', inPod).config?.certificate, { namespace: 'guards' })
})

const WRONG: readonly { readonly code: string; readonly text: string; readonly place: string }[] = [
  { code: 'key_unknown', text: `${FILES}lissen: {}\n`, place: '2:1' },
  { code: 'type_wrong', text: `${FILES}ops: {port: "9090"}\n`, place: '2:7' },
  { code: 'value_out_of_range', text: `${FILES}ops: {port: 70000}\n`, place: '2:7' },
  { code: 'duration_malformed', text: `${FILES}scan: {interval: 10d}\n`, place: '2:8' },
  { code: 'key_missing', text: 'listen:\n  tls: {certFile: tls.crt}\n', place: '2:3' },
  { code: 'config_empty', text: '# nothing\n', place: '1:1' },
  { code: 'yaml_multiple_documents', text: `${FILES}---\n${FILES}`, place: '3:1' },
  { code: 'yaml_syntax', text: 'listen: {\n', place: '2:1' },
  { code: 'certificate_missing', text: 'listen: {tls: {selfManaged: {}}}\n', place: '1:16' },
  { code: 'value_empty', text: withListen('allowFrom: []'), place: '3:3' },
  { code: 'type_wrong', text: withListen('allowFrom: 10.0.0.0/28'), place: '3:3' },
  { code: 'address_malformed', text: withListen('allowFrom: [10.0.0.1, 10.0.0/28]'), place: '3:25' },
  { code: 'address_malformed', text: withListen('allowFrom: [api.example.com]'), place: '3:15' },
  { code: 'allow_from_everybody', text: withListen('allowFrom: [10.0.0.1, 0.0.0.0/0]'), place: '3:25' },
  { code: 'allow_from_ambiguous', text: withListen('allowFrom: [10.0.0.5/28]'), place: '3:15' },
  { code: 'certificate_malformed', text: withListen('clientCaFile: odd.crt'), place: '3:3' },
  { code: 'client_names_without_ca', text: withListen('clientNames: [x]'), place: '3:3' },
  {
    code: 'file_unreadable',
    text: 'listen:\n  tls: {certFile: missing.crt, keyFile: tls.key}\n',
    place: '2:9',
  },
]

function withListen(line: string): string {
  return `listen:\n  tls: {certFile: tls.crt, keyFile: tls.key}\n  ${line}\n`
}

for (const { code, text, place } of WRONG) {
  t.test(`${code} is said with its place`, async (t) => {
    const { config, findings } = load(text)
    t.equal(config, undefined)
    const told = findings.map(formatFinding)
    t.ok(
      told.some(
        (line) =>
          line.startsWith(`sallyport-webhook.yaml:${place}: error ${code} `) ||
          line.startsWith(`sallyport-webhook.yaml:${place}: error ${code}:`),
      ),
      told.join('\n'),
    )
    t.not(load(FILES).config, undefined)
  })
}

function codesOf(text: string): readonly string[] {
  return load(text).findings.map(({ code, path }) => `${code} ${path}`)
}

t.test('what the values mean is said beside what the schema refuses, in the order of the file', async (t) => {
  t.same(
    codesOf(`listen:
  port: 99999
  tls: {certFile: missing.crt, keyFile: open.key}
  allowFrom: [0.0.0.0/0]
  clientNames: [x]
scan: {interval: 10d}
`),
    [
      'value_out_of_range listen.port',
      'file_unreadable listen.tls.certFile',
      'file_readable_by_others listen.tls.keyFile',
      'allow_from_everybody listen.allowFrom[0]',
      'client_names_without_ca listen.clientNames',
      'duration_malformed scan.interval',
    ],
  )
  t.same(codesOf('scan: {interval: 10d}\n'), [
    'certificate_missing listen',
    'duration_malformed scan.interval',
  ])
})

t.test('what is wrong already is not called missing, too', async (t) => {
  for (const [text, code] of [
    ['listen: 8443\n', 'type_wrong'],
    ['listen: {tls: {certFile: tls.crt}}\n', 'key_missing'],
    ['listen: {tsl: {certFile: tls.crt, keyFile: tls.key}}\n', 'key_unknown'],
    ['lissten: {tls: {certFile: tls.crt, keyFile: tls.key}}\n', 'key_unknown'],
    [withListen('clientCaFile: 5\n  clientNames: [x]'), 'type_wrong'],
    [withListen('clientCAfile: ca.crt\n  clientNames: [x]'), 'key_unknown'],
  ] as const) {
    t.match(load(text), { config: undefined, findings: { length: 1, 0: { code } } }, text)
  }
})

t.test('a port that is none is told what a port is', async (t) => {
  for (const port of ['99999', 'https', '1.5']) {
    t.match(
      load(FILES.replace('{tls', `{port: ${port}, tls`)).findings.map(formatFinding),
      [/\(listen\.port\): .*\n {4}-> write a whole number from 0 to 65535, or remove the key for 8443$/],
      port,
    )
  }
})

const NETWORKS: readonly (readonly [network: string, told: RegExp])[] = [
  ['10.0.0.0/0', /has every IPv4 address in it/],
  ['::/0', /has every address in it.*\n +-> write the networks that the API servers come from, or leave/],
  ['::ffff:0:0/96', /has every IPv4 address in it/],
  ['::/64', /has every IPv4 address in it/],
  ['10.0.0.5/28', /-> write 10\.0\.0\.0\/28 for the network, 10\.0\.0\.5 for the address alone/],
  ['255.255.255.255/1', /-> write 128\.0\.0\.0\/1 for the network/],
  ['2001:DB8::1:0:0:5/64', /-> write 2001:db8::\/64 for the network, 2001:DB8::1:0:0:5 for/],
  ['fd00::1.2.3.4/112', /-> write fd00::102:0\/112 for the network/],
  ['::ffff:10.1.0.0/112', /-> write 10\.1\.0\.0\/16: an IPv4 address is let in however it comes/],
  ['::ffff:a01:1', /-> write 10\.1\.0\.1:/],
]

for (const [network, told] of NETWORKS) {
  t.test(`${network} is no network that is let in, and what to write instead is said`, async (t) => {
    const { config, findings } = load(withListen(`allowFrom: ["${network}"]`))
    t.equal(config, undefined)
    t.equal(findings.length, 1)
    t.match(findings.map(formatFinding).join('\n'), told)
    t.match(findings, [{ path: 'listen.allowFrom[0]' }])
  })
}

t.test('an address is its own network, and so is what ends where its prefix does', async (t) => {
  const fine = [
    '10.0.0.5/32',
    '10.0.0.5',
    '0.0.0.0/1',
    '128.0.0.0/1',
    '::1',
    '::1/128',
    'fe80::/10',
    '8000::/1',
  ]
  const { config, findings } = load(withListen(`allowFrom: ${JSON.stringify(fine)}`))
  t.same(findings, [])
  t.same(config?.allowFrom, fine)
})

function isOpen(line: string): boolean | undefined {
  const { config } = load(withListen(line))
  return config === undefined ? undefined : isPortOpen(config)
}

t.test('a port that asks nobody for an address or a certificate is open', async (t) => {
  t.equal(isOpen('port: 8443'), true)
  t.equal(isOpen('allowFrom: [10.0.0.1]'), false)
  t.equal(isOpen('clientCaFile: ca.crt'), false)
})

t.test('a key that others can read is warned of, and served', async (t) => {
  const { config, findings } = load('listen: {tls: {certFile: tls.crt, keyFile: open.key}}\n')
  t.ok(config)
  t.match(findings, [{ severity: 'warning', code: 'file_readable_by_others', path: 'listen.tls.keyFile' }])
})

t.test('every finding of its own has been shown here', async (t) => {
  const shown = new Set([...WRONG.map(({ code }) => code), 'file_readable_by_others'])
  t.same(
    Object.keys(WEBHOOK_CODES).filter((code) => !shown.has(code)),
    [],
  )
})
