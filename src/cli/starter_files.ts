// What the first `sallyport serve` makes where there is nothing: a starter configuration, a development certificate, the
// secret of a demo client. Existing files are never touched.
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { ensureDevCertificate } from '#platform/dev_certificate.ts'
import type { BrokerConfig } from '../broker/config/broker_config.ts'
import { STARTER_CONFIG } from '../broker/config/starter.ts'
import type { CommandIo } from './command.ts'
import { DEFAULT_CONFIG_FILE } from './config_source.ts'

const DEV_HOSTS = ['localhost', '127.0.0.1', '::1']
/** 192 bits: beyond guessing, so that a salted SHA-256 is enough to store it. */
const SECRET_BYTES = 24

export async function makeStarter(io: Pick<CommandIo, 'cwd' | 'clock' | 'randomBytes'>): Promise<void> {
  const dir = join(io.cwd, '.sallyport')
  mkdirSync(dir, { recursive: true, mode: 0o700 })
  await ensureDevCertificate(join(dir, 'tls'), DEV_HOSTS, io.clock)
  const secretFile = join(dir, 'demo-client-secret')
  if (!existsSync(secretFile)) {
    writeFileSync(secretFile, `${Buffer.from(io.randomBytes(SECRET_BYTES)).toString('base64url')}\n`, {
      mode: 0o600,
    })
  }
  // Last: its absence is what makes the next start a first one again after a crash in between.
  writeFileSync(join(io.cwd, DEFAULT_CONFIG_FILE), STARTER_CONFIG, { flag: 'wx' })
}

/** What to try, for as long as the demo client and the development certificate are in use; else nothing. */
export function demoText({ issuer, clients, publicListeners }: BrokerConfig, cwd: string): string {
  const dir = join(cwd, '.sallyport')
  const certFile = join(dir, 'tls', 'tls.crt')
  const isDemo =
    clients.some(({ id, auth }) => id === 'demo' && auth.method === 'client_secret') &&
    publicListeners.some(({ tls }) => tls?.certFile === certFile) &&
    existsSync(join(dir, 'demo-client-secret'))
  if (!isDemo) return ''
  return [
    '',
    'Trust this CA: .sallyport/tls/ca.crt',
    'Try in another terminal:',
    '  curl --cacert .sallyport/tls/ca.crt -u "demo:$(cat .sallyport/demo-client-secret)" \\',
    `    -d grant_type=client_credentials -d scope=openid ${issuer}/token`,
    '',
  ].join('\n')
}
