// PKCS#11 with SoftHSM 2, the one of Debian.
import { rmSync, writeFileSync } from 'node:fs'
import t from 'tap'
import { createPkcs11Signer } from '../../src/platform/remote_signer/pkcs11_signer.ts'
import type { Pkcs11SignerConfig } from '../../src/platform/remote_signer/pkcs11_signer.ts'
import type { RemoteSigner } from '../../src/platform/remote_signer/remote_signer.ts'
import { SOFT_HSM_PIN, makeSoftHsm, softHsmMissing } from '../support/soft_hsm.ts'
import { describeRemoteSigner, describeSigningKey, guardedWorld } from './signing_key.ts'

const skip = softHsmMissing()
const hsm = skip === false ? makeSoftHsm(t.testdir()) : undefined
const config = { library: '', token: '', pinFile: '', ...hsm, threads: 2 } satisfies Pkcs11SignerConfig
const program = {
  file: new URL('../support/held_token_thread.ts', import.meta.url),
  folder: new URL('file:///'),
}
const order = { key: 'ec', algorithm: 'ES256', input: 'a.b' } as const

function open(change: Partial<Pkcs11SignerConfig> = {}): RemoteSigner {
  return createPkcs11Signer({ ...config, ...change })
}

// First, while nobody in this process has logged in.
t.test(
  'a wrong PIN is shown to the token once, and the right one in the file is taken',
  { skip },
  async (t) => {
    const signer = open()
    t.teardown(() => signer.close())
    hsm?.setPin('0000')
    await t.rejects(signer.sign(order), {
      code: 'SALLYPORT_SIGNER',
      why: 'credential',
      message: /CKR_PIN_INCORRECT/,
    })
    await t.rejects(signer.sign(order), {
      code: 'SALLYPORT_SIGNER',
      why: 'credential',
      message: /the token refused this PIN/,
    })
    hsm?.setPin(SOFT_HSM_PIN)
    t.equal((await signer.sign(order)).length, 64)
  },
)

t.test('a key in a PKCS#11 token', { skip }, async (t) => {
  describeSigningKey(t, guardedWorld(open))
})

t.test('a PKCS#11 token as a signer', { skip }, async (t) => {
  const held = `${config.library}.held`
  describeRemoteSigner(t, {
    open: () => createPkcs11Signer(config, program),
    hang: async () => writeFileSync(held, ''),
    heal: async () => rmSync(held),
    secrets: async () => [SOFT_HSM_PIN, ...(hsm?.secrets ?? [])],
  })
})

t.test('two keys of one label are told, since nobody could say which one signs', { skip }, async (t) => {
  const signer = open()
  t.teardown(() => signer.close())
  await t.rejects(signer.publicKey('twice'), {
    code: 'SALLYPORT_SIGNER',
    why: 'key_unfit',
    message: /two private keys.*twice/,
  })
})

t.test('a token or a library that is not there is named', { skip }, async (t) => {
  for (const [change, message] of [
    [{ token: 'elsewhere' }, /no token elsewhere/],
    [{ library: '/nowhere/lib.so' }, /nowhere/],
  ] as const) {
    const signer = open(change)
    t.teardown(() => signer.close())
    await t.rejects(signer.sign(order), { code: 'SALLYPORT_SIGNER', message })
  }
})
