// A SoftHSM 2 token of the test's own, with keys that the test has made and knows. One folder for each test file: the
// library is told once in a process where its tokens are.
import { execFileSync } from 'node:child_process'
import { generateKeyPairSync } from 'node:crypto'
import type { KeyObject } from 'node:crypto'
import { existsSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

export type SoftHsm = {
  /** A path of the library that is this test's own. */
  readonly library: string
  readonly token: string
  readonly pinFile: string
  /** PKCS #8 of its private keys, PEM. */
  readonly secrets: readonly string[]
  /** Writes the PIN file anew. */
  setPin(pin: string): void
}

const LIBRARIES = ['/usr/lib/softhsm/libsofthsm2.so', '/usr/lib64/pkcs11/libsofthsm2.so']
const BINDING = join(import.meta.dirname, '../../node_modules/pkcs11js/build/Release/pkcs11.node')
const PIN = '9281-token-pin'

/** Why PKCS#11 cannot be tested here; never where SALLYPORT_REQUIRE_PEERS says that it must be. */
export function softHsmMissing(): string | false {
  if (process.env['SALLYPORT_REQUIRE_PEERS'] === '1') return false
  if (!LIBRARIES.some((file) => existsSync(file))) return 'SoftHSM 2 is not installed (apt install softhsm2)'
  if (!existsSync(BINDING)) return 'pkcs11js is not built (test/peers/build_pkcs11js.sh)'
  return false
}

/** The token `sallyport` with `ec`, `ec-next`, `rsa`, `p384`, and two keys that are called `twice`. */
export function makeSoftHsm(folder: string): SoftHsm {
  const tokens = join(folder, 'tokens')
  mkdirSync(tokens, { recursive: true })
  const configuration = join(folder, 'softhsm2.conf')
  writeFileSync(
    configuration,
    `directories.tokendir = ${tokens}\nobjectstore.backend = file\nlog.level = ERROR\n`,
  )
  // Read by the library itself, from the environment of the process.
  process.env['SOFTHSM2_CONF'] = configuration
  tool('--init-token', '--free', '--label', 'sallyport', '--pin', PIN, '--so-pin', '57281')
  const secrets = Object.entries(newKeys()).map(([label, key], index) => {
    const pem = String(key.export({ type: 'pkcs8', format: 'pem' }))
    const file = join(folder, `${label}.pem`)
    writeFileSync(file, pem)
    const name = label.replace(/-\d$/, '')
    tool('--import', file, '--token', 'sallyport', '--pin', PIN, '--label', name, '--id', `0${index + 1}`)
    return pem
  })
  const library = join(folder, 'library.so')
  symlinkSync(LIBRARIES.find((file) => existsSync(file)) ?? '', library)
  const pinFile = join(folder, 'pin')
  const setPin = (pin: string): void => writeFileSync(pinFile, `${pin}\n`, { mode: 0o600 })
  setPin(PIN)
  return { library, token: 'sallyport', pinFile, secrets, setPin }
}

export { PIN as SOFT_HSM_PIN }

function newKeys(): Readonly<Record<string, KeyObject>> {
  return {
    ec: ec('P-256'),
    'ec-next': ec('P-256'),
    p384: ec('P-384'),
    rsa: generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey,
    'twice-1': ec('P-256'),
    'twice-2': ec('P-256'),
  }
}

function tool(...args: readonly string[]): void {
  execFileSync('softhsm2-util', [...args], { stdio: 'pipe' })
}

function ec(namedCurve: string): KeyObject {
  return generateKeyPairSync('ec', { namedCurve }).privateKey
}
