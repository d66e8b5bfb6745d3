// docs/remote-signing.md: its configurations load, and its token in software is made as it says and signs.
import { execFileSync } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { loadNativeConfig } from '../../src/broker/config/native.ts'
import { createPkcs11Signer } from '../../src/platform/remote_signer/pkcs11_signer.ts'
import { softHsmMissing } from '../support/soft_hsm.ts'

const page = readFileSync('docs/remote-signing.md', 'utf8')
const blocks = (language: string): readonly string[] =>
  [...page.matchAll(new RegExp(`^\`\`\`${language}\n(.*?)^\`\`\``, 'gms'))].map(([, block = '']) => block)
const REST = `issuer: https://sallyport.example.com
listen: { public: '127.0.0.1:8443' }
store: { type: memory }
`

function loadedSigner(block: string) {
  const { config, findings } = loadNativeConfig('sallyport.yaml', REST + block, {
    baseDir: '/etc/sallyport',
    readFile: (path) => (path.endsWith('.pem') ? '-----BEGIN CERTIFICATE-----\n' : 'x'),
    env: {},
    randomBytes: (length) => new Uint8Array(length),
  })
  return { signer: config?.keys.signer, errors: findings.filter(({ severity }) => severity === 'error') }
}

t.test('the configurations of the page load', async (t) => {
  const loaded = blocks('yaml').map(loadedSigner)
  t.strictSame(
    loaded.flatMap(({ errors }) => errors),
    [],
  )
  t.strictSame(
    loaded.map(({ signer }) => signer?.type),
    ['pkcs11', 'http'],
  )
})

t.test('the binding that the page installs is the one that this project tests', async (t) => {
  const { optionalDependencies } = JSON.parse(readFileSync('package.json', 'utf8'))
  t.ok(page.includes(`pkcs11js@${optionalDependencies['pkcs11js']}\n`))
})

t.test(
  'the token in software is made by what the page says, and signs',
  { skip: softHsmMissing() },
  async (t) => {
    const folder = t.testdir()
    mkdirSync(join(folder, 'tokens'))
    process.env['SOFTHSM2_CONF'] = join(folder, 'softhsm2.conf')
    writeFileSync(process.env['SOFTHSM2_CONF'], `directories.tokendir = ${join(folder, 'tokens')}\n`)
    const script = blocks('sh').find((block) => block.includes('--init-token'))
    execFileSync('sh', ['-euc', script ?? 'false'], { cwd: folder, stdio: 'pipe' })
    const [signer] = blocks('yaml').map((block) => loadedSigner(block).signer)
    if (signer?.type !== 'pkcs11' || signer.key === undefined)
      throw new Error('the page names no key in a token')
    const token = createPkcs11Signer({ ...signer, pinFile: join(folder, 'pin'), threads: 1 })
    t.teardown(() => token.close())
    const order = { key: signer.key, algorithm: 'ES256', input: 'a.b' } as const
    t.equal((await token.sign(order)).length, 64)
  },
)
