// The section `keys.signer`, read. PIN and bearer token stay in their files: what is kept is the files' names.
import { parseDuration } from '#platform/config/duration.ts'
import { isPlainHttp } from '#platform/config/formats.ts'
import type { SignerConfig } from './broker_config.ts'
import {
  absolute,
  checkPrivate,
  readCertificates,
  readNamedFile,
  reportError,
  reportNote,
} from './load_context.ts'
import type { LoadContext } from './load_context.ts'
import { SIGNER_DEFAULTS } from './signer_schema.ts'
import type { SignerFile } from './signer_schema.ts'

/** `rotates`: whether the file also says how long one key signs, which keys elsewhere do not hear of. */
export function readSigner(context: LoadContext, signer: SignerFile, rotates: boolean): SignerConfig {
  if (rotates && signer.key !== undefined) {
    const message = 'keys of a signer elsewhere are not rotated by time'
    const wayOut = 'remove it; another name under keys.signer.key rotates'
    reportNote(context, { code: 'signer_not_timed', path: ['keys', 'rotateEvery'], message, wayOut })
  }
  const { key } = signer
  const shared = {
    key,
    timeoutMs: (parseDuration(signer.timeout ?? SIGNER_DEFAULTS.timeout) ?? 0) * 1000,
    maxWaiting: signer.maxWaiting ?? SIGNER_DEFAULTS.maxWaiting,
  }
  switch (signer.type) {
    case 'pkcs11':
      return {
        ...shared,
        type: 'pkcs11',
        library: absolute(context, signer.library),
        token: signer.token,
        pinFile: secretFile(context, 'pinFile', signer.pinFile),
        maxConcurrent: signer.maxConcurrent ?? SIGNER_DEFAULTS.pkcs11Concurrent,
      }
    case 'http':
      checkUrl(context, signer.url)
      return {
        ...shared,
        type: 'http',
        url: signer.url,
        tokenFile: secretFile(context, 'tokenFile', signer.tokenFile),
        caFile: signer.caFile === undefined ? undefined : certificates(context, signer.caFile),
        maxConcurrent: signer.maxConcurrent ?? SIGNER_DEFAULTS.httpConcurrent,
      }
  }
}

/** Whoever has it signs tokens. */
function secretFile(context: LoadContext, key: 'pinFile' | 'tokenFile', file: string): string {
  const path = ['keys', 'signer', key]
  readNamedFile(context, path, file)
  checkPrivate(context, path, file, 'error')
  return absolute(context, file)
}

function certificates(context: LoadContext, file: string): string {
  readCertificates(context, ['keys', 'signer', 'caFile'], file)
  return absolute(context, file)
}

function checkUrl(context: LoadContext, text: string): void {
  if (!isPlainHttp(text)) return
  const path = ['keys', 'signer', 'url']
  const message = 'plain HTTP to the signer: whoever is on the way takes the bearer token, and signs'
  reportError(context, { code: 'signer_plain_http', path, message, wayOut: 'use https://' })
}
