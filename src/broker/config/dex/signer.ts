// Dex's signer and expiry sections: which algorithm signs, for how long one key does, how long a token lives.
import { parseDuration } from '#platform/config/duration.ts'
import type { KeysConfig } from '../broker_config.ts'
import { pathOf, sectionOf, textOf } from './read_keys.ts'
import type { DexObject } from './read_keys.ts'
import type { Reporter } from './report.ts'

/** Dex's default of expiry.idTokens. */
const ID_TOKENS_SECONDS = 24 * 3600
/** Dex's default of expiry.signingKeys. */
const ROTATION_SECONDS = 6 * 3600

/** Lifetime of every issued token, in whole seconds. */
export function readTokenTtl(root: DexObject, report: Reporter): number {
  const expiry = sectionOf(root, 'expiry')
  const text = textOf(expiry, 'idTokens')
  if (text === '') return ID_TOKENS_SECONDS
  const seconds = parseDuration(text)
  // Dex takes zero for "not given" (server.value)
  if (seconds === 0) return ID_TOKENS_SECONDS
  if (seconds === undefined || seconds < 1) {
    const message = `invalid config value ${JSON.stringify(text)} for id token expiry`
    report.refuse(pathOf(expiry, 'idTokens'), 'duration_malformed', message, durationWayOut(text))
    return ID_TOKENS_SECONDS
  }
  return Math.floor(seconds)
}

export function readKeys(root: DexObject, report: Reporter): KeysConfig {
  const signer = sectionOf(root, 'signer')
  const config = sectionOf(signer, 'config')
  const expiry = sectionOf(root, 'expiry')
  const base = { sealingKeyFile: undefined, extraPublicKeysFile: undefined, signer: undefined }
  const type = textOf(signer, 'type')
  if (type === 'vault') {
    const message = 'keys in Vault are not supported: this broker keeps its keys in its store'
    report.refuse(pathOf(signer, 'type'), 'signer_unsupported', message, 'remove the signer section')
  } else if (root.values.has('signer') && type !== 'local') {
    const message = `unknown signer type ${JSON.stringify(type)}`
    report.refuse(
      pathOf(signer, 'type'),
      'signer_unknown',
      message,
      'write type: local, or remove the section',
    )
  }
  if (type !== 'local') {
    const rotationSeconds = rotation(expiry, 'signingKeys', report)
    return { ...base, algorithm: 'RS256', rotationSeconds }
  }
  if (textOf(config, 'keysRotationPeriod') === '') {
    const message = 'failed to open local signer: signer.config.keysRotationPeriod must be specified'
    report.refuse(pathOf(config, 'keysRotationPeriod'), 'signer_rotation_missing', message, 'write "6h"')
  }
  if (textOf(expiry, 'signingKeys') !== '') {
    report.ignore(pathOf(expiry, 'signingKeys'), 'signer.config.keysRotationPeriod wins, as in Dex')
  }
  return {
    ...base,
    algorithm: algorithm(config, report),
    rotationSeconds: rotation(config, 'keysRotationPeriod', report),
  }
}

function algorithm(config: DexObject, report: Reporter): KeysConfig['algorithm'] {
  const text = textOf(config, 'algorithm')
  if (text === '' || text === 'RS256') return 'RS256'
  if (text === 'ES256') return 'ES256'
  const message = `unsupported local signer algorithm ${JSON.stringify(text)}`
  report.refuse(pathOf(config, 'algorithm'), 'signer_algorithm', message, 'write RS256 or ES256')
  return 'RS256'
}

function rotation(section: DexObject, key: string, report: Reporter): number {
  const text = textOf(section, key)
  if (text === '') return ROTATION_SECONDS
  const seconds = parseDuration(text)
  if (seconds !== undefined && seconds >= 1) return Math.floor(seconds)
  const message = `invalid config value ${JSON.stringify(text)} for signing key rotation`
  report.refuse(pathOf(section, key), 'duration_malformed', message, durationWayOut(text))
  return ROTATION_SECONDS
}

function durationWayOut(text: string): string {
  const days = /^(\d+)d$/.exec(text)?.[1]
  return days === undefined
    ? 'write it as 90s, 10m, 1h30m or 24h'
    : `Go knows no days: write ${Number(days) * 24}h`
}
